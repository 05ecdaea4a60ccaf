"""How often something may happen, as people write it: `1 per week`."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s+(?:per|a)\s+(hour|day|week|month)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Frequency:
    """So many in each hour, day, week or month (30 days).

    >>> parse_rate("3 per week").per_day == 3 / 7, str(parse_rate("0.5 per day"))
    (True, '0.5 per day')
    """

    count: float
    span: str

    @property
    def per_day(self) -> float:
        """The same as a number for each day."""
        return self.count / DAYS[self.span]

    def __str__(self) -> str:
        return f"{self.count:g} per {self.span}"


def parse_rate(value: object) -> Frequency:
    """`"1 per week"` or a Frequency to a Frequency; ValueError for anything else, and for none at all."""
    if isinstance(value, Frequency):
        return value
    found = _PATTERN.fullmatch(value) if isinstance(value, str) else None
    if found is None or not float(found[1]):
        raise ValueError(f"{value!r} is no rate; write a number and a span, such as 1 per week or 3 per day")
    return Frequency(float(found[1]), found[2].lower())


Rate = Annotated[
    Frequency,
    BeforeValidator(parse_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s+(per|a)\s+(hour|day|week|month)\s*$", "examples": ["1 per week"]}),
]
