"""A day that a business knows and no public calendar does: a sale, an election, a release, the last day of a quarter."""

from datetime import date, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_DAYS = 366
"""Days of one range: what lasts longer is a level, not an event."""


class DateRange(BaseModel):
    """Several days in a row, the first and the last included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_: date = Field(alias="from", description="The first day.", examples=["2026-12-01"])
    to: date = Field(description="The last day.", examples=["2026-12-24"])

    @model_validator(mode="after")
    def _is_forward(self) -> Self:
        if not self.from_ <= self.to < self.from_ + timedelta(days=MOST_DAYS):
            raise ValueError(f"{self.from_} to {self.to}: a range goes from its first day to its last, at most {MOST_DAYS} days")
        return self


class Event(BaseModel):
    """A kind of day, and when it was and will be; days are those of the calendar's zone.

    >>> Event.model_validate({"name": "black friday", "dates": ["2025-11-28", {"from": "2026-11-27", "to": "2026-11-28"}]}).days
    (datetime.date(2025, 11, 28), datetime.date(2026, 11, 27), datetime.date(2026, 11, 28))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=60, description="What people call it; it stands in messages.", examples=["black friday"])
    dates: tuple[date | DateRange, ...] = Field(
        min_length=1,
        description="Its days: dates, and ranges as {from: 2026-12-01, to: 2026-12-24}. What it does is learnt from those that are past.",
        examples=[["2025-11-28", "2026-11-27"]],
    )

    @property
    def days(self) -> tuple[date, ...]:
        """All its days, each once, in order."""
        found = set[date]()
        for given in self.dates:
            first, last = (given.from_, given.to) if isinstance(given, DateRange) else (given, given)
            found |= {first + timedelta(days=number) for number in range((last - first).days + 1)}
        return tuple(sorted(found))
