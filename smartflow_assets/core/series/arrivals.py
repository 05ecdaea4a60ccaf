"""When rows of a source come: how late they are by nature, how often, and whether a silence is longer than it ever was.

A source is silent where buckets have no row although rows usually are there at this hour of this weekday. Pauses that come back
(nights, weekends) are none, and neither is what lies behind the front: rows that are late by nature cannot be there yet.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

import numpy as np

from smartflow_assets.core.temporal.time_grid import TimeGrid

HISTORY = timedelta(weeks=12)
"""How far back arrivals are looked at."""
REGULAR_LOADS, DELAY_LOADS, DELAY_QUANTILE = 10, 100, 0.95
RECORDING_AFTER, RECORDING_LEAST = 10, timedelta(hours=1)  # see `recording_after`
WEEKS = 4  # the earlier weeks that say how many rows are usual at an hour
LONGER_THAN_BEFORE = 2.5  # times the longest pause that was no exception: one false alarm a year where five rows a week come at any time
WEEKS_AN_EXCEPTION = 4  # one pause in so many weeks may be an outage, which is no measure of what is usual
YOUNG = timedelta(days=1)  # silence of a source without an earlier week, in the time of working days
WEEK = timedelta(weeks=1)


def recording_after(distance: timedelta) -> timedelta:
    """How old the newest row of the freshest load is at least in a recording, whose rows are so far apart: of rows each second, as of those
    each five minutes, a load may well wait an hour.

    >>> recording_after(timedelta(seconds=1)), recording_after(timedelta(days=1))
    (datetime.timedelta(seconds=3600), datetime.timedelta(days=10))
    """
    return max(RECORDING_AFTER * distance, RECORDING_LEAST)


def usual_delay(ages: np.ndarray, first_age: float = 0.0) -> timedelta:
    """How old the oldest new row of a load usually is: of the last hundred regular loads nearly all (not the one that came
    after somebody had slept), of fewer than ten half of them.

    `ages`: seconds between the oldest new row of each regular load and its ingestion, in order of the loads; `first_age`: between the
    newest row of the first load and that, which is all that is known before there are others.

    >>> usual_delay(np.full(12, 3600.0)), usual_delay(np.array([3600.0, 7200.0, 90000.0])), usual_delay(np.array([]), 1800.0)
    (datetime.timedelta(seconds=3600), datetime.timedelta(seconds=7200), datetime.timedelta(seconds=1800))
    """
    if not len(ages):
        return timedelta(seconds=max(0.0, first_age))
    quantile = DELAY_QUANTILE if len(ages) >= REGULAR_LOADS else 0.5
    return timedelta(seconds=max(0.0, float(np.quantile(ages[-DELAY_LOADS:], quantile, method="lower"))))


@dataclass(frozen=True)
class MissedArrivals:
    """A stretch without rows, in arrivals (buckets that usually have rows): how many did not come, and how many may be missing
    before that is unusual."""

    missed: float
    limit: float

    @property
    def is_unusual(self) -> bool:
        """Whether it is longer than what comes back."""
        return self.missed >= self.limit

    @property
    def is_long(self) -> bool:
        """Whether it is several times as long as what would be unusual."""
        return self.missed >= 4 * self.limit


class Arrivals:
    """The buckets of a source that hold rows, of the last twelve weeks: `filled` are their numbers in `grid`."""

    def __init__(self, filled: np.ndarray, grid: TimeGrid) -> None:
        self._filled, self._grid = np.unique(filled), grid
        self._week = WEEK // grid.every if grid.every < WEEK and not WEEK % grid.every else 0

    @property
    def filled(self) -> np.ndarray:
        """The numbers of the buckets with rows, in order, each once."""
        return self._filled

    @property
    def distance(self) -> timedelta:
        """How far apart buckets with rows usually are."""
        steps = np.diff(self._filled)
        return (int(np.median(steps)) if len(steps) else 1) * self._grid.every

    def silence(self, end: int) -> MissedArrivals:
        """The silence between the last bucket with rows and the bucket `end`, which is the first that need not be there yet."""
        filled = self._filled
        if not len(filled) or filled[-1] >= end - 1:
            return MissedArrivals(0, 1)
        starts, ends = filled[:-1] + 1, filled[1:]
        gaps = np.flatnonzero(ends > starts)
        starts, ends = np.append(starts[gaps], filled[-1] + 1), np.append(ends[gaps], end)
        weekly = self._in_earlier_weeks(starts, ends)
        is_young = bool(np.isnan(weekly[-1]))
        missed = self._if_they_came_evenly(starts, ends) if is_young else weekly[~np.isnan(weekly)]
        weeks = (filled[-1] - filled[0] + 1) * self._grid.every / WEEK
        exceptions = 0 if is_young else ceil(weeks / WEEKS_AN_EXCEPTION)
        ordinary = np.sort(missed[:-1])[: max(0, len(missed) - 1 - exceptions)]
        longest = LONGER_THAN_BEFORE * float(ordinary[-1]) if len(ordinary) else 0.0
        least = YOUNG / self.distance if is_young and self._week else 0.0
        return MissedArrivals(float(missed[-1]), max(longest, least, self._least))

    @property
    def _least(self) -> int:
        """Arrivals that may always be missing, less one: of rows that come often, some may be late."""
        return 3 if self.distance <= timedelta(hours=1) else 2 if self.distance < timedelta(days=1) else 1

    def _in_earlier_weeks(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """For each stretch [start, end), how many of its buckets had rows in the earlier weeks (their median); NaN where there is
        no earlier week."""
        counts = np.full((WEEKS, len(starts)), np.nan)
        for row, weeks in enumerate(range(1, WEEKS + 1) if self._week else ()):
            first, last = self._weeks_before(starts, weeks), self._weeks_before(ends, weeks)
            is_known = first >= self._filled[0]
            counts[row, is_known] = (np.searchsorted(self._filled, last) - np.searchsorted(self._filled, first))[is_known]
        has_week = ~np.isnan(counts).all(axis=0)
        result = np.full(len(starts), np.nan)
        result[has_week] = np.nanmedian(counts[:, has_week], axis=0)
        return result

    def _weeks_before(self, numbers: np.ndarray, weeks: int) -> np.ndarray:
        """The buckets of the same local time so many weeks earlier."""
        zone = self._grid.calendar.timezone
        if self._grid.is_local or zone == "UTC":
            return numbers - weeks * self._week
        local = self._grid.calendar.local(self._grid.start(numbers)).tz_localize(None) - weeks * WEEK
        is_first = np.ones(len(local), dtype=bool)
        return self._grid.number(local.tz_localize(zone, ambiguous=is_first, nonexistent="shift_forward"))

    def _if_they_came_evenly(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """For each stretch, how many of its buckets would have rows if these came evenly through working days; through all
        days where buckets are as long as a day or longer."""
        if self._grid.every >= timedelta(days=1):
            return (ends - starts) * (self._grid.every / self.distance)
        first = int(starts[0])
        days = self._grid.calendar.local(self._grid.start(np.arange(first, int(ends[-1])))).day_of_week.to_numpy()
        working = np.concatenate([[0], np.cumsum(days < 5)])
        return (working[ends - first] - working[starts - first]) * (self._grid.every / self.distance)
