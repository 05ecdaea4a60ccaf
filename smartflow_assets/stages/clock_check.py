"""What is stored of a time that has not come: runs of a clock that was wrong, and rows that say so themselves.

Neither counts before its time: schedules ask for runs up to now, stages for rows up to now. `smartflow doctor` names them, since
somebody has to mend the clock or the feed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.source import Source
from smartflow_assets.stages.bucket_resolution import with_known_bucket


@dataclass(frozen=True)
class Ahead:
    """So many of a source's runs or rows are newer than the clock, the newest of this time."""

    source: str
    count: int
    newest_at: datetime


def runs_ahead(warehouse: Warehouse, now: datetime) -> list[Ahead]:
    """Of each source whose run_log has runs that began later than now."""
    rows = warehouse.read(
        "SELECT source, count(*) AS n, max(started_at) AS at FROM run_log WHERE started_at > ? GROUP BY source ORDER BY source", [now]
    )
    return [Ahead(str(row["source"]), int(row["n"]), row["at"].to_pydatetime()) for row in rows.to_dict("records")]


def rows_ahead(warehouse: Warehouse, sources: Iterable[Source], now: datetime) -> list[Ahead]:
    """Of each source whose stored rows have times later than now by more than a bucket."""
    found = []
    for source in sources:
        if not warehouse.has_table(raw_table(source.name)):
            continue
        time = quoted_column(source.time_column)
        latest = now + with_known_bucket(source, warehouse).time_bucket.every
        row = warehouse.read(
            f"SELECT count(*) AS n, max({time}) AS at FROM {quoted(raw_table(source.name))} WHERE {time} > ?", [latest]
        ).iloc[0]
        if not pd.isna(row["at"]):
            found.append(Ahead(source.name, int(row["n"]), row["at"].to_pydatetime()))
    return found
