"""A block of rows of one series as detectors see it, and the state that goes from block to block.

Blocks are made by the shared baseline; nothing here knows a detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

State = dict[str, Any]
"""What a kernel remembers between blocks: arrays of fixed size, changed in place."""


@dataclass(frozen=True)
class Rows:
    """A block of rows of one series on its grid of time, in scaled units; nothing in it is NaN.

    `padded[offset : offset + count]` are the block's values, before them `baseline.HISTORY` older rows (the first value
    repeated where there are none); `tamed` is the same with outliers put on the edge of twice the band. `first` is the row
    number of the block's first row. `forecasts` is 6 x count: last row, median of 5, median of 288, median of the same time
    of up to 7 seasons, that + current level, 7 seasons ago + current level. `expected` is a mixture of the slow ones,
    `residual` what is left of the value by the mixture of all, `seasonal_deviation` the size of the three-row mean of what
    is left of the season. `ranges` is 6 x count: the quantiles .002, .005, .05, .95, .995, .998 of the 8,000 rows before, NaN where no
    detector `reads_ranges`.
    `is_missing` marks rows whose value was imputed by `expected`. `features` is count x k, or None. `times`: when, in UTC (NaT in a
    row that nobody gave), or None where the caller does not know.
    """

    padded: NDArray[np.float64]
    tamed: NDArray[np.float64]
    offset: int
    count: int
    first: int
    forecasts: NDArray[np.float64]
    expected: NDArray[np.float64]
    residual: NDArray[np.float64]
    seasonal_deviation: NDArray[np.float64]
    ranges: NDArray[np.float64]
    is_missing: NDArray[np.bool_]
    features: NDArray[np.float64] | None = None
    times: NDArray[np.datetime64] | None = None

    @property
    def values(self) -> NDArray[np.float64]:
        """The block's own values, scaled units."""
        return self.padded[self.offset : self.offset + self.count]
