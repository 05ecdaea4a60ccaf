"""The population stability index: the symmetric relative entropy of shares in ten bins (the usual measure of credit scoring)."""

from typing import Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.drift.base import BaseDriftTest, Difference, Sample
from smartflow_assets.core.drift.bins import bin_counts
from smartflow_assets.core.drift.chance import chi_square, effective_rows


class Psi(BaseDriftTest, frozen=True):
    """sum((p - q) ln(p / q)) over bins, with half a row more in each bin, so that an empty one is no infinity. By chance it is a
    chi-square variable divided by the effective rows (Yurdakul 2018).

    >>> test = Psi(bins=2)
    >>> first, second = Sample(np.arange(100.0)), Sample(np.arange(100.0) + 25)
    >>> test.compare(first, first).statistic, round(test.compare(first, second).statistic, 2)
    (0.0, 0.25)
    """

    type: Literal["psi"] = "psi"
    at_least: float = Field(default=0.1, gt=0, description="The smallest index that counts as drift, however sure it is.")
    bins: int = Field(default=10, ge=2, le=100, description="Bins of a numeric column; categories are their own bins.")

    def compare(self, reference: Sample, current: Sample) -> Difference:
        counts = bin_counts(reference, current, self.bins)
        first, second = ((count + 0.5) / (count + 0.5).sum() for count in counts)
        index = float(((first - second) * np.log(first / second)).sum())
        return Difference(index, chi_square(len(first) - 1, effective_rows(*(int(count.sum()) for count in counts)), 1))
