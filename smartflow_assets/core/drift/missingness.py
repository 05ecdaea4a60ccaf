"""The share of empty cells, which moves when a feed loses a field for some of its rows."""

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.drift.base import BaseDriftTest, Difference, Sample
from smartflow_assets.core.drift.chance import effective_rows, normal


class Missingness(BaseDriftTest, frozen=True):
    """Cohen's h between two shares of empty cells, 2 asin(sqrt p) - 2 asin(sqrt q): 0 to 1 % is as much as 50 to 60 %. Half a row is
    taken off the difference, as Yates (1934) did, since shares near 0 move by whole rows.

    >>> test, full = Missingness(), Sample(np.zeros(100))
    >>> test.compare(full, full).statistic, round(test.compare(full, Sample(np.repeat([0, np.nan], [90, 10]))).statistic, 2)
    (0.0, 0.49)
    """

    type: Literal["missingness"] = "missingness"
    at_least: float = Field(default=0.2, gt=0, lt=math.pi, description="The smallest Cohen's h that counts as drift, however sure it is.")
    reads_missing: ClassVar[bool] = True

    def compare(self, reference: Sample, current: Sample) -> Difference:
        rows = len(reference.values), len(current.values)
        first, second = (float(np.isnan(sample.values).mean()) for sample in (reference, current))
        half = 0.5 / effective_rows(*rows)
        low, high = sorted((first, second))
        middle = (low * rows[int(first > second)] + high * rows[int(first <= second)]) / sum(rows)
        low, high = min(low + half / 2, middle), max(high - half / 2, middle)
        size = 2 * math.asin(math.sqrt(high)) - 2 * math.asin(math.sqrt(low))
        return Difference(max(0.0, size), normal(1 / math.sqrt(effective_rows(*rows)), is_two_sided=True))
