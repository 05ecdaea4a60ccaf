"""Reconcile: the end of a server's window. What the server has otherwise now is removed, and how far it was read is written down.

The pages are in the raw table already, each by a commit of its own (`load.py`), and the rows that an earlier window brought still
stand beside those that correct them. So a run that is killed between two pages has lost nothing and doubled nothing: the next one
asks for the same window, since only here it becomes known how far everything was read.
"""

from datetime import datetime
from typing import NamedTuple

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.adapters.warehouse.changed_windows import changed_windows, load_changes
from smartflow_assets.adapters.warehouse.load import ledger
from smartflow_assets.adapters.warehouse.quarantine import release_answered
from smartflow_assets.adapters.warehouse.row_balance import is_withheld
from smartflow_assets.adapters.warehouse.row_writes import Change, has_table, single
from smartflow_assets.adapters.warehouse.staged_rows import staged_rows
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.writes import Loaded, Reconcile


class _Removed(NamedTuple):
    """Rows that went, those that stay though the answer does not hold them, and those of them that were to go."""

    removed_count: int = 0
    missing_count: int = 0
    withheld_count: int = 0


def reconcile(connection: duckdb.DuckDBPyConnection, write: Reconcile, run_id: str) -> tuple[Loaded, list[Change]]:
    """Applies the write inside the open transaction."""
    removed, changes = _remove_what_is_gone(connection, write, run_id)
    changes += release_answered(connection, write)
    loaded = Loaded(
        write.source, write.origin, 0, 0, removed.removed_count, 0, 0, None, None, removed.missing_count, removed.withheld_count
    )
    reached, missing, withheld = connection.execute(
        """SELECT max(reached_at), arg_max(missing_count, rowid), arg_max(withheld_count, rowid)
           FROM ingestions WHERE source = ? AND starts_with(origin, ?) AND content_hash = ?""",
        [write.source, write.feed, write.content_hash],
    ).fetchall()[0]
    is_further = write.reached_at is not None and (reached is None or write.reached_at > reached)
    is_other = (missing or 0, withheld or 0) != (removed.missing_count, removed.withheld_count)
    if is_further or is_other or removed.removed_count:
        changes.append(ledger(connection, write, loaded, run_id, write.reached_at if is_further else None))
    return loaded, changes


def _remove_what_is_gone(connection: duckdb.DuckDBPyConnection, write: Reconcile, run_id: str) -> tuple[_Removed, list[Change]]:
    raw = raw_table(write.source)
    if write.first_at is None or write.last_at is None or not has_table(connection, raw):
        return _Removed(), []
    time, time_column = quoted_column(write.loads[0].time_column), write.loads[0].time_column
    since = max(write.first_at, write.since or write.first_at)
    away = ", ".join(map(quoted_text, write.gives_way)) or "NULL"
    is_mine = f"starts_with(_origin, {quoted_text(write.feed)})"
    held = f"""
        SELECT _origin, _row, _row_hash, {time} AS _time, {is_mine} AS is_mine, coalesce(_origin IN ({away}), FALSE) AS is_away, _run_id
        FROM {quoted(raw)} WHERE {time} >= ? AND {time} <= ?"""
    bound = [since, write.last_at]
    earlier = f"SELECT 1 FROM ({held}) WHERE (is_mine AND _run_id <> ?) OR is_away LIMIT 1"  # what this run added is in the answer
    if not single(connection, f"SELECT count(*) FROM ({earlier})", [*bound, run_id]):
        return _Removed(), []
    connection.execute("CREATE TEMP TABLE answered (_row_hash UBIGINT, _time TIMESTAMPTZ)").fetchall()
    for page in write.loads:
        rows = staged_rows(connection, page)[1]
        connection.execute(f"INSERT INTO temp.answered SELECT _row_hash, _time FROM ({rows}) WHERE _time >= ?", [since]).fetchall()
    connection.execute(
        f"""
        CREATE TEMP TABLE excess AS
        WITH answer AS (SELECT _time, _row_hash, count(*) AS n FROM temp.answered GROUP BY ALL),
        stored AS (
            SELECT _time, _row_hash, count(*) AS own FROM ({held}) WHERE is_mine GROUP BY ALL
        )
        SELECT _time, _row_hash, coalesce(n, 0) AS kept, own - coalesce(n, 0) AS count, {_is_told(write)} AS is_told
        FROM stored LEFT JOIN answer USING (_time, _row_hash) WHERE own > coalesce(n, 0)""",
        [*bound, *_edges(write, since)],
    ).fetchall()
    removed = _decide(connection, write, raw)
    connection.execute(
        f"""
        CREATE TEMP TABLE vanished AS
        WITH counted AS (
            SELECT _origin, _row, held._time AS _time, kept,
                   row_number() OVER (PARTITION BY held._time, held._row_hash ORDER BY _run_id <> ?, _origin, _row) AS place
            FROM ({held}) AS held JOIN temp.excess AS excess USING (_time, _row_hash) WHERE is_mine
        )
        SELECT _origin, _row, _time FROM counted WHERE place > kept UNION ALL SELECT _origin, _row, _time FROM ({held}) WHERE is_away""",
        [run_id, *bound, *bound],
    ).fetchall()
    count = single(connection, "SELECT count(*) FROM temp.vanished")
    changes: list[Change] = []
    if count:
        connection.execute(f"DELETE FROM {quoted(raw)} WHERE (_origin, _row) IN (SELECT _origin, _row FROM temp.vanished)").fetchall()
        windows = changed_windows(connection, "SELECT _time FROM temp.vanished", raw, time_column)
        changes = load_changes(write.source, raw, windows, count, write.loads[0].fingerprint)
    for name in ("answered", "excess", "vanished"):
        connection.execute(f"DROP TABLE temp.{name}").fetchall()
    return removed._replace(removed_count=count), changes


def _is_told(write: Reconcile) -> str:
    """Does the answer speak for the instant? Bound by `_edges`."""
    if write.is_anew:
        return "TRUE"
    first = ">=" if write.is_from_start else ">"
    return f"_time {first} ? AND _time IN (SELECT _time FROM temp.answered)"


def _edges(write: Reconcile, since: datetime) -> list[datetime]:
    return [] if write.is_anew else [since]


def _decide(connection: duckdb.DuckDBPyConnection, write: Reconcile, raw: str) -> _Removed:
    """Leaves in `excess` what goes."""
    missing = int(single(connection, "SELECT coalesce(sum(count), 0) FROM temp.excess WHERE NOT is_told"))
    if write.on_missing_rows == "delete" and missing:
        held = single(connection, f"SELECT count(*) FROM {quoted(raw)} WHERE starts_with(_origin, ?)", [write.feed])
        if write.is_removal_accepted or not is_withheld(missing, held):
            return _Removed()
    connection.execute("DELETE FROM temp.excess WHERE NOT is_told").fetchall()
    return _Removed(0, missing, missing if write.on_missing_rows == "delete" else 0)
