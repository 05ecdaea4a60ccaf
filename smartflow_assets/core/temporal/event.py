"""A day that a business knows and no public calendar does: a sale, an election, a release, the last day of a quarter."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from smartflow_assets.core.declared import Declared

MOST_DAYS = 366
"""Days of one range: what lasts longer is a level, not an event."""


class DateRange(Declared):
    """Several days in a row, the first and the last included."""

    from_: date = Field(alias="from", description="The first day.", examples=["2026-12-01"])
    to: date = Field(description="The last day.", examples=["2026-12-24"])


def _is_day_or_range(value: Any) -> object:
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    if is_day or isinstance(value, DateRange | Mapping):
        return cast(object, value)
    try:
        return date.fromisoformat(str(value) if isinstance(value, str) else "")
    except ValueError as error:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            raise ValueError(f"{value} is no date: {error}; write a day that exists") from None
        raise ValueError("write a day such as 2026-11-27, or several in a row such as {from: 2026-12-01, to: 2026-12-24}") from None


class Event(Declared):
    """A kind of day, and when it was and will be; days are those of the calendar's zone.

    >>> Event.model_validate({"name": "black friday", "dates": ["2025-11-28", {"from": "2026-11-27", "to": "2026-11-28"}]}).days
    (datetime.date(2025, 11, 28), datetime.date(2026, 11, 27), datetime.date(2026, 11, 28))
    """

    name: str = Field(min_length=1, max_length=60, description="What people call it; it stands in messages.", examples=["black friday"])
    dates: tuple[Annotated[date | DateRange, BeforeValidator(_is_day_or_range)], ...] = Field(
        description="Its days: dates, and ranges as {from: 2026-12-01, to: 2026-12-24}. What it does is learnt from those that are past.",
        examples=[["2025-11-28", "2026-11-27"]],
    )

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if not self.dates:
            raise ValueError(f"the event {self.name} has no dates; name at least one, past or to come")
        for given in self.dates:
            if isinstance(given, DateRange) and not given.from_ <= given.to < given.from_ + timedelta(days=MOST_DAYS):
                raise ValueError(f"{given.from_} to {given.to}: a range goes from its first day to its last, at most {MOST_DAYS} days")
        return self

    @property
    def days(self) -> tuple[date, ...]:
        """All its days, each once, in order."""
        found = set[date]()
        for given in self.dates:
            first, last = (given.from_, given.to) if isinstance(given, DateRange) else (given, given)
            found |= {first + timedelta(days=number) for number in range((last - first).days + 1)}
        return tuple(sorted(found))
