"""Backtest: what a source would have flagged and told, had it been watched with given settings.

Through the same stages as a run, in a folder of its own that the caller throws away: nothing of the real warehouse, models or
messages is written. Scores, anomalies and incidents do not depend on how runs split the time, so one run over the history is as
good as one for each bucket; only a training is bound to a moment.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.adapters.warehouse import publishing
from smartflow_assets.adapters.warehouse.blocked_loads import accepted_rows
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Delete
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.evaluation.metrics import Quality, no_labels
from smartflow_assets.core.reports import series_plot
from smartflow_assets.core.series.learning_policy import LEARN_SHARE
from smartflow_assets.stages import alerting, detection, ingestion, modelling, preparation, quality, records
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.run import SourceRun

STAGES = 8  # that report their begin in each run of a replay
MADE = (
    *preparation.MADE_FROM_RAW,
    "profile_series",
    "encodings",
    "trained_models",
    "training_requests",
    "record_models",
    "incident_events",
    "incidents",
    "alert_sends",
    "feedback",  # it was said of incidents that a replay finds for itself
    "detection_quality",
)
INCIDENTS = """
SELECT series, opened_at, last_seen_at, resolved_at, severity, state, anomaly_count, title FROM incidents
WHERE source = ? AND cause = 'anomaly' AND opened_at >= ? ORDER BY opened_at, series
"""
RUN_ID = "backtest"
EARLIER = timedelta(days=3)  # shown before the first judged row


@dataclass(frozen=True)
class Replay:
    """What came out. `incidents` are those that opened in the time that was asked for, with is_told: whether they are
    severe enough for a message; `quality` is of the judged rows of that time, against `labels` if the source has some."""

    run: SourceRun
    since: datetime | None
    incidents: pd.DataFrame
    anomaly_count: int
    quality: Quality
    labels: pd.DataFrame | None
    curves: bytes | None

    def plot(self, series: str) -> bytes | None:
        """One series with what was flagged, large; None when it has no rows."""
        until = self.run.now + self.run.source.time_bucket.every
        first = min(each.from_at for each in self.quality.series)
        rows = detection.judged_rows(self.run, first - EARLIER, until)
        rows = rows[rows["series"] == series]
        if rows.empty:
            return None
        known = None if self.labels is None else self.labels[self.labels["series"] == series]
        strange = rows[rows["is_anomalous"] & (rows["observed_at"] >= first)]
        return series_plot.series_plot(
            rows,
            strange,
            title=f"{self.run.name} {series}",
            unit=self.run.source.unit(str(rows["metric"].iloc[0])),
            timezone=self.run.source.calendar.timezone,
            training_cut=first if self.since is None else None,
            size="large",
            known=known,
        )


def stored_rows(source: Source, settings: Settings, apart: Settings, catalogue: Catalogue, now: datetime) -> Warehouse:
    """A warehouse in `apart` that holds the rows of the source and nothing made of them: a copy of the published one where that
    has them, else what the source's reader gives."""
    warehouse = Warehouse(apart.warehouse_file, apart.published_file)
    if settings.published_file.exists():
        apart.warehouse_file.parent.mkdir(parents=True, exist_ok=True)
        publishing.clone(settings.published_file, apart.warehouse_file)
    run = SourceRun(source, apart, catalogue, warehouse, ModelStore(apart.models), now, RUN_ID)
    if ingestion.stored_rows(run.warehouse, run.name) == 0:
        ingestion.raw_records(run)
    if ingestion.stored_rows(run.warehouse, run.name) == 0:
        raise SourceError("there are no rows to replay", source=source.name, remedy="Does its reader find any? `smartflow run` says so.")
    return warehouse


def replay(
    source: Source,
    settings: Settings,
    catalogue: Catalogue,
    warehouse: Warehouse,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    is_retraining: bool = False,
    report: Callable[[str], None] = lambda stage: None,
) -> Replay:
    """Watch the rows that `warehouse` (a throw-away one, below `settings.state`) holds, up to `until` or their end.

    Models learn from what lies before `since` (without it from the first third), as at a first run then; `is_retraining` learns
    anew as often as `training.every` says. SourceError when no row could be judged.
    """
    warehouse.commit(RUN_ID, [Delete(table, source.name) for table in MADE])
    silent = source.model_copy(update={"alerts": source.alerts.model_copy(update={"to": (), "routes": ()})})  # no messages are planned
    silent._files = source._files
    first, newest = _extent(warehouse, source)
    models = ModelStore(settings.models)
    run = with_bucket(SourceRun(silent, settings, catalogue, warehouse, models, newest, RUN_ID, report=report, is_sending=False))
    bucket = run.source.time_bucket
    run = replace(run, now=until or newest + bucket.every + bucket.settle_time)
    for clock in _clocks(run, first, since, is_retraining):
        _watch(replace(run, now=clock))
        if is_retraining and clock < run.now:
            modelling.trained_models(replace(run, now=clock, is_retraining=True, reason="schedule", report=lambda stage: None))
    labels = quality.known_labels(run) if source.labels else None
    found, curves = quality.measured(run, no_labels() if labels is None else labels, since or quality.EVER)
    if not found.series:
        raise SourceError(
            "no row of that time could be judged: there is too little history before it",
            source=source.name,
            remedy="Choose a later --from, or none.",
        )
    bound = [source.name, since or quality.EVER]
    counted = warehouse.read("SELECT count(*) AS n FROM anomalies WHERE source = ? AND started_at >= ?", bound)
    incidents = warehouse.read(INCIDENTS, bound)
    incidents["is_told"] = [source.alerts.is_worth_telling(severity) for severity in incidents["severity"]]
    return Replay(run, since, incidents, int(counted["n"].iloc[0]), found, labels, curves())


def run_count(source: Source, warehouse: Warehouse, since: datetime | None, until: datetime | None, *, is_retraining: bool) -> int:
    """How many runs a replay is, about, for a progress bar."""
    if not is_retraining:
        return 1 if since is None else 2
    first, newest = _extent(warehouse, source)
    begin = since or first + (newest - first) * LEARN_SHARE
    return 1 + max(0, int(((until or newest) - begin) / source.training.every))


def _watch(run: SourceRun) -> None:
    """A run, but for reading and sending."""
    preparation.clean_series(run)
    preparation.rule_violations(run)
    preparation.series_features(run)
    modelling.trained_models(run)
    detection.anomaly_scores(run)
    records.record_anomalies(run)
    detection.anomalies(run)
    alerting.incidents(run)


def _clocks(run: SourceRun, first: datetime, since: datetime | None, is_retraining: bool) -> list[datetime]:
    """When the runs of the replay take place; the last is at its end."""
    if not is_retraining:
        return [run.now] if since is None else [since, run.now]
    begin = since or first + (run.now - first) * LEARN_SHARE
    count = max(0, int((run.now - begin) / run.source.training.every))
    clocks = [begin + number * run.source.training.every for number in range(count + 1)]
    return [*(clock for clock in clocks if clock < run.now), run.now]


def _extent(warehouse: Warehouse, source: Source) -> tuple[datetime, datetime]:
    time = quoted_column(source.time_column)
    row = warehouse.read(f"SELECT min({time}) AS first_at, max({time}) AS last_at FROM {accepted_rows(source.name)}").iloc[0]
    return row["first_at"], row["last_at"]
