"""Pearson's chi-square of two tables of categories (1900), as an effect size."""

from typing import Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.drift.base import BaseDriftTest, Difference, Sample
from smartflow_assets.core.drift.bins import MOST_CATEGORIES, bin_counts
from smartflow_assets.core.drift.chance import chi_square, effective_rows


class ChiSquare(BaseDriftTest, frozen=True):
    """Cohen's w between two windows: the root of sum((p - q)² / pooled share), which is that of chi-square by the effective rows.
    Numbers of few different values are taken as categories; of more, as bins.

    >>> test = ChiSquare()
    >>> first, second = (Sample(np.repeat([0.0, 1.0], rows), "category") for rows in ([50, 50], [75, 25]))
    >>> test.compare(first, first).statistic, round(test.compare(first, second).statistic, 2)
    (0.0, 0.52)
    """

    type: Literal["chi_square"] = "chi_square"
    at_least: float = Field(default=0.1, gt=0, description="The smallest Cohen's w that counts as drift, however sure it is.")

    def compare(self, reference: Sample, current: Sample) -> Difference:
        first, second = bin_counts(reference, current, MOST_CATEGORIES)
        rows = effective_rows(int(first.sum()), int(second.sum()))
        pooled = (first + second) / (first.sum() + second.sum())
        is_used = pooled > 0
        gaps = (first / first.sum() - second / second.sum())[is_used]
        size = float(np.sqrt((gaps**2 / pooled[is_used]).sum()))
        return Difference(size, chi_square(int(is_used.sum()) - 1, rows, 2))
