"""What one series did in the weeks up to an anomaly: how far its values reached, and when it last had one or moved.

Everything is a function of the rows of the 28 days before the anomaly and of its own, so that it is the same however runs split the data.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import isfinite
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RECORD_WINDOW = timedelta(days=28)
"""What `highest in 28 days` and the usual range look back on."""
_MICROSECOND = timedelta(microseconds=1)


class FlatRun(NamedTuple):
    """The value that stayed, its first and its last row, and how often it had changed before; None when it never did."""

    value: float
    since: pd.Timestamp
    last_at: pd.Timestamp
    changes_each: timedelta | None


class Past:
    """The rows of one series around an anomaly: times in microseconds, ascending, values, and whether each was observed."""

    def __init__(self, times: NDArray[np.int64], values: NDArray[np.float64], is_observed: NDArray[np.bool_]) -> None:
        self._times, self._values, self._is_observed = times, values, is_observed

    def extreme(self, value: float, started_at: pd.Timestamp) -> tuple[str, bool]:
        """Whether a value is the highest or lowest of the days before, and whether it lies within 98 % of their values."""
        window = self._before(started_at)
        is_known = ~np.isnan(self._values[window])
        before, times = self._values[window][is_known], self._times[window][is_known]
        if not isfinite(value) or not len(before):
            return "", False
        days = (_microseconds(started_at) - int(times[0])) // 86_400_000_000
        if days < 1:
            return "", False
        low, high = np.quantile(before, [0.01, 0.99])
        span = "1 day" if days == 1 else f"{days} days"
        found = f"highest in {span}" if value > before.max() else f"lowest in {span}" if value < before.min() else ""
        return found, bool(low <= value <= high)

    def silent_since(self, started_at: pd.Timestamp) -> pd.Timestamp:
        """The first of the buckets without a value that lead up to a moment."""
        window = self._before(started_at)
        observed = np.flatnonzero(self._is_observed[window])
        first = window.start + int(observed[-1]) + 1 if len(observed) else window.stop
        return _moment(int(self._times[first])) if first < window.stop else started_at

    def flat_run(self, started_at: pd.Timestamp, last_at: pd.Timestamp, tolerance: float) -> FlatRun | None:
        """The run of values within `tolerance` of each other that the anomaly begins or ends in, the longer one; None without any.

        What else was found may reach beyond it on one side: models take some rows to believe that a value moves again.
        """
        start = self._before(started_at).start
        stop = int(np.searchsorted(self._times, _microseconds(last_at), side="right"))
        values, times = self._values[start:stop], self._times[start:stop]
        runs: list[tuple[int, int]] = []
        for row in np.unique(np.searchsorted(times, [_microseconds(started_at), _microseconds(last_at)])):
            if row < len(values):
                first = int(row) + 1 - _same(values[: row + 1][::-1], tolerance)
                runs.append((_same(values[first:], tolerance), first))
        length, first = max(runs, default=(0, 0))
        if length < 2:
            return None
        changes = np.diff(values[: first + 1])
        moves, known = int((np.abs(changes) > tolerance).sum()), int((~np.isnan(changes)).sum())
        bucket = timedelta(microseconds=int(np.median(np.diff(times))))
        return FlatRun(
            value=float(values[first]),
            since=_moment(int(times[first])),
            last_at=_moment(int(times[first + length - 1])),
            changes_each=max(1, round(known / moves)) * bucket if moves else None,
        )

    def _before(self, started_at: pd.Timestamp) -> slice:
        start = _microseconds(started_at)
        return slice(*(int(place) for place in np.searchsorted(self._times, [start - RECORD_WINDOW // _MICROSECOND, start])))


def pasts(history: pd.DataFrame | None) -> Mapping[str, Past]:
    """The past of each series in `history`: series, observed_at, value, is_filled."""
    if history is None:
        return {}
    return {
        str(series): Past(
            rows["observed_at"].dt.as_unit("us").astype("int64").to_numpy(),
            rows["value"].to_numpy(float),
            (rows["value"].notna() & ~rows["is_filled"]).to_numpy(bool),
        )
        for series, rows in history.sort_values("observed_at").groupby("series")
    }


def _same(values: NDArray[np.float64], tolerance: float) -> int:
    """How many values from the first on lie within `tolerance` of each other; a missing one ends them.

    >>> _same(np.array([7.0, 7, 8, 7]), 0), _same(np.array([7.0, 7, 8, 7]), 1), _same(np.array([np.nan, 7]), 1)
    (2, 4, 0)
    """
    is_same = np.maximum.accumulate(values) - np.minimum.accumulate(values) <= tolerance
    return len(values) if is_same.all() else int(np.argmin(is_same))


def _microseconds(moment: datetime) -> int:
    return pd.Timestamp(moment).value // 1000


def _moment(microseconds: int) -> pd.Timestamp:
    return pd.Timestamp(microseconds, unit="us", tz="UTC")
