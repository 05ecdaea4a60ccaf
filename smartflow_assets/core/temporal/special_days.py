"""Which days are not like others: holidays, the days before, after and between, and the events of a business.

A day has one role, the first of those in `ROLES` that fits it. What such days do to a series is learnt in `detection.calendar_effects`.
"""

from datetime import date, timedelta
from typing import Literal, NamedTuple, get_args

from smartflow_assets.core.temporal.calendar import Calendar

Role = Literal["event", "holiday", "bridge", "before", "after"]
ROLES: tuple[Role, ...] = get_args(Role)
DAY = timedelta(days=1)
SATURDAY = 5


class SpecialDay(NamedTuple):
    """A local day, its role, and the name of the holiday or event that it is or lies beside."""

    day: date
    role: Role
    name: str

    def __str__(self) -> str:
        """How it stands in a sentence.

        >>> str(SpecialDay(date(2026, 11, 25), "before", "Thanksgiving Day")), str(SpecialDay(date(2026, 11, 27), "event", "black friday"))
        ('the day before Thanksgiving Day', 'black friday')
        """
        return {"before": "the day before ", "after": "the day after ", "bridge": "the bridge day of "}.get(self.role, "") + self.name


def special_days(calendar: Calendar, first: date, last: date) -> list[SpecialDay]:
    """The special days from `first` to `last`, in order.

    >>> found = special_days(Calendar(holidays="US"), date(2026, 11, 20), date(2026, 11, 30))
    >>> [(f"{day:%a %d}", role) for day, role, _ in found]
    [('Wed 25', 'before'), ('Thu 26', 'holiday'), ('Fri 27', 'bridge')]
    """
    names = calendar.holiday_names(tuple(range((first - DAY).year, (last + DAY).year + 1)))
    found = [SpecialDay(day, "event", event.name) for event in calendar.events for day in event.days]
    found += [SpecialDay(day, "holiday", name) for day, name in names.items()]
    for day, name in names.items():
        for side in (-DAY, DAY):
            role: Role = "before" if side < timedelta(0) else "after"
            beside = day + side
            if (beside + side).weekday() >= SATURDAY > max(beside.weekday(), day.weekday()):
                role = "bridge"
            found.append(SpecialDay(beside, role, name))
    by_day: dict[date, SpecialDay] = {}
    for special in sorted(found, key=lambda special: (ROLES.index(special.role), special.day)):
        by_day.setdefault(special.day, special)
    return sorted(special for special in by_day.values() if first <= special.day <= last)
