"""What a metric measures where it is not the aggregated value itself: its change, or how fast a counter grows.

Both are taken between aggregating and filling gaps, so a filled value is one of the series that is judged. The logarithm is
no other quantity but another ruler: it is part of `series.scaling`, and the series, its rules and its pictures keep their unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Transform = Literal["log", "difference", "cumulative_to_rate"]
WithoutRows = Literal["missing", "zero"]


@dataclass(frozen=True)
class Treatment:
    """What becomes of the aggregated values of one metric before they are a series."""

    transform: Transform | None = None
    without_rows: WithoutRows = "missing"

    def past(self, longest_gap: int) -> int:
        """How many buckets back a value depends on, where gaps of `longest_gap` buckets are bridged."""
        return {"difference": 1, "cumulative_to_rate": longest_gap + 1}.get(self.transform or "", 0)


def past(treatments: Iterable[Treatment], longest_gap: int) -> int:
    """How many buckets before a bucket its value may depend on."""
    return max((treatment.past(longest_gap) for treatment in treatments), default=0)


def difference(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Value minus the value one bucket before (series x buckets); NaN where either is missing, and in the first bucket.

    >>> difference(np.array([[5.0, 7.0, np.nan, 4.0, 1.0]])).tolist()
    [[nan, 2.0, nan, nan, -3.0]]
    """
    changed = np.full(values.shape, np.nan)
    changed[:, 1:] = values[:, 1:] - values[:, :-1]
    return changed


def rate(values: NDArray[np.float64], elapsed: NDArray[np.float64], longest_gap: int) -> NDArray[np.float64]:
    """Growth per second of counters (series x buckets) since their last reading; `elapsed` are seconds at the buckets' starts.

    A reading below the last one is a counter that began anew at zero: it has grown by what it shows. Over a gap of up to
    `longest_gap` buckets the growth is spread over the gap; after a longer one, and in the first bucket, there is none (NaN).
    Negative numbers are no readings.

    >>> rate(np.array([[10.0, 40.0, np.nan, 100.0, 30.0]]), np.arange(5) * 60.0, 1).tolist()
    [[nan, 0.5, nan, 0.5, 0.5]]
    """
    at = np.arange(int(values.shape[1]))
    is_read = values >= 0  # NaN is not
    last = np.maximum.accumulate(np.where(is_read, at, -1), axis=1)
    before = np.full(values.shape, -1)
    before[:, 1:] = last[:, :-1]
    row, column = np.nonzero(is_read & (before >= 0) & (at - before - 1 <= longest_gap))
    earlier, reading = values[row, before[row, column]], values[row, column]
    growth = np.where(reading >= earlier, reading - earlier, reading)
    rates = np.full(values.shape, np.nan)
    rates[row, column] = growth / (elapsed[column] - elapsed[before[row, column]])
    return rates
