"""A home with sources in a temporary folder, and small series to put into it."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.names import PARTITION_SET
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.stages import alerting, contracts, detection, drift, ingestion, modelling, preparation, profile, quality, records
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.run import SourceRun
from smartflow_assets_tests.empty_warehouse import empty_warehouse

if TYPE_CHECKING:
    import dagster as dg

    from smartflow_assets.defs.execute import Outcome

START = datetime(2026, 3, 2, tzinfo=UTC)
STEP = timedelta(minutes=5)
WEB = """
name: web
read: {type: csv, path: examples/web.csv, time: timestamp}
metrics: [{name: requests, column: value, aggregate: sum}]
time_bucket: {every: 5min, settle: 0s}
rules: [{type: threshold, metric: requests, above: 1500}]
alerts: {to: [file], max_age: 3650 days}
"""
Stage = Callable[[SourceRun], Any]
STAGES: tuple[Stage, ...] = (  # what a run does, in its order; sending and publishing come after it
    ingestion.raw_records,
    contracts.schema_checks,
    drift.drift_checks,
    profile.data_profile,
    preparation.clean_series,
    preparation.series_features,
    preparation.rule_violations,
    modelling.trained_models,
    detection.anomaly_scores,
    records.record_anomalies,
    detection.anomalies,
    quality.detection_quality,
    alerting.incidents,
)


def stages_until(last: str) -> tuple[Stage, ...]:
    """The stages of a run up to the one of this name."""
    return STAGES[: [stage.__name__ for stage in STAGES].index(last) + 1]


@dataclass
class Home:
    """A folder that holds `data/`, and the instance that its runs are recorded in; None where stages are called without Dagster."""

    folder: Path
    instance: "dg.DagsterInstance | None" = None
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings(self.folder)
        for part in ("sources", "examples"):
            (self.folder / "data" / part).mkdir(parents=True, exist_ok=True)
        if self.instance is None and not self.settings.warehouse_file.exists():
            self.settings.warehouse_file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(empty_warehouse(), self.settings.warehouse_file)
            self.settings.warehouse_file.chmod(0o600)

    @property
    def warehouse(self) -> Warehouse:
        return open_warehouse(self.settings)

    def write_source(self, name: str, text: str) -> Path:
        path = self.settings.sources / f"{name}.yaml"
        path.write_text(text)
        if self.instance is not None and name not in self.instance.get_dynamic_partitions(PARTITION_SET):
            self.instance.add_dynamic_partitions(PARTITION_SET, [name])
        return path

    def write_channels(self, text: str) -> None:
        self.settings.channels_file.write_text(text)

    def run(self, source: str, as_of: datetime, job: str = "monitor_source", **options: object) -> "Outcome":
        from smartflow_assets.defs.execute import execute

        assert self.instance is not None, "stages are called without Dagster here"
        return execute(self.instance, self.settings, job, source, {"as_of": as_of.isoformat(), **options})

    def source_run(self, source: str, now: datetime, run_id: str = "run", **options: Any) -> SourceRun:
        """What stages are given when they are called without Dagster; its source has a bucket as soon as rows tell one."""
        catalogue, models = Catalogue.load(self.settings), ModelStore(self.settings.models)
        run = SourceRun(catalogue.source(source), self.settings, catalogue, self.warehouse, models, now, run_id, **options)
        return with_bucket(run)

    def run_stages(self, source: str, now: datetime, stages: Sequence[Stage] = STAGES, **options: Any) -> dict[str, Any]:
        """What a run does, without Dagster around it, which costs as much again; what each stage answered, by its name."""
        answers, run = {}, self.source_run(source, now, **options)
        for stage in stages:
            answers[stage.__name__] = stage(run)
            run = with_bucket(run)
        return answers

    def table(self, name: str, where: str = "TRUE") -> pd.DataFrame:
        return self.warehouse.read(f"SELECT * FROM {name} WHERE {where}")

    def count(self, name: str, where: str = "TRUE") -> int:
        return int(self.warehouse.read(f"SELECT count(*) AS n FROM {name} WHERE {where}").n[0])

    def sent(self, channel: str | None = None) -> pd.DataFrame:
        return self.table("alert_sends", "status = 'sent'" + (f" AND channel = '{channel}'" if channel else ""))


def daily_series(days: float, *, start: datetime = START, step: timedelta = STEP, seed: int = 7) -> pd.DataFrame:
    """timestamp, value: a daily wave around 500 with a little noise, rounded as a counter would be."""
    times = pd.date_range(start, periods=int(timedelta(days=days) / step), freq=step)
    noise = np.random.default_rng(seed).normal(0, 12, len(times))
    hours = (times.hour + times.minute / 60).to_numpy()
    values = np.round(500 + 200 * np.sin(hours / 24 * 2 * np.pi) + noise)
    return pd.DataFrame({"timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "value": values})


def write_rows(path: Path, rows: pd.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
    return path
