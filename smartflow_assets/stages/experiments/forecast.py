"""Forecast: what the stored model expects of the buckets to come of one series, with a range that earlier forecasts have kept to.

Read from the published copy; nothing is trained and nothing written. The buckets are those of the source's grid, so holidays, events and
changes of the clock are where the calendar has them. A range follows from values alone: detectors that read features say how strange a row
is, and none of them where it will lie, so no features are made of buckets that have no values.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.published_warehouse import PublishedWarehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.detection import MetricGroup, minimum_rows
from smartflow_assets.core.detection.outlook import MOST_ROWS, Outlook, outlook, rows_ahead
from smartflow_assets.core.errors import ModelError, NotThereError
from smartflow_assets.core.nearest_name import did_you_mean
from smartflow_assets.stages import preparation
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.model_ledger import FIRST, StoredModel, current_model
from smartflow_assets.stages.run import SourceRun

RUN_ID = "forecast"
_NEWEST = "SELECT max(observed_at) AS at FROM clean_series WHERE source = ?"
_METRIC = "SELECT any_value(metric) AS metric FROM clean_series WHERE source = ? AND series = ?"
_NAMES = "SELECT DISTINCT series FROM clean_series WHERE source = ? ORDER BY series LIMIT 10000"


@dataclass(frozen=True)
class Forecast:
    """The buckets after `newest_at`, the newest one of the source: when each starts, and what is expected of it."""

    source: str
    series: str
    metric: str
    model_id: str
    newest_at: datetime
    at: pd.DatetimeIndex
    outlook: Outlook

    def values(self) -> dict[str, Any]:
        """As plain values; `at` in milliseconds since 1970."""
        columns = {name: getattr(self.outlook, name).tolist() for name in ("expected", "lower", "upper")}
        return {
            "source": self.source,
            "series": self.series,
            "metric": self.metric,
            "model_id": self.model_id,
            "newest_at": self.newest_at,
            "origin_count": self.outlook.origin_count,
            "at": self.at.as_unit("ms").asi8.tolist(),
            **columns,
        }


def forecast(name: str, series: str, settings: Settings, catalogue: Catalogue, buckets: int | None = None) -> Forecast:
    """What is expected of the next buckets of a series, as many as make a season unless said. NotThereError for a source or a series that
    there is not, ModelError where no model can say, WarehouseError where nothing was published yet."""
    source, warehouse = catalogue.source(name), PublishedWarehouse(settings.warehouse_file, settings.published_file)
    run = SourceRun(source, settings, catalogue, warehouse, ModelStore(settings.models), datetime.now(UTC), RUN_ID, is_sending=False)
    with warehouse.reading():
        return _forecast(with_bucket(run), series, buckets)


def _forecast(run: SourceRun, series: str, buckets: int | None) -> Forecast:
    newest = run.warehouse.read(_NEWEST, [run.name])["at"].iloc[0]
    metric = run.warehouse.read(_METRIC, [run.name, series])["metric"].iloc[0]
    if pd.isna(metric):
        names = run.warehouse.read(_NAMES, [run.name])["series"].tolist()
        otherwise = f"/api/data/{run.name} lists them." if names else f"`smartflow run {run.name}` reads rows."
        raise NotThereError("there is no such series", source=run.name, where="series", remedy=did_you_mean(series, names, otherwise))
    grid, every = preparation.bucket_plan(run).grid, run.source.time_bucket.every
    [group] = [group for group in metric_groups(run) if metric in group.metrics]
    model = _model(run, group)
    rows = preparation.observed_rows(run, model.fitted.context_from, newest + every, [series])
    first = grid.number([newest])[0] + 1
    at = grid.start(first + np.arange(min(buckets or rows_ahead(every), MOST_ROWS)))
    known = rows.loc[rows["value"].notna(), "observed_at"]
    silent = int(first - 1 - grid.number([known.max()])[0]) if len(known) else 0
    if silent > MOST_ROWS:
        what = f"{series} has had no value for {silent:,} buckets, and what was usual before says nothing of the next"
        raise ModelError(what, source=run.name, where="series", remedy="Ask again once it has values.")
    times, ahead = (each.tz_localize(None).to_numpy().astype("datetime64[us]") for each in (pd.DatetimeIndex(rows["observed_at"]), at))
    try:
        found = outlook(model.fitted, series, times, rows["value"].to_numpy(float), ahead)
    except ModelError as error:
        remedy = f"The next training learns it; `smartflow models train {run.name}` trains now."
        raise ModelError(f"{series}: {error.what}", source=run.name, where="series", remedy=remedy) from None
    return Forecast(run.name, series, str(metric), model.model_id, newest.to_pydatetime(), at, found)


def _model(run: SourceRun, group: MetricGroup) -> StoredModel:
    """The model that judges these metrics now."""
    current = current_model(run, group)
    if current.model is not None:
        return current.model
    if current.missing == FIRST:
        needed = minimum_rows(group.settings, run.source.time_bucket.every)
        remedy = f"A run trains one as soon as there are {needed:,} buckets."
        raise ModelError("no model was trained yet", source=run.name, remedy=remedy)
    raise ModelError(f"no model fits: {current.missing}", source=run.name, remedy=f"`smartflow run {run.name}` trains one.")
