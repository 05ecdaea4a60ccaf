"""`smartflow demo`: the two example sources from their history to their incidents, before your eyes, and how well it went.

Loads what lies before the last eighteen hours in one run, then replays the rest hour by hour with the clock of then, so that
incidents open, send and recover. What it prints is measured on the labels of the examples, beside two textbook detectors on
the same rows and beside an anomaly-free twin of the same data. Ends with 1 when precision or recall fall short.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from smartflow_assets.commands import terminal
from smartflow_assets.commands.home import open_home
from smartflow_assets.core.errors import SmartflowError

if TYPE_CHECKING:
    import pandas as pd

    from smartflow_assets.adapters.warehouse import Warehouse
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.config.source import Source
    from smartflow_assets.core.evaluation import EventScores

REPLAYED, TICK, AFTERWARDS = timedelta(hours=18), timedelta(hours=1), timedelta(hours=2)
PRECISION, RECALL = 0.9, 0.8


@dataclass(frozen=True)
class Figures:
    """What the demo found out about one source."""

    source: str
    rows: int
    anomalies: int
    incidents: int
    messages: int
    found: "EventScores"
    baselines: dict[str, "EventScores"]
    twin_days: float
    twin_alerts: int

    @property
    def is_good(self) -> bool:
        """Whether the promise of the README holds."""
        return self.found.precision >= PRECISION and self.found.recall >= RECALL


def demo() -> None:
    """Run the two example sources: history first, then the last hours as if they happened now.

    Prints, for each source, what was found, measured on its labels; exits 1 below precision .9 or recall .8.
    """
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.core.generators.examples import EXAMPLES, ROWS, START

    settings = open_home()
    catalogue = Catalogue.load(settings)
    for name in EXAMPLES:
        if name in catalogue.broken:
            raise catalogue.broken[name]
        if name not in catalogue.sources:
            raise SmartflowError(
                f"the example source {name} is not in {settings.sources}", remedy="Take it from the project's data folder."
            )
    end = START + ROWS * timedelta(minutes=5)
    clocks = [end - REPLAYED + k * TICK for k in range(int((REPLAYED + AFTERWARDS) / TICK) + 1)]
    _replay(settings, list(EXAMPLES), clocks)
    figures = [_figures(settings, catalogue.source(name)) for name in EXAMPLES]
    _print(figures, settings)
    if not all(figure.is_good for figure in figures):
        raise SmartflowError(
            f"the defaults fell short of precision {PRECISION} or recall {RECALL} on the example sources",
            remedy="Look at the table above; the labels are in data/examples.",
        )


def _replay(settings: "Settings", names: list[str], clocks: list[datetime]) -> None:
    """Run every source at every clock, through Dagster, on the history that the UI shows."""
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.defs.execute import execute
    from smartflow_assets.defs.instance import open_instance
    from smartflow_assets.defs.jobs import MONITOR_JOB
    from smartflow_assets.defs.source_partitions import add_partitions

    terminal.say(
        f"Replaying {', '.join(names)}: history up to {clocks[0]:%Y-%m-%d %H:%M}, then hour by hour to {clocks[-1]:%Y-%m-%d %H:%M} UTC."
    )
    total = len(clocks) * len(names)
    with terminal.quiet(), open_instance(settings.dagster_home) as instance, terminal.progress(total, "loading") as advance:
        add_partitions(instance, Catalogue.load(settings))
        tell = _teller(settings)
        for clock in clocks:
            for name in names:
                outcome = execute(instance, settings, MONITOR_JOB, name, {"as_of": clock.isoformat()}, reason="demo")
                if not outcome.is_success:
                    failure = outcome.failures[0] if outcome.failures else None
                    raise SmartflowError(failure.message if failure else "the run failed", source=name)
                advance(1, f"{clock:%d %b %H:%M}  {name}")
            tell()


def _teller(settings: "Settings") -> Callable[[], None]:
    """A function that says which messages went out since it was called last."""
    from smartflow_assets.defs.resources import open_warehouse

    warehouse, told = open_warehouse(settings), set()

    def tell() -> None:
        sent = warehouse.read(
            "SELECT send.idempotency_key AS key, send.happened_at AS at, send.event AS event, send.source AS source, "
            "incident.series AS series, "
            "incident.severity AS severity, incident.title AS title FROM alert_sends AS send "
            "JOIN incidents AS incident ON incident.incident_id = send.incident_id WHERE send.status = 'sent' "
            "ORDER BY send.happened_at, send.incident_id, send.event"
        )
        for row in sent.itertuples(index=False):
            if row.key not in told:
                told.add(row.key)
                style = "green" if row.event == "resolved" else terminal.SEVERITY_STYLES.get(str(row.severity), "")
                terminal.say(
                    f"  {row.at:%d %b %H:%M}  {row.event:9s} {row.severity:8s} {row.source} {row.series}: {row.title}", style
                )

    return tell


def _figures(settings: "Settings", source: "Source") -> Figures:
    from smartflow_assets.adapters.labels import read_labels
    from smartflow_assets.core import evaluation
    from smartflow_assets.core.generators.examples import example
    from smartflow_assets.defs.resources import open_warehouse

    warehouse = open_warehouse(settings)
    rows = warehouse.read(
        "SELECT score.series AS series, score.observed_at AS observed_at, score.value AS value, score.state AS state, "
        "score.is_anomaly OR EXISTS (SELECT 1 FROM rule_violations AS rule WHERE rule.source = score.source AND rule.series = score.series "
        "AND rule.observed_at = score.observed_at) AS is_anomaly "
        "FROM anomaly_scores AS score WHERE score.source = ? ORDER BY score.series, score.observed_at",
        [source.name],
    )
    labels = read_labels(settings.data / (source.labels or f"examples/{source.name}_labels.csv"), source.name)
    judged = rows[rows["state"] != "warming_up"]
    twin = example(source.name).twin
    alerts, days = _twin_alerts(source, twin, len(rows) - len(judged))
    return Figures(
        source=source.name,
        rows=len(rows),
        anomalies=_count(warehouse, "anomalies", source.name),
        incidents=_count(warehouse, "incidents", source.name),
        messages=_count(warehouse, "alert_sends", source.name, "AND status = 'sent'"),
        found=evaluation.event_scores(judged, judged["is_anomaly"].to_numpy(bool), labels),
        baselines={name: evaluation.event_scores(judged, flags, labels) for name, flags in evaluation.baselines(judged).items()},
        twin_days=days,
        twin_alerts=alerts,
    )


def _twin_alerts(source: "Source", twin: "pd.DataFrame", learnt: int) -> tuple[int, float]:
    """False alerts of detectors and rules on the twin, in which nothing happened, and the days that were judged."""
    import pandas as pd

    from smartflow_assets.core import evaluation
    from smartflow_assets.core.detection import detect

    columns = [name for name in twin.columns if name != "timestamp"]
    alerts, days = 0, 0.0
    for column in columns:
        metric = next(metric.name for metric in source.metrics if metric.source_column.column == column)
        frame = pd.DataFrame({"series": metric, "observed_at": twin["timestamp"], "value": twin[column]})
        found = detect(frame, train_rows=learnt // len(columns), settings=source.detection(metric), calendar=source.calendar)
        judged = found[found["state"] != "warming_up"]
        alerts += evaluation.event_scores(judged, judged["is_anomaly"].to_numpy(bool), evaluation.no_labels()).false_alerts
        days += len(judged) * source.time_bucket.every / timedelta(days=1)
    return alerts, days


def _count(warehouse: "Warehouse", table: str, source: str, condition: str = "") -> int:
    return int(warehouse.read(f"SELECT count(*) AS n FROM {table} WHERE source = ? {condition}", [source])["n"].iloc[0])


def _print(figures: list[Figures], settings: "Settings") -> None:
    terminal.table(
        [
            "source",
            "buckets",
            "anomalies",
            "incidents",
            "messages",
            "precision",
            "recall",
            "F1",
            "z-score 2.5",
            "forest .08",
            "false alerts on the twin",
        ],
        [
            [
                f.source,
                f.rows,
                f.anomalies,
                f.incidents,
                f.messages,
                f"{f.found.precision:.2f}",
                f"{f.found.recall:.2f}",
                f"{f.found.f1:.2f}",
                *(f"{b.precision:.2f} / {b.recall:.2f}" for b in f.baselines.values()),
                f"{f.twin_alerts} in {f.twin_days:.0f} series-days",
            ]
            for f in figures
        ],
        right=("buckets", "anomalies", "incidents", "messages", "precision", "recall", "F1"),
    )
    terminal.result(
        f"Precision and recall are of events, on the labels in data/examples. Messages: {settings.outbox}. Rows: smartflow sql "
        '"select * from marts.open_incidents". Pictures: smartflow ui.'
    )


EXAMPLES_OF_USE = """
smartflow demo
SMARTFLOW_HOME=/srv/smartflow smartflow demo
"""
COMMANDS = (("demo", demo, EXAMPLES_OF_USE),)
