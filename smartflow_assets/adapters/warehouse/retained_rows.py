"""Rows that a file held once and holds no more, because it begins later now: the export of the last 24 hours, a log begun anew.

They are before what the file covers, so it says nothing of them: they stay, with numbers from 0 downwards that keep their order,
since 1 and up are those of the file as it is. Unreadable rows have no time; those that are not in the file any more stay too.
"""

from datetime import datetime

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.row_writes import single
from smartflow_assets.adapters.warehouse.writes import Load


def set_aside(connection: duckdb.DuckDBPyConnection, table: str, write: Load, first_at: datetime | None) -> bool:
    """Numbers the older rows of the origin downwards. True when there are any, of this load or of one before."""
    time = quoted_column(write.time_column)
    is_older = f"_origin = ? AND ({time} < ? OR CAST(? AS TIMESTAMPTZ) IS NULL)"
    bound = [write.origin, first_at, first_at]
    if first_at is not None:  # an empty content has no row whose number could be meant
        _number_downwards(connection, quoted(table), "_row", is_older, bound, "_origin = ?", [write.origin])
    return bool(single(connection, f"SELECT count(*) FROM (SELECT 1 FROM {quoted(table)} WHERE {is_older} LIMIT 1)", bound))


def set_aside_unreadable(connection: duckdb.DuckDBPyConnection, write: Load, rejected: str) -> int:
    """Keeps the unreadable rows that are not among `rejected`, a scan; one that only moved within the file keeps its state and is
    told as held already. Returns how many rows changed."""
    mine = [write.source, write.origin]
    here = "source = ? AND origin = ?"
    same_place = f"SELECT 1 FROM {rejected} AS rejected WHERE rejected.row_number = held.row_number AND rejected.record = held.record"
    moved = connection.execute(
        f"""
        UPDATE quarantined_records AS held SET row_number = moved.row_number
        FROM (
            SELECT old.row_number AS old_number, fresh.row_number AS row_number
            FROM (SELECT row_number, record, row_number() OVER (PARTITION BY record ORDER BY row_number) AS nth
                  FROM quarantined_records WHERE {here} AND row_number > 0) AS old
            JOIN (SELECT row_number, record, row_number() OVER (PARTITION BY record ORDER BY row_number) AS nth
                  FROM {rejected}) AS fresh USING (record, nth)
            WHERE old.row_number <> fresh.row_number
        ) AS moved
        WHERE {here} AND held.row_number = moved.old_number""",
        [*mine, *mine],
    ).fetchall()[0][0]
    is_gone = f"{here} AND NOT EXISTS ({same_place})"
    return moved + _number_downwards(connection, "quarantined_records AS held", "row_number", is_gone, mine, here, mine)


def _number_downwards(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    number: str,
    chosen: str,
    bound: list,
    all_: str,
    all_bound: list,
) -> int:
    """The rows above 0 that are chosen go below the lowest number that there is, in their order."""
    highest = single(connection, f"SELECT max({number}) FROM {table} WHERE {chosen} AND {number} > 0", bound)
    if highest is None:
        return 0
    lowest = single(connection, f"SELECT least(min({number}), 1) FROM {table} WHERE {all_}", all_bound)
    ((count,),) = connection.execute(
        f"UPDATE {table} SET {number} = {number} + ? WHERE {chosen} AND {number} > 0", [lowest - 1 - highest, *bound]
    ).fetchall()
    return count
