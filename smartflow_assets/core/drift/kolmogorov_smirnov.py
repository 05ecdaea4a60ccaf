"""The largest distance between two distribution functions (Kolmogorov 1933, Smirnov 1939)."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.drift.base import BaseDriftTest, Difference, Kind, Sample
from smartflow_assets.core.drift.chance import effective_rows, kolmogorov


class KolmogorovSmirnov(BaseDriftTest, frozen=True):
    """Sees any change of a distribution, best in its middle, whatever the unit and however wild the outliers. Values that come
    many times make it cautious.

    >>> test = KolmogorovSmirnov()
    >>> first, second = Sample(np.arange(100.0)), Sample(np.arange(100.0) + 25)
    >>> test.compare(first, first).statistic, round(test.compare(first, second).statistic, 2)
    (0.0, 0.25)
    """

    type: Literal["kolmogorov_smirnov"] = "kolmogorov_smirnov"
    at_least: float = Field(
        default=0.1, gt=0, lt=1, description="The smallest distance of the distribution functions that counts as drift, however sure it is."
    )
    suits: ClassVar[tuple[Kind, ...]] = ("number",)
    is_share: ClassVar[bool] = True

    def compare(self, reference: Sample, current: Sample) -> Difference:
        first, second = np.sort(reference.known()), np.sort(current.known())
        values = np.concatenate([first, second])
        share_first = np.searchsorted(first, values, side="right") / len(first)
        share_second = np.searchsorted(second, values, side="right") / len(second)
        distance = float(np.abs(share_first - share_second).max())
        return Difference(distance, kolmogorov(effective_rows(len(first), len(second))))
