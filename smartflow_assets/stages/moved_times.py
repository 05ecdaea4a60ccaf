"""Rows whose times moved, because those without a zone are read in another one: whether some have, and what the next run will move.

A file or a server is read again where its key says another zone than holds now (adapters.staging.reading_key). The load of such rows
has a fingerprint in `writes`; clean rows that are older than it were made of times that nobody has any more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pandas as pd

from smartflow_assets.adapters.ingest import feed_state, known_contents
from smartflow_assets.adapters.readers import FileReader, ReadContext
from smartflow_assets.adapters.readers.feed import FeedReader
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.staging.contract import origin_of
from smartflow_assets.adapters.staging.reading_key import split
from smartflow_assets.adapters.staging.stage import has_local_times
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.source import Source
from smartflow_assets.core.errors import SourceError

_MOVED = """
WITH made AS (
    SELECT written_at, operation FROM writes WHERE source = ? AND table_name = ? AND operation IN ('replace', 'delete')
), moved AS (
    SELECT max(written_at) AS moved_at FROM writes
    WHERE source = ? AND table_name = ? AND operation = 'load' AND fingerprint IS NOT NULL
)
SELECT count(*) > 0 AS has_moved FROM made, moved
WHERE operation = 'replace' AND written_at < moved_at
  AND written_at > coalesce((SELECT max(written_at) FROM made WHERE operation = 'delete'), TIMESTAMPTZ '1970-01-01')
"""


def has_moved(warehouse: Warehouse, source: str, table: str = "clean_series") -> bool:
    """Are there rows of a table from before raw rows were read again in another zone?"""
    return bool(warehouse.read(_MOVED, [source, table, source, raw_table(source)])["has_moved"].iloc[0])


@dataclass(frozen=True)
class Shift:
    """What moves in the next run. `again` are the files that are read again, `kept` those that are there no more; `again` is None
    for a server. `is_certain`: values are known to name no zone."""

    before: str
    after: str
    again: int | None
    kept: int
    hours: tuple[float, float]
    is_certain: bool

    def __str__(self) -> str:
        least, most = self.hours
        by = f"{least:g} h" if least == most else f"{least:g} to {most:g} h"
        zones = f"times without a zone were read as {self.before}, now as {self.after}"
        if not self.is_certain:
            return f"{zones}: if the server gives any, it is asked again for all that it has, and they move by {by}"
        if self.again is None:
            asked = f"the server is asked again for all that it has, and what it has no more keeps {self.before}"
            return f"{zones}: stored times move by {by}; {asked}"
        again = f"{zones}: stored times move by {by}; {self.again:,} file{' is' if self.again == 1 else 's are'} read again"
        if not self.kept:
            return again
        gone = "1 origin that cannot be read again keeps" if self.kept == 1 else f"{self.kept:,} origins that cannot be read again keep"
        return f"{again}, {gone} {self.before}"


def coming_shift(source: Source, warehouse: Warehouse, data: Path) -> Shift | None:
    """What the next run will move because times without a zone are read in another one; None when nothing does."""
    reader, zone = source.read, source.calendar.timezone
    if isinstance(reader, FeedReader):
        key = reader.reading(source.wanted, zone)
        state = feed_state(warehouse, source.name, reader.prefix, key)
        if state.zone_before is None:
            return None
        return _shift(source, warehouse, state.zone_before, key.zone, None, 0, is_certain=state.had_zone)
    if not isinstance(reader, FileReader):
        return None
    with TemporaryDirectory() as folder:
        return _shift_of_files(source, reader, warehouse, ReadContext(source.name, data, Path(folder), source.wanted, timezone=zone))


def _shift_of_files(source: Source, reader: FileReader, warehouse: Warehouse, context: ReadContext) -> Shift | None:
    known = {origin: split(content_hash)[1] for origin, content_hash in known_contents(warehouse, source.name).items()}
    try:
        files = {origin_of(path, context.data): path for path in reader.files(source.name, context.data)}
    except SourceError:  # there is none; the run says so
        files = {}
    zones = {origin: before for origin, path in files.items() if (before := reader.zone_before(known.get(origin, ""), path, context))}
    told = [origin for origin in zones if "@" in known[origin]]
    if not zones or not (told or any(_is_moving(reader, files[origin], context) for origin in zones)):
        return None
    before, after = zones[next(iter(zones))], reader.time.reading(context.timezone).zone
    gone = [origin for origin in known if origin not in files and reader.zone_before(known[origin], Path(origin), context) == before]
    return _shift(source, warehouse, before, after, len(zones), len(gone), is_certain=True)


def _is_moving(reader: FileReader, path: Path, context: ReadContext) -> bool:
    try:
        return has_local_times(reader, path, context, reader.layout(path))
    except SourceError:  # the run says what is wrong with it, and moves nothing
        return False


def _shift(source: Source, warehouse: Warehouse, before: str, after: str, again: int | None, kept: int, *, is_certain: bool) -> Shift:
    time = quoted_column(source.time_column)
    times = warehouse.read(f"SELECT min({time}) AS first, max({time}) AS last FROM {quoted(raw_table(source.name))}").iloc[0]
    return Shift(before, after, again, kept, _hours(before, after, times["first"], times["last"]), is_certain)


def _hours(before: str, after: str, first: datetime, last: datetime) -> tuple[float, float]:
    """By how many hours, at least and at most, a clock on the wall means another moment in one zone than in the other."""
    days = pd.date_range(first, max(last, first + timedelta(days=1)), periods=400)
    apart = [abs((_offset(day, before) - _offset(day, after)).total_seconds()) / 3600 for day in days]
    return min(apart), max(apart)


def _offset(at: pd.Timestamp, zone: str) -> timedelta:
    return at.to_pydatetime().astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)
