"""Which sources are due to be watched or trained, from what the warehouse says of their last runs.

It is the live file that is asked: the published copy of a large one lags, and a source that has just run would be due again. What goes
wrong with one source keeps no other waiting. A run that is newer than the clock ran while the clock was wrong, and counts for nothing:
its source would wait until then.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from smartflow_assets.adapters.warehouse.readable import Readable
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.temporal.schedule import MANUAL, latest_slot

RETRIES_AT_ONCE = 3
_log = logging.getLogger("smartflow")


@dataclass(frozen=True)
class LastRun:
    """The last run of a source that was not killed, or the last look that found nothing to do, and how many killed runs came after it; and
    how its newest run ended."""

    started_at: datetime | None
    killed_since: int
    status: str = "success"


def last_runs(warehouse: Readable, now: datetime) -> dict[str, LastRun]:
    """For each source that has ever been watched."""
    rows = warehouse.read(
        """
        WITH log AS (FROM run_log WHERE job = 'monitor_source' AND started_at <= ?),
             last AS (SELECT source, max(started_at) FILTER (WHERE status <> 'killed') AS finished_at FROM log GROUP BY source),
             look AS (SELECT source, max(looked_at) AS looked_at FROM source_looks
                      WHERE outcome = 'nothing_new' AND looked_at <= ? GROUP BY source)
        SELECT log.source AS source, greatest(any_value(last.finished_at), any_value(look.looked_at)) AS finished_at,
               count(*) FILTER (WHERE log.status = 'killed' AND (last.finished_at IS NULL OR log.started_at > last.finished_at)) AS killed,
               greatest(max(log.started_at), any_value(look.looked_at)) AS newest_at, arg_max(log.status, log.started_at) AS status
        FROM log JOIN last ON last.source = log.source LEFT JOIN look ON look.source = log.source GROUP BY log.source
        """,
        [now, now],
    )
    return {
        str(row["source"]): LastRun(
            _moment(row["newest_at" if row["killed"] >= RETRIES_AT_ONCE else "finished_at"]), int(row["killed"]), str(row["status"])
        )
        for row in rows.to_dict("records")
    }


def monitoring_due(catalogue: Catalogue, runs: Mapping[str, LastRun], now: datetime) -> list[str]:
    """Sources whose newest slot has had no run. A broken file is due each hour: it must fail where people look."""

    def is_due(name: str) -> bool:
        source = catalogue.sources.get(name)
        slot = latest_slot(source.schedule, name, now, source.calendar.timezone) if source else latest_slot("1h", name, now)
        run = runs.get(name)
        return slot is not None and (run is None or run.started_at is None or run.started_at < slot)

    return list(each_by_itself(catalogue.names, is_due))


def each_by_itself(names: Iterable[str], is_chosen: Callable[[str], bool]) -> Iterator[str]:
    """The sources that are chosen. One that cannot be asked is left out and told in the log, since the others wait behind it."""
    for name in names:
        try:
            if is_chosen(name):
                yield name
        except Exception:
            _log.exception("%s is left out of this look at the sources, the others go on", name)


def last_trainings(warehouse: Warehouse, now: datetime) -> dict[str, datetime]:
    """When each source that has a model was last trained, or last tried: a training that finds too little changes nothing."""
    rows = warehouse.read(
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

    def is_due(name: str) -> bool:
        source = catalogue.sources[name]
        return source.schedule != MANUAL and name in trainings and now - trainings[name] >= source.training.every

    return list(each_by_itself(catalogue.sources, is_due))


def _moment(time: Any) -> datetime | None:
    return None if pd.isna(time) else time
