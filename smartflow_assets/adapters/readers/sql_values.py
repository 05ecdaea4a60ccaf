"""Values of a database as JSON, and times as a database compares them."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from smartflow_assets.adapters.staging.contract import TimeReading

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)  # no time before it is believed (staging.text_parsing)


def as_line(row: Mapping[str, Any]) -> str:
    """A row as one line of JSON.

    >>> as_line({"n": Decimal("1.50"), "raw": b"\\x01", "at": datetime(2026, 3, 1, 9)})
    '{"n": "1.50", "raw": "01", "at": "2026-03-01 09:00:00"}'
    """
    return json.dumps({name: _database_value(value) for name, value in row.items()}, ensure_ascii=False)


def _database_value(value: Any) -> Any:
    """A value as JSON knows it. NaN and infinity become text: the row is not to look as if the value were null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if abs(value) < float("inf") else str(value)
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return format(value, "f") if value.is_finite() else str(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case Mapping():
            return {str(name): _database_value(inner) for name, inner in value.items()}
        case list() | tuple() | set():
            return [_database_value(inner) for inner in value]
        case _:
            return str(value)


def bound_moment(at: datetime | None, time: TimeReading, dialect: str) -> Any:
    """The moment as `:since`, never later than it is; long ago for None.

    A number where read.time.format says so. For PostgreSQL a time with its zone, since the session's zone is the column's; for
    others the wall clock of the column's zone. SQLite has texts: there it is the wall clock or UTC, whichever is earlier, since a
    text may name its own offset.
    """
    at = at or EARLIEST
    if time.is_epoch:
        return int((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1 if time.formats[0] == "unix_ms" else 1000))
    if dialect == "postgresql":
        return at
    wall = at.astimezone(ZoneInfo(time.zone)).replace(tzinfo=None)
    if dialect == "sqlite":
        return min(wall, at.astimezone(UTC).replace(tzinfo=None)).isoformat(sep=" ", timespec="seconds")
    return wall


def bound_day(at: datetime | None, time: TimeReading, dialect: str) -> Any:
    """The day of the moment as `:since`, for a column of dates beside one of times of the day: never later than it is."""
    day = (at or EARLIEST).astimezone(ZoneInfo(time.zone)).date()
    return day.isoformat() if dialect == "sqlite" else day
