"""Reconcile: the end of a server's window. What the server no longer has is removed, and how far it was read is written down.

The pages are in the raw table already, each by a commit of its own (`load.py`), and the rows that an earlier window brought still
stand beside those that correct them. So a run that is killed between two pages has lost nothing and doubled nothing: the next one
asks for the same window, since only here it becomes known how far everything was read.
"""

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.load import ledger, stage
from smartflow_assets.adapters.warehouse.quarantine import release_answered
from smartflow_assets.adapters.warehouse.row_writes import AN_INSTANT, Change, has_table, single
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.writes import Loaded, Reconcile


def reconcile(connection: duckdb.DuckDBPyConnection, write: Reconcile, run_id: str) -> list[Change]:
    """Applies the write inside the open transaction."""
    changes = [*_remove_what_is_gone(connection, write, run_id), *release_answered(connection, write)]
    reached = single(
        connection,
        "SELECT max(reached_at) FROM ingestions WHERE source = ? AND starts_with(origin, ?) AND content_hash = ?",
        [write.source, write.feed, write.content_hash],
    )
    if write.reached_at is not None and (reached is None or write.reached_at > reached):
        none = Loaded(write.source, write.origin, 0, 0, 0, 0, 0, None, None)
        changes.append(ledger(connection, write, none, run_id, write.reached_at))
    return changes


def _remove_what_is_gone(connection: duckdb.DuckDBPyConnection, write: Reconcile, run_id: str) -> list[Change]:
    raw = raw_table(write.source)
    if write.first_at is None or not has_table(connection, raw):
        return []
    time = quoted_column(write.loads[0].time_column)
    after, first_at = ">=" if write.is_from_start else ">", max(write.first_at, write.since or write.first_at)
    earlier = (
        f"FROM {quoted(raw)} WHERE starts_with(_origin, ?) AND {time} {after} ? AND {time} <= ?"
        " AND _run_id <> ?"
    )  # what this run added is in the answer
    bound = [write.feed, first_at, write.last_at, run_id]
    if not single(connection, f"SELECT count(*) FROM (SELECT 1 {earlier} LIMIT 1)", bound):
        return []
    connection.execute("CREATE TEMP TABLE answered (_row_hash UBIGINT, _time TIMESTAMPTZ)").fetchall()
    for page in write.loads:
        stage(connection, page)
        connection.execute("INSERT INTO temp.answered SELECT _row_hash, _time FROM staged").fetchall()
        connection.execute("DROP VIEW temp.staged").fetchall()
    connection.execute(
        f"CREATE TEMP TABLE vanished AS SELECT * FROM (SELECT _origin, _row, _row_hash, {time} AS _time {earlier})"
        " ANTI JOIN temp.answered USING (_row_hash, _time)",
        bound,
    ).fetchall()
    count, first_at, last_at = connection.execute("SELECT count(*), min(_time), max(_time) FROM temp.vanished").fetchall()[0]
    if count:
        connection.execute(f"DELETE FROM {quoted(raw)} WHERE (_origin, _row) IN (SELECT _origin, _row FROM temp.vanished)").fetchall()
    for name in ("answered", "vanished"):
        connection.execute(f"DROP TABLE temp.{name}").fetchall()
    return [Change(write.source, raw, "load", first_at, last_at + AN_INSTANT, count, write.loads[0].fingerprint)] if count else []
