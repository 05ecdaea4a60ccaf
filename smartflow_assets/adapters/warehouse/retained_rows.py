"""Unreadable rows that a file held once and holds no more, because it begins later now: the export of the last 24 hours, a log begun anew.

They have no time, so the file may say nothing of them: they stay, with numbers from 0 downwards that keep their order, since 1 and up are
those of the file as it is.
"""

import duckdb

from smartflow_assets.adapters.warehouse.row_writes import single
from smartflow_assets.adapters.warehouse.writes import Load


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
    highest = single(connection, f"SELECT max(row_number) FROM quarantined_records AS held WHERE {is_gone} AND row_number > 0", mine)
    if highest is None:
        return moved
    lowest = single(connection, f"SELECT least(min(row_number), 1) FROM quarantined_records WHERE {here}", mine)
    ((count,),) = connection.execute(
        f"UPDATE quarantined_records AS held SET row_number = row_number + ? WHERE {is_gone} AND row_number > 0",
        [lowest - 1 - highest, *mine],
    ).fetchall()
    return moved + count
