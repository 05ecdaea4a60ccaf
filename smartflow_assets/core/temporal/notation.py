"""Times as people write them in YAML and on the command line: durations (`5min`), moments (`2026-03-01T09:35`), rates (`1 per week`).

Each type reads text and writes the shortest text back, so that a resolved source prints what a person would have written.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNIT_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_UNITS = {
    "s": "s",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "m": "min",
    "min": "min",
    "mins": "min",
    "minute": "min",
    "minutes": "min",
    "h": "h",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "d": "d",
    "day": "d",
    "days": "d",
    "w": "w",
    "wk": "w",
    "wks": "w",
    "week": "w",
    "weeks": "w",
    "year": "y",
    "years": "y",
}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)
SPAN_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0, "quarter": 91.0, "year": 365.0}
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s+(?:per|a)\s+(hour|day|week|month|quarter|year)\s*", re.IGNORECASE)


LONGEST = timedelta(days=200 * 365)
"""No duration is longer: a moment and two of them still have a date."""


def parse_duration(value: object) -> timedelta:
    """`"90min"`, `"1.5 hours"` or a timedelta to a timedelta; ValueError for anything else.

    A year is 365 days.

    >>> parse_duration("1 day 6h"), parse_duration("2 years")
    (datetime.timedelta(days=1, seconds=21600), datetime.timedelta(days=730))
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a duration; write a number and a unit, such as 5min, 1h or 7 days")
    at, seconds = 0, 0.0
    while at < len(value):
        part = _DURATION.match(value, at)
        if part is None or part[2].lower() not in _UNITS:
            raise ValueError(f"{value!r} is not a duration; write a number and a unit, such as 5min, 1h or 7 days")
        seconds += float(part[1]) * _UNIT_SECONDS[_UNITS[part[2].lower()]]
        at = part.end()
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{value!r} is longer than {LONGEST.days // 365} years")
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
        if seconds and seconds % _UNIT_SECONDS[unit] == 0:
            return f"{int(seconds // _UNIT_SECONDS[unit])}{unit}"
    return f"{seconds:g}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\s*(\d+(\.\d+)?\s*[A-Za-z]+\s*)+$", "examples": ["5min", "1h", "7 days"]}),
]


def parse_moment(text: str) -> datetime:
    """An ISO time, aware; one without a zone is UTC. ValueError otherwise.

    >>> parse_moment("2026-03-01T09:35 ").isoformat()
    '2026-03-01T09:35:00+00:00'
    """
    time = datetime.fromisoformat(text.strip())
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Frequency:
    """So many in each hour, day, week, month (30 days), quarter (91 days) or year (365 days).

    >>> parse_rate("3 per week").per_day == 3 / 7, str(parse_rate("1 per year"))
    (True, '1 per year')
    """

    count: float
    span: str

    @property
    def per_day(self) -> float:
        """The same as a number for each day."""
        return self.count / SPAN_DAYS[self.span]

    def __str__(self) -> str:
        return f"{self.count:g} per {self.span}"


def parse_rate(value: object) -> Frequency:
    """`"1 per week"` or a Frequency to a Frequency; ValueError for anything else, and for none at all."""
    if isinstance(value, Frequency):
        return value
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not float(found[1]):
        raise ValueError(f"{value!r} is no rate; write a number and a span, such as 1 per week or 3 per day")
    return Frequency(float(found[1]), found[2].lower())


Rate = Annotated[
    Frequency,
    BeforeValidator(parse_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s+(per|a)\s+(hour|day|week|month|quarter|year)\s*$", "examples": ["1 per week"]}
    ),
]
