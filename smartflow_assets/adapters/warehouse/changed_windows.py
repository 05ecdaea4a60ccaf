"""The windows of time that a load has changed: each instant whose rows are others now, and no instant whose rows are the same.

Changed instants between which no other instant is stored make one window. A load may touch every second instant of ten million, so
beyond MOST_WINDOWS the narrowest gaps are covered too: what is looked at again below costs little there, and windows cost each.
"""

from datetime import datetime

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.row_writes import AN_INSTANT, Change

MOST_WINDOWS = 50


def changed_windows(
    connection: duckdb.DuckDBPyConnection,
    instants: str,
    table: str,
    time_column: str,
) -> list[tuple[datetime, datetime]]:
    """The windows [from, to) of `instants`, a query of one column `_time`, in a table as it is after the change; none for no instants."""
    time = quoted_column(time_column)
    since, until = connection.execute(f"SELECT min(_time), max(_time) FROM ({instants})").fetchall()[0]
    if since is None:
        return []
    return [
        (first, last + AN_INSTANT)
        for first, last in connection.execute(
            f"""
            WITH changed AS (SELECT DISTINCT _time FROM ({instants})),
            others AS (SELECT DISTINCT {time} AS _time FROM {quoted(table)} WHERE {time} BETWEEN ? AND ?),
            marked AS (
                SELECT _time, TRUE AS is_changed FROM changed
                UNION ALL SELECT _time, FALSE AS is_changed FROM others ANTI JOIN changed USING (_time)
            ),
            islands AS (
                SELECT _time, is_changed,
                       row_number() OVER (ORDER BY _time) - row_number() OVER (PARTITION BY is_changed ORDER BY _time) AS island
                FROM marked
            ),
            runs AS (
                SELECT min(_time) AS first, max(_time) AS last FROM islands WHERE is_changed GROUP BY island
            ),
            gaps AS (SELECT *, first - lag(last) OVER (ORDER BY first) AS gap FROM runs),
            ranked AS (SELECT *, row_number() OVER (ORDER BY gap DESC NULLS FIRST, first) AS place FROM gaps),
            joined AS (
                SELECT *, sum(CAST(place <= {MOST_WINDOWS} AS INTEGER)) OVER (ORDER BY first ROWS UNBOUNDED PRECEDING) AS window_number
                FROM ranked
            )
            SELECT min(first), max(last) FROM joined GROUP BY window_number ORDER BY 1""",
            [since, until],
        ).fetchall()
    ]


def load_changes(
    source: str,
    table: str,
    windows: list[tuple[datetime, datetime]],
    row_count: int,
    fingerprint: str | None,
) -> list[Change]:
    """A row of `writes` for each window; the rows that were written are counted once."""
    return [
        Change(source, table, "load", first, last, 0 if place else row_count, fingerprint) for place, (first, last) in enumerate(windows)
    ]
