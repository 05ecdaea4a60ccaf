"""Durations as people write them: `5min`, `1h`, `60 days`.

One type for every field of the YAML that holds a length of time; it reads text and writes the shortest text back, so that
a resolved source prints what a person would have written.
"""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_NAMES = {
    "s": "s",
    "sec": "s",
    "second": "s",
    "seconds": "s",
    "m": "min",
    "min": "min",
    "minute": "min",
    "minutes": "min",
    "h": "h",
    "hour": "h",
    "hours": "h",
    "d": "d",
    "day": "d",
    "days": "d",
    "w": "w",
    "week": "w",
    "weeks": "w",
}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def parse_duration(value: object) -> timedelta:
    """`"90min"`, `"1.5 hours"` or a timedelta to a timedelta; ValueError for anything else.

    >>> parse_duration("1 day 6h")
    datetime.timedelta(days=1, seconds=21600)
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a duration; write a number and a unit, such as 5min, 1h or 7 days")
    at, seconds = 0, 0.0
    while at < len(value):
        part = _PATTERN.match(value, at)
        if part is None or part[2].lower() not in _NAMES:
            raise ValueError(f"{value!r} is not a duration; write a number and a unit, such as 5min, 1h or 7 days")
        seconds += float(part[1]) * _SECONDS[_NAMES[part[2].lower()]]
        at = part.end()
    if at == 0:
        raise ValueError("an empty text is not a duration; write a number and a unit, such as 5min, 1h or 7 days")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back to the same value.

    >>> format_duration(timedelta(minutes=90)), format_duration(timedelta(days=1)), format_duration(timedelta(days=7))
    ('90min', '1 day', '7 days')
    """
    seconds = value.total_seconds()
    if seconds and seconds % 86400 == 0:
        days = int(seconds // 86400)
        return f"{days} day" if days == 1 else f"{days} days"
    for unit in ("h", "min"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{seconds:g}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\s*(\d+(\.\d+)?\s*[A-Za-z]+\s*)+$", "examples": ["5min", "1h", "7 days"]}),
]
