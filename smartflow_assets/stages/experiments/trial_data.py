"""The clean rows of a source to try settings on, made once: what `core.evaluation.walk_forward` is given by `compare` and `tune`.

Read and cleaned by the stages of a run, in a folder of its own that the caller throws away.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.adapters.warehouse.blocked_loads import accepted_rows
from smartflow_assets.adapters.warehouse.writes import Delete
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.core.detection import MetricGroup
from smartflow_assets.core.evaluation.walk_forward import TrialData
from smartflow_assets.stages import preparation, quality
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.experiments import backtest
from smartflow_assets.stages.metric_groups import groups_of
from smartflow_assets.stages.run import SourceRun


@dataclass(frozen=True)
class SourceTrialData:
    """A source's run in a throw-away folder, its clean rows (of `TrialData`, with dimensions and repair), and its labels (series,
    started_at, ended_at) if it names some."""

    run: SourceRun
    trial_data: TrialData
    labels: pd.DataFrame | None

    @property
    def groups(self) -> list[MetricGroup]:
        """The metrics that have rows, grouped by the settings of the source."""
        return groups_of(self.run.source, self.metrics)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that have rows."""
        return tuple(sorted(self.trial_data.rows["metric"].unique()))


def source_trial_data(source: Source, settings: Settings, apart: Settings, catalogue: Catalogue, now: datetime) -> SourceTrialData:
    """Read the rows of a source, or take those that are stored, and clean them in `apart`. SourceError when there are none."""
    warehouse = backtest.stored_rows(source, settings, apart, catalogue, now)
    warehouse.commit(backtest.RUN_ID, [Delete(table, source.name) for table in backtest.MADE])
    time = quoted_column(source.time_column)
    newest = warehouse.read(f"SELECT max({time}) AS at FROM {accepted_rows(source.name)}")["at"].iloc[0]
    run = SourceRun(source, apart, catalogue, warehouse, ModelStore(apart.models), newest, backtest.RUN_ID, is_sending=False)
    run = with_bucket(run)
    bucket = run.source.time_bucket
    run = replace(run, now=newest + bucket.every + bucket.settle_time)
    preparation.clean_series(run)
    rows = preparation.clean_rows(run, quality.EVER, run.now).sort_values(["observed_at", "series"], ignore_index=True)
    labels = quality.known_labels(run) if source.labels else None
    return SourceTrialData(run, TrialData(rows, bucket.every, source.training.window, source.calendar), labels)
