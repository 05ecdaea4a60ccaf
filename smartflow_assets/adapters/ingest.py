"""What is new at a source goes into `raw.<source>`, all of it in one commit.

Contents are known by their hash: the same file twice is no work, a changed one replaces the rows that came from it. Readers
stage, the warehouse's `Load` compares and writes; what is held here is which contents are known and what came of it.
"""
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smartflow_assets.adapters.readers.base import ReadContext, ReaderBase, Wanted
from smartflow_assets.adapters.warehouse import Warehouse
from smartflow_assets.adapters.writes import Load

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
    warehouse: Warehouse, source: str, reader: ReaderBase, *, wanted: Wanted, now: datetime, run_id: str, staging: Path,
    data: Path, since: datetime | None = None, until: datetime | None = None,
) -> Ingested:
    """Take what is new. Either all of it is stored or nothing; run again, it finds nothing to do.

    `since` and `until` limit what is taken of an origin that was never read before; the next run without them takes the rest.
    SourceError when an origin cannot be read: then nothing of the others is taken either.
    """
    folder = staging / source
    shutil.rmtree(folder, ignore_errors=True)  # what a killed run left; one run per source holds the source's lock
    known = known_contents(warehouse, source)
    try:
        context = ReadContext(
            source=source, data=data, staging=folder, wanted=wanted, known=known, since=since, until=until, now=now)
        staged = [batch for batch in reader.batches(context) if batch.row_count or batch.bad_count or batch.origin in known]
        if not staged:
            return Ingested()
        committed = warehouse.commit(run_id, [
            Load(source, batch.origin, batch.content_hash, batch.parquet, reader.time.column, now, rejected=batch.rejected)
            for batch in staged
        ])
        return Ingested(
            row_count=sum(load.row_count for load in committed.loads),
            new_rows=sum(load.new_count for load in committed.loads),
            duplicate_count=sum(load.duplicate_count for load in committed.loads),
            quarantined_count=sum(load.quarantined_count for load in committed.loads),
            dropped_count=sum(batch.bad_count for batch in staged if batch.rejected is None),
            origins=tuple(batch.origin for batch in staged),
            first_at=min((batch.first_at for batch in staged if batch.first_at), default=None),
            last_at=max((batch.last_at for batch in staged if batch.last_at), default=None),
            notes=tuple(f"{batch.origin}: {note}" for batch in staged for note in batch.notes),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def known_contents(warehouse: Warehouse, source: str) -> Mapping[str, str]:
    """For each origin of the source that was ever read, the hash of its content as stored."""
    rows = warehouse.read(_KNOWN, [source])
    return dict(zip(rows["origin"], rows["content_hash"], strict=True))
