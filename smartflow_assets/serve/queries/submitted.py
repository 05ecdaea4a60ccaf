"""What became of rows that were sent: how many are stored, which could not be read, what was flagged at their times."""

from typing import Any

from smartflow_assets.adapters.sql_quoting import quoted
from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.adapters.warehouse.tables import raw_table

_UNREAD = """
SELECT row_number - $3 AS "row", reason FROM quarantined_records
WHERE source = $1 AND origin = $2 AND row_number >= $3 AND row_number < $4 ORDER BY row_number LIMIT 100
"""
_FLAGGED = """
SELECT anomaly_id, series, started_at, ended_at, severity, explanation FROM anomalies
WHERE source = $1 AND ended_at > $2 AND started_at <= $3 ORDER BY started_at DESC, anomaly_id LIMIT 100
"""


def fate(snapshot: Snapshot, source: str, time_column: str, origin: str, first_row: int, row_count: int) -> dict[str, Any]:
    """stored_count, quarantined (row, counted from 0, and reason) and anomalies of rows `first_row` and after of a file."""
    span = [source, origin, first_row, first_row + row_count]
    told: dict[str, Any] = {"stored_count": 0, "quarantined": snapshot.rows(_UNREAD, span), "anomalies": []}
    has_table = snapshot.rows(
        "SELECT 1 AS one FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'raw' AND table_name = $1",
        [source],
    )
    if has_table:
        at = '"' + time_column.replace('"', '""') + '"'
        [stored] = snapshot.rows(
            f"SELECT count(*) AS n, min({at}) AS from_at, max({at}) AS to_at FROM {quoted(raw_table(source))} "
            "WHERE _origin = $1 AND _row >= $2 AND _row < $3",
            span[1:],
        )
        told["stored_count"] = stored["n"]
        if stored["n"]:
            told["anomalies"] = snapshot.rows(_FLAGGED, [source, stored["from_at"], stored["to_at"]])
    return told
