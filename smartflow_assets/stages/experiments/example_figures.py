"""How well the examples were watched: events found and missed on their labels, beside two textbook detectors on the same rows.

An anomaly-free twin of the same data goes through the same stages, models and rules in a warehouse of its own: every alarm on
it is a false one.
"""

import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from smartflow_assets.adapters.readers import CsvReader, TimeColumn
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.core.evaluation import metrics
from smartflow_assets.core.evaluation.metrics import EventScores
from smartflow_assets.core.generators.examples import Example
from smartflow_assets.stages.experiments.backtest import replay, stored_rows

FLAGGED = """
SELECT score.series AS series, score.observed_at AS observed_at, score.value AS value, score.state AS state,
       score.is_anomaly OR EXISTS (SELECT 1 FROM rule_violations AS rule WHERE rule.source = score.source AND rule.series = score.series
                                   AND rule.observed_at = score.observed_at) AS is_anomaly
FROM anomaly_scores AS score WHERE score.source = ? ORDER BY score.series, score.observed_at
"""


@dataclass(frozen=True)
class ExampleFigures:
    """What was found out about one source."""

    source: str
    rows: int
    anomalies: int
    incidents: int
    messages: int
    found: EventScores
    baselines: dict[str, EventScores]
    twin_days: float
    twin_alerts: int

    @property
    def precision(self) -> float:
        """Share of the flagged events that are labelled ones."""
        return self.found.precision

    @property
    def recall(self) -> float:
        """Share of the labelled events that were flagged."""
        return self.found.recall


def measure(source: Source, example: Example, settings: Settings, catalogue: Catalogue, *, now: datetime) -> ExampleFigures:
    """The figures of an example that has been watched up to `now`."""
    warehouse, made = Warehouse(settings.warehouse_file, settings.published_file), example.make()
    rows = warehouse.read(FLAGGED, [source.name])
    judged = rows[rows["state"] != "warming_up"]
    alerts, days = twin_alerts(source, made.twin, settings, catalogue, now)
    return ExampleFigures(
        source=source.name,
        rows=len(rows),
        anomalies=_count(warehouse, "anomalies", source.name),
        incidents=_count(warehouse, "incidents", source.name),
        messages=_count(warehouse, "alert_sends", source.name, "AND status = 'sent'"),
        found=metrics.event_scores(judged, judged["is_anomaly"].to_numpy(bool), made.labels),
        baselines={name: metrics.event_scores(judged, flags, made.labels) for name, flags in metrics.baselines(judged).items()},
        twin_days=days,
        twin_alerts=alerts,
    )


def twin_alerts(source: Source, twin: pd.DataFrame, settings: Settings, catalogue: Catalogue, now: datetime) -> tuple[int, float]:
    """False alarms on the twin, and the days that were judged, of all series together."""
    with tempfile.TemporaryDirectory(prefix="smartflow-twin-") as folder:
        rows = Path(folder) / "twin.csv"
        twin[twin["timestamp"] < now].to_csv(rows, index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
        apart = settings.with_state_in(Path(folder))
        calm = source.model_copy(update={"read": CsvReader(path=str(rows), time=TimeColumn(column="timestamp")), "labels": None})
        found = replay(calm, apart, catalogue, stored_rows(calm, apart, apart, catalogue, now), until=now).quality
    return found.events.false_alerts, found.days


def _count(warehouse: Warehouse, table: str, source: str, condition: str = "") -> int:
    return int(warehouse.read(f"SELECT count(*) AS n FROM {table} WHERE source = ? {condition}", [source])["n"].iloc[0])
