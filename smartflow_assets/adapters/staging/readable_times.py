"""Which texts are times to a source, by the SQL that its rows are read with, for what refuses rows before they are staged."""

from collections.abc import Sequence
from datetime import datetime

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.staging.contract import TimeReading
from smartflow_assets.adapters.staging.text_parsing import moment


def unreadable_times(texts: Sequence[str], reading: TimeReading) -> list[int]:
    """The places of texts that are no times.

    >>> unreadable_times(["2026-03-01 09:35", "yesterday"], TimeReading("at", ("at",), ("iso",), "Europe/Berlin"))
    [1]
    """
    return _places(texts, reading, f"{moment('text', reading)} IS NULL")


def times_after(texts: Sequence[str], reading: TimeReading, at: datetime) -> list[int]:
    """The places of times that lie after a moment.

    >>> reading = TimeReading("at", ("at",), ("iso",), "Europe/Berlin")
    >>> times_after(["2026-03-01 09:35", "2126-03-01 09:35"], reading, datetime.fromisoformat("2026-03-02T00:00Z"))
    [1]
    """
    return _places(texts, reading, f"{moment('text', reading)} > $2", at)


def _places(texts: Sequence[str], reading: TimeReading, condition: str, *bound: datetime) -> list[int]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute(f"SET TimeZone = {quoted_text(reading.zone)}")
        given = "SELECT unnest(CAST($1 AS VARCHAR[])) AS text, unnest(range(len($1))) AS place"
        rows = connection.execute(f"SELECT place FROM ({given}) WHERE {condition} ORDER BY place", [list(texts), *bound]).fetchall()
    return [int(place) for (place,) in rows]
