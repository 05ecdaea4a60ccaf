"""The stretch of time that a report is of: a week of ISO 8601, Monday to Sunday in a zone, or any other."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

_WEEK = re.compile(r"(\d{4})-?W(\d{2})", re.IGNORECASE)


class Period(NamedTuple):
    """From `start` to before `end`, both aware; `name` is `2026-W48` for a week, and fit for a file name."""

    name: str
    start: datetime
    end: datetime
    timezone: str

    def earlier(self, number: int) -> "Period":
        """The stretch of the same length so many lengths before; weeks are those of the calendar, whatever the clocks did."""
        zone, days = ZoneInfo(self.timezone), (self.end - self.start + timedelta(hours=2)).days
        if not days:
            back = number * (self.end - self.start)
            return Period("", self.start - back, self.end - back, self.timezone)
        moved = [
            (each.astimezone(zone).replace(tzinfo=None) - timedelta(days=number * days)).replace(tzinfo=zone).astimezone(UTC)
            for each in (self.start, self.end)
        ]
        return Period("", moved[0], moved[1], self.timezone)


def week_named(text: str, timezone: str) -> Period:
    """The week of a name such as 2026-W48. ValueError for what is none.

    >>> week_named("2026-W48", "Europe/Berlin").start.isoformat(), week_named("2026-w01", "UTC").end.isoformat()
    ('2026-11-22T23:00:00+00:00', '2026-01-05T00:00:00+00:00')
    """
    found = _WEEK.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
        next_monday = monday + timedelta(days=7)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no week") from None
    start, end = (datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC) for day in (monday, next_monday))
    return Period(f"{found[1]}-W{found[2]}", start, end, timezone)


def last_week(now: datetime, timezone: str) -> Period:
    """The newest week that is over.

    >>> last_week(datetime(2026, 11, 30, 6, tzinfo=UTC), "UTC").name
    '2026-W48'
    """
    year, week, _ = (now.astimezone(ZoneInfo(timezone)).date() - timedelta(days=7)).isocalendar()
    return week_named(f"{year:04}-W{week:02}", timezone)
