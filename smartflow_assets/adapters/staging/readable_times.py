"""Which texts are times to a source, by the SQL that its rows are read with, for what looks at rows before they are staged."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.staging.contract import TimeReading
from smartflow_assets.adapters.staging.text_parsing import moment


class OddTimes(NamedTuple):
    """The places of texts that are no times, and of times that lie after a moment."""

    unreadable: list[int]
    ahead: list[int]


def odd_times(texts: Sequence[str], reading: TimeReading, after: datetime) -> OddTimes:
    """What is odd about these times; `after` is the latest that is not ahead.

    >>> reading = TimeReading("at", ("at",), ("iso",), "Europe/Berlin")
    >>> odd_times(["2026-03-01 09:35", "yesterday", "2126-03-01 09:35"], reading, datetime.fromisoformat("2026-03-02T00:00Z"))
    OddTimes(unreadable=[1], ahead=[2])
    """
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute(f"SET TimeZone = {quoted_text(reading.zone)}")
        rows = connection.execute(
            f"""
            WITH given AS (SELECT unnest(CAST($1 AS VARCHAR[])) AS text, unnest(range(len($1))) AS place),
                 moments AS (SELECT place, {moment("text", reading)} AS moment FROM given)
            SELECT place, moment IS NULL FROM moments WHERE moment IS NULL OR moment > $2 ORDER BY place
            """,
            [list(texts), after],
        ).fetchall()
    return OddTimes(*([int(place) for place, is_none in rows if is_none is wanted] for wanted in (True, False)))
