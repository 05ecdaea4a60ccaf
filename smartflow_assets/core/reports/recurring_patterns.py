"""What comes back: hours, weekdays and causes in which far more incidents begin than chance would bring.

Said only where there is something: at least four incidents on three days or more, twice the even share, and a binomial chance of it below
5 % over all cells that were looked at. The last is needed: of forty incidents spread evenly over five weeks, four begin in the same hour
of the day nine times out of ten.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import comb
from typing import NamedTuple

LEAST_INCIDENTS = 4
LEAST_DAYS = 3  # what breaks together once comes back never
LEAST_RATIO = 2.0
MOST_CHANCE = 0.05
MOST_PATTERNS = 10
_DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


class Begun(NamedTuple):
    """An incident that began: of which source, at which local time, of which cause."""

    source: str
    at: datetime
    cause: str


class Pattern(NamedTuple):
    """A cell that holds too many: `found` of `total` incidents; `chance` is how likely that is by chance, over all cells looked at."""

    source: str
    where: str
    found: int
    total: int
    chance: float

    def __str__(self) -> str:
        return f"{self.source or 'all sources'}: {self.found} of {self.total} incidents {self.where}"


def recurring(begun: Sequence[Begun]) -> list[Pattern]:
    """What comes back, the least likely first: over all sources, and of each source by itself.

    >>> monday = [Begun("shop", datetime(2026, 3, day, 9), "anomaly") for day in (2, 9, 16, 23)]
    >>> [str(each) for each in recurring([*monday, Begun("web", datetime(2026, 3, 4, 17), "run")])][:2]
    ['shop: 4 of 4 incidents begin from 09:00 to 10:00', 'all sources: 4 of 5 incidents begin from 09:00 to 10:00']
    """
    groups = {"": list(begun)}
    for each in begun:
        groups.setdefault(each.source, []).append(each)
    if len(groups) == 2:
        del groups[""]  # of a single source all are its own
    cells = [(source, *cell) for source, own in groups.items() for cell in _cells(own)]
    looked_at = sum(24 + 7 + len({each.cause for each in own}) for own in groups.values())
    found: list[Pattern] = []
    for source, where, inside, total, kinds in cells:
        count, days = len(inside), len({each.at.date() for each in inside})
        if count >= LEAST_INCIDENTS and days >= LEAST_DAYS and count >= LEAST_RATIO * total / kinds:
            chance = min(1.0, _tail(count, total, 1 / kinds) * looked_at)
            if chance <= MOST_CHANCE:
                found.append(Pattern(source, where, count, total, chance))
    return sorted(found, key=lambda each: (each.chance, each.source, each.where))[:MOST_PATTERNS]


def _cells(own: Sequence[Begun]) -> Iterable[tuple[str, list[Begun], int, int]]:
    """What is counted: in words, which incidents, of how many, and into how many kinds they could fall."""
    causes = {each.cause for each in own}
    for hour in sorted({each.at.hour for each in own}):
        yield f"begin from {hour:02}:00 to {(hour + 1) % 24:02}:00", [each for each in own if each.at.hour == hour], len(own), 24
    for day in sorted({each.at.weekday() for each in own}):
        yield f"begin on {_DAYS[day]}", [each for each in own if each.at.weekday() == day], len(own), 7
    for cause in sorted(causes) if len(causes) > 1 else ():
        yield f"are of cause {cause}", [each for each in own if each.cause == cause], len(own), len(causes)


def _tail(count: int, total: int, share: float) -> float:
    """How likely at least so many are where each falls there with this chance."""
    return sum(comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(count, total + 1))
