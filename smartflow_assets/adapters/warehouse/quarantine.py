"""Rows in quarantine that leave it or are put away: by a person, and by a server that answers with them no more.

How rows come into it, and leave it with the next content of their file, is in `load.py` and `retained_rows.py`.
"""

from collections.abc import Sequence

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.warehouse.row_writes import AN_INSTANT, Change, single
from smartflow_assets.adapters.warehouse.writes import DropHeld, Load, Reconcile

HELD_COUNTS = """
SELECT source, count(*) AS n FROM (
    SELECT source FROM quarantined_records WHERE state = 'held' UNION ALL SELECT source FROM diverted_rows WHERE state = 'held')
GROUP BY source ORDER BY source
"""
"""The rows of each source that wait for somebody: those that cannot be read, and those that its contract diverts."""
_ITS_ROWS = "source = ? AND origin = ? AND state = 'held'"


def drop_held(connection: duckdb.DuckDBPyConnection, write: DropHeld) -> list[Change]:
    """Marks held rows as dropped, so that a file which still has them does not bring them back as held."""
    chosen, bound = "source = ? AND state = 'held' AND (origin = ? OR ? IS NULL)", [write.source, write.origin, write.origin]
    extent = f"SELECT min(quarantined_at), max(quarantined_at) FROM quarantined_records WHERE {chosen}"
    since, until = connection.execute(extent, bound).fetchall()[0]
    if since is None:
        return []
    (count,) = connection.execute(f"UPDATE quarantined_records SET state = 'dropped' WHERE {chosen}", bound).fetchall()[0]
    return [Change(write.source, "quarantined_records", "rewrite", since, until + AN_INSTANT, count)]


def release_answered(connection: duckdb.DuckDBPyConnection, write: Reconcile) -> list[Change]:
    """Lets go what an earlier answer to the same question had and this one has not: the server has mended it, or has it no more."""
    if not single(connection, f"SELECT count(*) FROM quarantined_records WHERE {_ITS_ROWS}", [write.source, write.origin]):
        return []
    rejected = _records(write.loads)
    (count,) = connection.execute(
        f"DELETE FROM quarantined_records WHERE {_ITS_ROWS} AND CAST(record AS VARCHAR) NOT IN ({rejected})", [write.source, write.origin]
    ).fetchall()[0]
    window = (write.ingested_at, write.ingested_at + AN_INSTANT)
    return [Change(write.source, "quarantined_records", "load", *window, count)] if count else []


def _records(loads: Sequence[Load]) -> str:
    files = [quoted_text(load.rejected) for load in loads if load.rejected is not None]
    return f"SELECT CAST(record AS VARCHAR) FROM read_parquet([{', '.join(files)}])" if files else "SELECT '' WHERE FALSE"
