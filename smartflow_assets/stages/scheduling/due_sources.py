"""Which sources are due to be watched or trained, from what the published copy says of their last runs.

A run that is newer than the clock ran while the clock was wrong, and counts for nothing: its source would wait until then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.temporal.schedule import MANUAL, latest_slot

RETRIES_AT_ONCE = 3


@dataclass(frozen=True)
class LastRun:
    """The last run of a source that was not killed, and how many killed ones came after it."""

    started_at: datetime | None
    killed_since: int


def last_runs(warehouse: Warehouse, now: datetime) -> dict[str, LastRun]:
    """For each source that has ever been watched."""
    rows = warehouse.published_read(
        """
        WITH log AS (FROM run_log WHERE job = 'monitor_source' AND started_at <= ?),
             last AS (SELECT source, max(started_at) FILTER (WHERE status <> 'killed') AS finished_at FROM log GROUP BY source)
        SELECT log.source AS source, any_value(last.finished_at) AS finished_at,
               count(*) FILTER (WHERE log.status = 'killed' AND (last.finished_at IS NULL OR log.started_at > last.finished_at)) AS killed,
               max(log.started_at) AS newest_at
        FROM log JOIN last ON last.source = log.source GROUP BY log.source
        """,
        [now],
    )
    return {
        str(row["source"]): LastRun(_moment(row["newest_at" if row["killed"] >= RETRIES_AT_ONCE else "finished_at"]), int(row["killed"]))
        for row in rows.to_dict("records")
    }


def monitoring_due(catalogue: Catalogue, runs: Mapping[str, LastRun], now: datetime) -> list[str]:
    """Sources whose newest slot has had no run. A broken file is due each hour: it must fail where people look."""
    due = []
    for name in catalogue.names:
        source = catalogue.sources.get(name)
        slot = latest_slot(source.schedule, name, now, source.calendar.timezone) if source else latest_slot("1h", name, now)
        run = runs.get(name)
        if slot is not None and (run is None or run.started_at is None or run.started_at < slot):
            due.append(name)
    return due


def last_trainings(warehouse: Warehouse, now: datetime) -> dict[str, datetime]:
    """When each source that has a model was last trained, or last tried: a training that finds too little changes nothing."""
    rows = warehouse.published_read(
        """
        WITH trainings AS (
            SELECT source, trained_at FROM trained_models
            UNION ALL SELECT source, started_at FROM run_log WHERE job = 'train_source'
        )
        SELECT source, coalesce(max(trained_at) FILTER (WHERE trained_at <= ?), TIMESTAMPTZ '1970-01-01') AS trained_at
        FROM trainings WHERE source IN (SELECT source FROM trained_models) GROUP BY source
        """,
        [now],
    )
    return {str(row["source"]): row["trained_at"] for row in rows.to_dict("records")}


def training_due(catalogue: Catalogue, trainings: Mapping[str, datetime], now: datetime) -> list[str]:
    """Sources whose newest model is older than `training.every`; a source without any model is trained when it is watched."""
    return [
        name
        for name, source in catalogue.sources.items()
        if source.schedule != MANUAL and name in trainings and now - trainings[name] >= source.training.every
    ]


def _moment(time: Any) -> datetime | None:
    return None if pd.isna(time) else time
