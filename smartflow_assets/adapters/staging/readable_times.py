"""Which texts are times to a source, by the SQL that its rows are read with, for what refuses rows before they are staged."""

from collections.abc import Sequence

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.staging.contract import TimeReading
from smartflow_assets.adapters.staging.text_parsing import moment


def unreadable_times(texts: Sequence[str], reading: TimeReading) -> list[int]:
    """The places of texts that are no times.

    >>> unreadable_times(["2026-03-01 09:35", "yesterday"], TimeReading("at", ("at",), ("iso",), "Europe/Berlin"))
    [1]
    """
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute(f"SET TimeZone = {quoted_text(reading.zone)}")
        rows = connection.execute(
            f"""
            SELECT place FROM (SELECT unnest(CAST($1 AS VARCHAR[])) AS text, unnest(range(len($1))) AS place)
            WHERE {moment("text", reading)} IS NULL ORDER BY place
            """,
            [list(texts)],
        ).fetchall()
    return [int(place) for (place,) in rows]
