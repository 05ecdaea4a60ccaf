"""How far values must be moved to turn one distribution into the other (the earth mover's distance), in spreads of the column."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from smartflow_assets.core.drift.base import BaseDriftTest, Difference, Kind, Sample
from smartflow_assets.core.drift.chance import Chance, effective_rows, gamma

_SPREAD = 1.2533  # standard deviations of a normal column in one mean absolute deviation
_SKEWNESS = 3.3  # in coefficients of variation: 3.0 (uniform) to 3.4 (normal) in 200,000 simulated bridges, 1.9 for two far heaps;
# tails of .01 to .0001 then come at most 1.06 times as often as they should, and with a gamma of two moments 3.9 times
_PARTS = 96  # of the range, for the variance by chance: its error is below one percent


class Wasserstein(BaseDriftTest, frozen=True):
    """Sees a moved level and a changed spread, also in the tails; a spread is the mean absolute deviation from the median, as large as
    the standard deviation of a normal column.

    >>> test = Wasserstein()
    >>> first, second = Sample(np.arange(100.0)), Sample(np.arange(100.0) + 25)
    >>> test.compare(first, first).statistic, round(test.compare(first, second).statistic, 2)
    (0.0, 0.75)
    """

    type: Literal["wasserstein"] = "wasserstein"
    at_least: float = Field(default=0.1, gt=0, description="The smallest distance, in spreads, that counts as drift, however sure it is.")
    suits: ClassVar[tuple[Kind, ...]] = ("number",)

    def compare(self, reference: Sample, current: Sample) -> Difference:
        first, second = np.sort(reference.known()), np.sort(current.known())
        values = np.sort(np.concatenate([first, second]))
        largest = float(np.abs(values[[0, -1]]).max()) or 1.0
        first, second, values = first / largest, second / largest, values / largest  # a mean of huge values would overflow
        spread = float(np.abs(values - np.median(values)).mean()) * _SPREAD
        if not spread:
            return Difference(0.0, gamma(0.0, 0.0, 0.0))
        steps = np.diff(values) / spread
        gaps = np.searchsorted(first, values[:-1], side="right") / len(first) - np.searchsorted(second, values[:-1], side="right") / len(
            second
        )
        return Difference(float(np.abs(gaps) @ steps), _chance(steps, effective_rows(len(first), len(second))))


def _chance(steps: NDArray[np.float64], rows: float) -> Chance:
    """The integral of a Brownian bridge's size over the pooled values, by its moments.

    `steps`: distances between the pooled values in ascending order. The covariance of the sizes of two correlated normal variables is
    2/pi (r asin r + sqrt(1 - r²) - 1) times their deviations; values are taken together in parts, within which they move as one.
    """
    below = np.arange(1, len(steps) + 1) / (len(steps) + 1)
    weights = np.sqrt(below * (1 - below)) * steps
    starts = np.unique(np.linspace(0, len(steps), _PARTS, endpoint=False).astype(int))
    weight = np.add.reduceat(weights, starts)
    middle = np.add.reduceat(below, starts) / np.diff(np.append(starts, len(steps)))
    odds = middle / (1 - middle)
    ratio = np.sqrt(np.minimum.outer(odds, odds) / np.maximum.outer(odds, odds))
    covariance = 2 / np.pi * (ratio * np.arcsin(np.clip(ratio, 0, 1)) + np.sqrt(np.clip(1 - ratio**2, 0, 1)) - 1)
    mean, variance = float(np.sqrt(2 / np.pi / rows) * weight.sum()), float(weight @ covariance @ weight / rows)
    return gamma(mean, variance, _SKEWNESS * np.sqrt(variance) / mean)
