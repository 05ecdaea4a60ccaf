"""When a channel that has a digest sends: once a day or once a week, at a time of its zone.

Slots are computed from the clock alone, so nothing is stored and one that was missed is caught up. What lies before a slot goes with it,
what comes at its very moment or later waits for the next.
"""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.temporal.time_zone import TimeZone

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEKDAYS: dict[str, int] = {name: number for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def _is_clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError(f'{text!r} is no time of the day; write it as "08:00", in quotes')
    return text


class Digest(Declared):
    """All that is due, in one message a day or a week."""

    model_config = ConfigDict(hide_input_in_errors=True)

    every: Literal["day", "week"] = Field(default="day", description="How often.")
    on: Weekday | None = Field(default=None, description="The day, of a digest of every week: mon, tue, wed, thu, fri, sat or sun.")
    at: Annotated[str, AfterValidator(_is_clock)] = Field(description='When, as "08:00" in quotes.')
    timezone: TimeZone = Field(default="UTC", description="The zone of `at`, such as Europe/Berlin.")

    @model_validator(mode="after")
    def _a_week_has_a_day(self) -> "Digest":
        if (self.every == "week") != (self.on is not None):
            raise ValueError("a digest of every week needs `on: mon` or another day" if self.on is None else "`on` goes with `every: week`")
        return self

    def after(self, moment: datetime) -> datetime:
        """The first slot later than a moment, in UTC."""
        return next(slot for slot in self._slots(moment, range(-1, 9)) if slot > moment)

    def before(self, moment: datetime) -> datetime:
        """The last slot earlier than a moment, in UTC."""
        return next(slot for slot in self._slots(moment, range(1, -9, -1)) if slot < moment)

    def named(self, slot: datetime, now: datetime) -> str:
        """A slot as people say it: by its weekday too where it is more than a day away.

        >>> Digest(at="08:00").named(datetime(2026, 3, 3, 8, tzinfo=UTC), datetime(2026, 3, 2, 9, tzinfo=UTC))
        '08:00'
        """
        local = slot.astimezone(ZoneInfo(self.timezone))
        return f"{local:%H:%M}" if slot - now <= timedelta(days=1) else f"{local:%a %H:%M}"

    def __str__(self) -> str:
        zone = "" if self.timezone == "UTC" else f" ({self.timezone})"
        return f"digest each {self.on or 'day'} at {self.at}{zone}"

    def _slots(self, moment: datetime, days: range) -> "list[datetime]":
        zone, (hour, minute) = ZoneInfo(self.timezone), map(int, self.at.split(":"))
        today = moment.astimezone(zone).date()
        dates = (today + timedelta(days=number) for number in days)
        return [
            datetime.combine(date, time(hour, minute), zone).astimezone(UTC)
            for date in dates
            if self.on is None or date.weekday() == _WEEKDAYS[self.on]
        ]
