"""How time is cut into buckets: where each starts, where it ends, and which are shorter or longer than they should be.

Buckets below a day are cut in UTC; whole days and weeks in the calendar's zone, where a day may have 23 or 25 hours. Weeks
start on Monday. Cleaning, aggregation in SQL and everything that counts buckets use the same grid, from the same origin.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from smartflow_assets.core.temporal.calendar import Calendar, Times

DAY = timedelta(days=1)
ORIGIN = date(2000, 1, 3)  # a Monday
ORIGIN_US = 946_857_600_000_000  # the same in microseconds since 1970


@dataclass(frozen=True)
class TimeGrid:
    """Buckets of length `every`.

    >>> grid = TimeGrid(timedelta(days=1), Calendar(timezone="Europe/Berlin"))
    >>> grid.starts(pd.Timestamp("2026-03-28T23:00Z"), pd.Timestamp("2026-03-30T22:00Z")).strftime("%dT%H:%M").tolist()
    ['28T23:00', '29T22:00']
    """

    every: timedelta
    calendar: Calendar = field(default_factory=Calendar)

    @property
    def is_local(self) -> bool:
        """Cut in the calendar's zone rather than in UTC."""
        return self.every >= DAY

    @property
    def width(self) -> int:
        """Length of a bucket in its own unit: days when local, else microseconds."""
        return self.every // (DAY if self.is_local else timedelta(microseconds=1))

    def number(self, times: Times) -> np.ndarray:
        """Which bucket each time (aware) lies in; consecutive buckets have consecutive numbers."""
        if self.is_local:
            since_origin = self.calendar.local(times).tz_localize(None).to_numpy().astype("datetime64[D]") - np.datetime64(ORIGIN)
            return since_origin.astype(np.int64) // self.width
        return (_microseconds(times) - ORIGIN_US) // self.width

    def start(self, numbers: np.ndarray) -> pd.DatetimeIndex:
        """Where the buckets of these numbers start, in UTC; on a day without midnight, its first moment."""
        if self.is_local:
            days = pd.DatetimeIndex(np.datetime64(ORIGIN) + np.asarray(numbers, np.int64) * self.width).as_unit("us")
            first = np.ones(len(days), dtype=bool)  # of two midnights, the first
            return days.tz_localize(self.calendar.timezone, ambiguous=first, nonexistent="shift_forward").tz_convert("UTC")
        return pd.DatetimeIndex((np.asarray(numbers, np.int64) * self.width + ORIGIN_US).astype("datetime64[us]"), tz="UTC")

    def floor(self, at: datetime) -> pd.Timestamp:
        """The start of the bucket that `at` lies in."""
        return self.start(self.number([pd.Timestamp(at)]))[0]

    def step(self, at: datetime, buckets: int) -> pd.Timestamp:
        """The start of the bucket that lies `buckets` after (or before, when negative) the one of `at`."""
        return self.start(self.number([pd.Timestamp(at)]) + buckets)[0]

    def numbers(self, since: datetime, until: datetime) -> np.ndarray:
        """The numbers of all buckets that start in [since, until)."""
        first, end = self.number([pd.Timestamp(since), pd.Timestamp(until)])
        first, end = (int(n + (self.start(np.array([n]))[0] < at)) for n, at in ((first, since), (end, until)))
        return np.arange(first, max(first, end))

    def starts(self, since: datetime, until: datetime) -> pd.DatetimeIndex:
        """The starts of all buckets that start in [since, until)."""
        return self.start(self.numbers(since, until))

    def is_odd(self, numbers: np.ndarray) -> np.ndarray:
        """Buckets whose length differs from `every`: days on which the clock is changed."""
        if not self.is_local:
            return np.zeros(len(numbers), dtype=bool)
        return (self.start(np.asarray(numbers) + 1) - self.start(numbers)) != self.every


def _microseconds(times: Times) -> np.ndarray:
    return pd.DatetimeIndex(pd.to_datetime(pd.Index(times), utc=True)).as_unit("us").asi8
