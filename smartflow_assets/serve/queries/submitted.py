"""What became of rows that were sent: how many are stored, which could not be read, what was flagged at their times.

Rows are found again by their time and their file. The number of a row in its file says it of rows that could not be read alone: what a
later load touches is numbered on.
"""

from typing import Any

from smartflow_assets.adapters.scans.plain_text import RESERVED
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.adapters.staging.contract import TimeReading
from smartflow_assets.adapters.staging.text_parsing import moment
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
_COLUMNS = """
SELECT lower(column_name) AS name FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = 'raw' AND table_name = $1 AND NOT list_contains($2, column_name)
"""
_READ_SINCE = "SELECT 1 FROM ingestions WHERE source = $1 AND origin = $2 AND ingested_at > CAST($3 AS TIMESTAMPTZ) LIMIT 1"
_HAS_TABLE = "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'raw' AND table_name = $1"


def stored_columns(snapshot: Snapshot, source: str) -> list[str]:
    """The columns of the stored rows of a source, in small letters."""
    return [row["name"] for row in snapshot.rows(_COLUMNS, [source, list(RESERVED)])]


def was_read_since(snapshot: Snapshot, source: str, origin: str, ended_at: str) -> bool:
    """Was a file taken after this time?"""
    return bool(snapshot.rows(_READ_SINCE, [source, origin, ended_at]))


def fate(snapshot: Snapshot, source: str, reading: TimeReading, origin: str, first_row: int, times: list[str]) -> dict[str, Any]:
    """stored_count, quarantined (row, counted from 0, and reason) and anomalies of rows whose times are these texts, the first of which
    is row `first_row` of a file."""
    unread = snapshot.rows(_UNREAD, [source, origin, first_row, first_row + len(times)])
    told: dict[str, Any] = {"stored_count": 0, "quarantined": unread, "anomalies": []}
    if snapshot.rows(_HAS_TABLE, [source]):
        snapshot.execute(f"SET SESSION TimeZone = {quoted_text(reading.zone)}")  # times that name none are of this zone
        [stored] = snapshot.rows(
            f"""
            WITH given AS (SELECT unnest(CAST($1 AS VARCHAR[])) AS text), sent AS (SELECT {moment("text", reading)} AS moment FROM given)
            SELECT count(*) AS n, epoch_ms(min(moment)) AS from_ms, epoch_ms(max(moment)) AS to_ms FROM sent
            WHERE moment IN (SELECT {quoted_column(reading.column)} FROM {quoted(raw_table(source))} WHERE _origin = $2)
            """,
            [times, origin],
        )
        snapshot.execute("SET SESSION TimeZone = 'UTC'")
        told["stored_count"] = stored["n"]
        if stored["n"]:
            told["anomalies"] = snapshot.rows(
                _FLAGGED.replace("$2", "make_timestamptz($2 * 1000)").replace("$3", "make_timestamptz($3 * 1000)"),
                [source, stored["from_ms"], stored["to_ms"]],
            )
    return told
