"""A time that comes again each week, as people write it: `mon 09:00-11:00`, `mon-fri 22:00-02:00`, `fri 20:00-mon 06:00`.

Days and hours are those of clocks on the wall of a time zone, so `mon 09:00` stays nine o'clock when the clocks change. Maintenance
windows have cron lines in its place (`incidents/maintenance`); this is for what a person says in one breath.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY = timedelta(days=1)
_FORM = re.compile(r"([a-z,\-]+) +(\d{1,2}):(\d{2}) *- *(?:([a-z]{3,}) +)?(\d{1,2}):(\d{2})")
_HOW = "write it as mon 09:00-11:00, mon-fri 22:00-02:00, daily 02:00-03:00 or fri 20:00-mon 06:00"


@dataclass(frozen=True)
class RecurringTime:
    """On each of `days` (0 is Monday) from `begins` after midnight for `lasting`.

    >>> str(RecurringTime.parse("Mon-Fri 22:00 - 02:00")), str(RecurringTime.parse("daily 2:00-3:00"))
    ('mon-fri 22:00-02:00', 'daily 02:00-03:00')
    >>> RecurringTime.parse("mon 09:00-11:00").end_of(datetime(2026, 3, 2, 9, 30, tzinfo=UTC), "Europe/Berlin")
    datetime.datetime(2026, 3, 2, 10, 0, tzinfo=datetime.timezone.utc)
    """

    days: tuple[int, ...]
    begins: timedelta
    lasting: timedelta

    @classmethod
    def parse(cls, text: str) -> "RecurringTime":
        """ValueError, with how to write it, for what is no such time."""
        found = _FORM.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError(f"{text!r} is no recurring time; {_HOW}")
        days, until_day = _days(found[1], text), found[4]
        begins, ends = (_of_day(hour, minute, text) for hour, minute in ((found[2], found[3]), (found[5], found[6])))
        if begins >= DAY:
            raise ValueError(f"{text!r} begins at 24:00; write 00:00 of the next day")
        if until_day is None:
            return cls(days, begins, ends - begins if ends > begins else ends - begins + DAY)
        if len(days) != 1:
            raise ValueError(f"{text!r} names a day of its end, so it begins on one day; {_HOW}")
        (until,) = _days(until_day, text)[:1]
        lasting = ((until - days[0]) % 7) * DAY + ends - begins
        return cls(days, begins, lasting if lasting > timedelta(0) else lasting + 7 * DAY)

    @classmethod
    def around(cls, since: datetime, until: datetime, slack: timedelta, timezone: str) -> "RecurringTime":
        """The weekday and the whole hours in which something lay, with so much slack on both sides; ValueError for what lasts a week."""
        zone = ZoneInfo(timezone)
        first, last = (moment.astimezone(zone).replace(tzinfo=None) for moment in (since, until))
        begins = first.replace(minute=0, second=0, microsecond=0) - slack
        hour = last.replace(minute=0, second=0, microsecond=0)
        ends = (hour if hour == last else hour + timedelta(hours=1)) + slack
        if ends - begins >= 7 * DAY:
            raise ValueError(f"what lasts {(ends - begins).days} days comes at no time of the week")
        midnight = begins.replace(hour=0, minute=0)
        return cls((begins.weekday(),), begins - midnight, ends - begins)

    def end_of(self, at: datetime, timezone: str) -> datetime | None:
        """When the time is over in which a moment lies, in UTC; None where it lies in none."""
        zone = ZoneInfo(timezone)
        today = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        ends = list[datetime]()
        for back in range(self.lasting // DAY + 2):
            midnight = today - back * DAY
            if midnight.weekday() not in self.days:
                continue
            wall = (midnight + self.begins, midnight + self.begins + self.lasting)
            begin, end = (moment.replace(tzinfo=zone).astimezone(UTC) for moment in wall)
            if begin <= at < end:
                ends.append(end)
        return max(ends, default=None)

    @property
    def said(self) -> str:
        """As a sentence has it.

        >>> RecurringTime.parse("daily 22:00-02:00").said, RecurringTime.parse("mon 09:00-11:00").said
        ('every day 22:00 to 02:00', 'every Mon 09:00 to 11:00')
        >>> RecurringTime.parse("mon-fri 22:00-02:00").said, RecurringTime.parse("fri 20:00-mon 06:00").said
        ('every Mon to Fri 22:00 to 02:00', 'every Fri 20:00 to Mon 06:00')
        >>> RecurringTime.parse("mon,wed,thu 02:00-03:00").said
        'every Mon, Wed and Thu 02:00 to 03:00'
        """
        days, _, rest = str(self).partition(" ")
        begins, _, ends = rest.partition("-")
        first, *others = (day.title() for day in days.split(","))
        named = f"{', '.join([first, *others[:-1]])} and {others[-1]}" if others else first.replace("-", " to ")
        return f"every {'day' if days == 'daily' else named} {begins} to {ends[:1].upper()}{ends[1:]}"

    def __str__(self) -> str:
        ends, begins = self.begins + self.lasting, _clock(self.begins)
        if self.lasting > DAY:
            return f"{DAYS[self.days[0]]} {begins}-{DAYS[(self.days[0] + ends // DAY) % 7]} {_clock(ends % DAY)}"
        return f"{_named(self.days)} {begins}-{'24:00' if ends == DAY else _clock(ends % DAY)}"


def _days(text: str, whole: str) -> tuple[int, ...]:
    if text == "daily":
        return tuple(range(7))
    found = set[int]()
    for part in text.split(","):
        names = part.split("-")
        if len(names) > 2 or any(len(name) < 3 or not any(day.startswith(name) for day in _FULL) for name in names):
            raise ValueError(f"{whole!r}: {part!r} is no day; {_HOW}")
        begin, end = (DAYS.index(name[:3]) for name in (names[0], names[-1]))
        found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return tuple(sorted(found))


def _of_day(hour: str, minute: str, whole: str) -> timedelta:
    at = timedelta(hours=int(hour), minutes=int(minute))
    if int(minute) > 59 or at > DAY:
        raise ValueError(f"{whole!r}: {hour}:{minute} is no time of a day; {_HOW}")
    return at


def _clock(at: timedelta) -> str:
    minutes = at // timedelta(minutes=1)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _named(days: tuple[int, ...]) -> str:
    if len(days) == 7:
        return "daily"
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{DAYS[days[0]]}-{DAYS[days[-1]]}"
    return ",".join(DAYS[day] for day in days)
