"""What is new at a source goes into `raw.<source>`: files in one commit, the pages of a server one by one.

Contents are known by their hash: the same file twice is no work, a changed one replaces the rows that came from it. A server is
known by how far it was read to the end. Readers stage, the warehouse's `Load` compares and writes; this module finds out what is
known and sums up what was done.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from smartflow_assets.adapters.readers.base import BaseReader
from smartflow_assets.adapters.readers.feed import FeedReader
from smartflow_assets.adapters.scans.plain_text import printable
from smartflow_assets.adapters.staging.contract import ReadContext, Staged, Wanted
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Load, Loaded, Reconcile

# A row that another origin held was left out. When that origin has since lost rows (a log was rotated), the row may be nowhere:
# such an origin does not count as known, and is read once more. `gone` follows from the counts of two readings in a row.
_KNOWN = """
WITH readings AS (
    SELECT origin, content_hash, duplicate_count, rowid AS reading, row_count - duplicate_count AS held,
           lag(row_count - duplicate_count) OVER (PARTITION BY origin ORDER BY rowid) + new_count - held AS gone
    FROM ingestions WHERE source = ?
), newest AS (
    SELECT origin, arg_max(content_hash, reading) AS content_hash, arg_max(duplicate_count, reading) AS duplicate_count,
           max(reading) AS reading
    FROM readings GROUP BY origin
)
SELECT newest.origin AS origin,
       CASE WHEN newest.duplicate_count > 0 AND EXISTS (
           SELECT 1 FROM readings WHERE gone > 0 AND readings.origin <> newest.origin AND readings.reading > newest.reading
       ) THEN 'to be read again' ELSE newest.content_hash END AS content_hash
FROM newest
"""


@dataclass(frozen=True)
class Ingested:
    """What one ingestion did. `row_count`: readable rows in the origins that were read; `new_rows`: those that changed the
    table; `duplicate_count`: those that another origin holds; `quarantined_count`: held; `dropped_count`: left out on request."""

    row_count: int = 0
    new_rows: int = 0
    duplicate_count: int = 0
    quarantined_count: int = 0
    dropped_count: int = 0
    origins: tuple[str, ...] = ()
    first_at: datetime | None = None
    last_at: datetime | None = None
    notes: tuple[str, ...] = ()


def ingest(
    warehouse: Warehouse,
    source: str,
    reader: BaseReader,
    *,
    wanted: Wanted,
    now: datetime,
    run_id: str,
    staging: Path,
    data: Path,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Ingested:
    """Take what is new; run again, it finds nothing to do.

    `since` and `until` limit what is taken of an origin that was never read before, or asked of a server; the next run without
    them takes the rest. SourceError when an origin cannot be read: of files then nothing is taken, of a server the pages before.
    """
    folder = staging / source
    shutil.rmtree(folder, ignore_errors=True)  # what a killed run left; one run per source holds the source's lock
    known = known_contents(warehouse, source)
    try:
        context = ReadContext(source=source, data=data, staging=folder, wanted=wanted, known=known, since=since, until=until, now=now)
        if isinstance(reader, FeedReader):
            return _summed(_page_by_page(warehouse, reader, context, now, run_id))
        read = list(reader.batches(context))
        staged = [batch for batch in read if batch.row_count or batch.bad_count or batch.origin in known]
        if not staged:
            return Ingested(notes=_notes(read))
        committed = warehouse.commit(
            run_id,
            [
                Load(
                    source,
                    batch.origin,
                    batch.content_hash,
                    batch.parquet,
                    reader.time.column,
                    now,
                    rejected=batch.rejected,
                    on_missing_rows=batch.on_missing_rows,
                )
                for batch in staged
            ],
        )
        return replace(_summed(list(zip(staged, committed.loads, strict=True))), notes=_notes(read))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _page_by_page(
    warehouse: Warehouse,
    reader: FeedReader,
    context: ReadContext,
    now: datetime,
    run_id: str,
) -> list[tuple[Staged, Loaded]]:
    """Each page is committed before the next one is asked for; how far the server was read, once all are there. A time in the
    future is not how far: else one wrong clock would end all reading."""
    source, reading = context.source, reader.reading(context.wanted)
    context = replace(context, reached=reached_at(warehouse, source, reader.prefix, reading))
    read, loads = [], []
    for batch in reader.batches(context):
        if batch.row_count or batch.bad_count:
            loads.append(
                Load(
                    source,
                    batch.origin,
                    batch.content_hash,
                    batch.parquet,
                    reader.time.column,
                    now,
                    rejected=batch.rejected,
                    mode="insert",
                    feed=reader.prefix,
                )
            )
            read.append((batch, *warehouse.commit(run_id, loads[-1:]).loads))
    first_at, last_at = _times([batch for batch, _ in read])
    is_part = context.since is not None or context.until is not None
    if last_at is not None:
        warehouse.commit(
            run_id,
            [
                Reconcile(
                    source,
                    reader.window(context),
                    reading,
                    reader.prefix,
                    tuple(loads),
                    now,
                    first_at,
                    last_at,
                    is_from_start=reader.is_incremental,
                    since=reader.asked_from(context),
                    reached_at=None if is_part else min(last_at, now),
                )
            ],
        )
    return read


def _summed(read: Sequence[tuple[Staged, Loaded]]) -> Ingested:
    batches, loads = [batch for batch, _ in read], [load for _, load in read]
    first_at, last_at = _times(batches)
    return Ingested(
        row_count=sum(load.row_count for load in loads),
        new_rows=sum(load.new_count for load in loads),
        duplicate_count=sum(load.duplicate_count for load in loads),
        quarantined_count=sum(load.quarantined_count for load in loads),
        dropped_count=sum(batch.bad_count for batch in batches if batch.rejected is None),
        origins=tuple(dict.fromkeys(batch.origin for batch in batches)),
        first_at=first_at,
        last_at=last_at,
        notes=_notes(batches),
    )


def _notes(batches: Sequence[Staged]) -> tuple[str, ...]:
    return tuple(printable(f"{batch.origin}: {note}") for batch in batches for note in batch.notes)


def _times(batches: Sequence[Staged]) -> tuple[datetime | None, datetime | None]:
    """The times of the first and of the last row."""
    return (
        min((batch.first_at for batch in batches if batch.first_at), default=None),
        max((batch.last_at for batch in batches if batch.last_at), default=None),
    )


def reached_at(warehouse: Warehouse, source: str, prefix: str, reading: str) -> datetime | None:
    """Up to when a server was read to its end; None when it never was, or was asked for something else."""
    found = warehouse.read(
        "SELECT max(reached_at) AS reached_at FROM ingestions WHERE source = ? AND starts_with(origin, ?) AND content_hash = ?",
        [source, prefix, reading],
    )["reached_at"].iloc[0]
    return None if pd.isna(found) else found.to_pydatetime()


def known_contents(warehouse: Warehouse, source: str) -> Mapping[str, str]:
    """For each origin of the source that was ever read, the hash of its content as stored."""
    rows = warehouse.read(_KNOWN, [source])
    return dict(zip(rows["origin"], rows["content_hash"], strict=True))
