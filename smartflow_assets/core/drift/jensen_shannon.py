"""The Jensen-Shannon distance: how well one row tells which of two windows it came from (Lin 1991)."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from smartflow_assets.core.drift.base import BaseDriftTest, Difference, Sample
from smartflow_assets.core.drift.bins import bin_counts
from smartflow_assets.core.drift.chance import chi_square, effective_rows


class JensenShannon(BaseDriftTest, frozen=True):
    """The root of the Jensen-Shannon divergence in bits, over bins: 0 for equal shares, 1 where no bin holds rows of both windows.

    >>> test = JensenShannon(bins=2)
    >>> first, second = Sample(np.arange(100.0)), Sample(np.arange(100.0) + 25)
    >>> test.compare(first, first).statistic, round(test.compare(first, second).statistic, 2)
    (0.0, 0.21)
    """

    type: Literal["jensen_shannon"] = "jensen_shannon"
    at_least: float = Field(default=0.1, gt=0, lt=1, description="The smallest distance that counts as drift, however sure it is.")
    bins: int = Field(default=10, ge=2, le=100, description="Bins of a numeric column; categories are their own bins.")
    is_share: ClassVar[bool] = True

    def compare(self, reference: Sample, current: Sample) -> Difference:
        counts = bin_counts(reference, current, self.bins)
        first, second = (count / count.sum() for count in counts)
        middle = (first + second) / 2
        divergence = max(0.0, (_entropy(first, middle) + _entropy(second, middle)) / 2)
        rows = effective_rows(*(int(count.sum()) for count in counts))
        return Difference(float(np.sqrt(divergence / np.log(2))), chi_square(len(first) - 1, 8 * np.log(2) * rows, 2))


def _entropy(shares: NDArray[np.float64], middle: NDArray[np.float64]) -> float:
    """Relative entropy in nats; by Taylor's theorem eight times the mean of both is the chi-square of the shares."""
    there = shares > 0
    return float((shares[there] * np.log(shares[there] / middle[there])).sum())
