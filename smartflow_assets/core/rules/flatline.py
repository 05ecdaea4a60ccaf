"""A value that has stopped moving: `{type: flatline, for: 1h}`."""

from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.rules.base import BaseRule, Finding, Lasting, buckets, run_lengths
from smartflow_assets.core.text_format import lasting, number


class FlatlineRule(BaseRule):
    """The values of the last `for` lie within `tolerance` of each other, at least two of them and none missing.

    >>> rule = FlatlineRule(lasting=timedelta(minutes=3))
    >>> rule.find(np.arange(5) * 60_000_000, np.array([3.0, 7, 7, 7, 8]), timedelta(minutes=1))
    [Finding(row=3, limit=0.0, text='flat at 7 for 3 min')]
    """

    type: Literal["flatline"] = "flatline"
    lasting: Lasting
    tolerance: float = Field(default=0.0, ge=0, description="Moves of this size or less are no move.")

    def lookback(self, step: timedelta) -> timedelta:
        return (self._count(step) + 1) * step

    def _count(self, step: timedelta) -> int:
        return max(2, buckets(self.lasting, step))

    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        count = self._count(step)
        window = pd.Series(values).rolling(count, min_periods=count)
        spread = (window.max() - window.min()).to_numpy()
        is_whole = run_lengths(~np.isnan(values), times, step) >= count
        within = f", give or take {number(self.tolerance)}," if self.tolerance else ""
        return [
            Finding(int(row), self.tolerance, f"flat at {number(values[row])}{within} for {lasting(count * step)}")
            for row in np.flatnonzero(is_whole & (spread <= self.tolerance))
        ]
