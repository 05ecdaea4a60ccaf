"""When a series is over: it has been without rows for as long as it had had them, in a source that still gets rows.

The values of a dimension come and go: a shop closes, a container has a new name each hour. A series that is over has no further
buckets and costs nothing; a row that comes after all begins them anew. In a source that is silent as a whole nothing is over, unless
rows come again after so long that the silence is a break: one row of 1970 makes no half century of buckets.
Numbers of buckets are those of a `TimeGrid`; all is a function of the rows alone.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LEAST, MOST = timedelta(days=1), timedelta(days=30)
"""How long a series is waited for at least and at most."""
FEWEST_BUCKETS = 3
LONGEST_TAIL = timedelta(days=7)
"""So long time goes on behind the last row of a source: one that is dead for good costs no rows."""
BREAK_BUCKETS = 50_000
NEVER = np.iinfo(np.int64).max
"""The number of a bucket that does not come."""


@dataclass(frozen=True)
class Waiting:
    """How many buckets a series without rows is waited for: as many as lie between its first row and its newest, within `least` and
    `most`."""

    least: int
    most: int

    @classmethod
    def of(cls, every: timedelta, longest_fill: int, retire_after: timedelta | None = None) -> "Waiting":
        """For buckets of length `every`, where gaps of up to `longest_fill` buckets are filled; `retire_after`, when given, is both ends.

        >>> Waiting.of(timedelta(hours=1), 6), Waiting.of(timedelta(hours=1), 6, timedelta(hours=12))
        (Waiting(least=24, most=720), Waiting(least=12, most=12))
        """
        fewest = max(FEWEST_BUCKETS, longest_fill + 1)
        least, most = (LEAST, MOST) if retire_after is None else (retire_after, retire_after)
        return cls(max(least // every, fewest), max(most // every, fewest))


@dataclass(frozen=True)
class Silence:
    """In buckets: how long time goes on in a source without rows, and how much longer it must have been without any for a break."""

    tail: int
    longest: int

    @classmethod
    def of(cls, every: timedelta) -> "Silence":
        """For buckets of length `every`: 50,000 buckets, and never less than 30 days.

        >>> Silence.of(timedelta(minutes=5)), Silence.of(timedelta(seconds=1))
        (Silence(tail=2016, longest=50000), Silence(tail=604800, longest=2592000))
        """
        return cls(LONGEST_TAIL // every, max(BREAK_BUCKETS, MOST // every))

    def breaks(self, filled: NDArray[np.int64]) -> NDArray[np.int64]:
        """[since, until) of each break, in order: the buckets in which no series of a source is on. `filled`: as in `retired_from`.

        >>> Silence(tail=7, longest=100).breaks(np.array([0, 1, 108, 216])).tolist()
        [[116, 216]]
        """
        since, until = filled[:-1] + 1 + self.tail, filled[1:]
        return np.column_stack([since, until])[until - since >= self.longest]


def broken_off(
    last: NDArray[np.int64], following: NDArray[np.int64], ends: NDArray[np.int64], breaks: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`ends`, as `retired_from` gives them, but no later than the beginning of the first break in the pause between `last` and
    `following`."""
    if not len(breaks):
        return ends
    place = np.searchsorted(breaks[:, 0], last, side="right")
    since, until = np.append(breaks, [[NEVER, NEVER]], axis=0)[place].T
    return np.where(until <= following, np.minimum(ends, since), ends)


def retired_from(
    first: NDArray[np.int64], last: NDArray[np.int64], following: NDArray[np.int64], filled: NDArray[np.int64], waiting: Waiting
) -> NDArray[np.int64]:
    """The bucket from which on a series is over, in each pause between two buckets with rows; NEVER where it is not in that pause.

    first: the first bucket with rows of the series; last, following: those before and after the pause (NEVER when none has come);
    filled: all buckets in which the source has rows, in order. Over means from the first of these after the wait on, so that
    a silence of the whole source ends no series.

    >>> first, last, following = (np.array([at]) for at in (0, 100, NEVER))
    >>> retired_from(first, last, following, np.arange(0, 200, 7), Waiting(24, 60)).tolist()
    [161]
    """
    waited = last + 1 + np.clip(last - first, waiting.least, waiting.most)
    position = np.searchsorted(filled, waited)
    ends = np.append(filled, NEVER)[position]
    return np.where(ends < following, ends, NEVER)


def no_absences() -> pd.DataFrame:
    """series, since, until (numbers of buckets; NEVER when it has not come back): when a series was over. No row."""
    return pd.DataFrame({"series": pd.Series(dtype=str), "since": pd.Series(dtype="int64"), "until": pd.Series(dtype="int64")})


def most_at_once(since: NDArray[np.int64], until: NDArray[np.int64]) -> int:
    """How many of the stretches [since, until) there are at most in one bucket."""
    at, place = np.unique(np.concatenate([since, until]), return_inverse=True)
    change = np.zeros(len(at), np.int64)
    np.add.at(change, place, np.repeat([1, -1], [len(since), len(until)]))
    return int(np.cumsum(change).max(initial=0))
