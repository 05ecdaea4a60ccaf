"""A series that has fallen silent: `{type: missing, for: 30min}`."""

from datetime import timedelta
from typing import Literal

import numpy as np

from smartflow_assets.core.rules.base import BaseRule, Finding, Lasting, buckets, run_lengths
from smartflow_assets.core.text_format import lasting


class MissingRule(BaseRule):
    """No value observed in any bucket of the last `for`; a value that was filled in was not observed.

    >>> rule = MissingRule(lasting=timedelta(minutes=2))
    >>> rule.find(np.arange(4) * 60_000_000, np.array([3.0, np.nan, np.nan, 8]), timedelta(minutes=1))
    [Finding(row=2, limit=nan, text='no value for 2 min')]
    """

    type: Literal["missing"] = "missing"
    lasting: Lasting = timedelta(0)

    def lookback(self, step: timedelta) -> timedelta:
        return buckets(self.lasting, step) * step

    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        needed = buckets(self.lasting, step)
        text = f"no value for {lasting(needed * step)}"
        at = np.flatnonzero(run_lengths(np.isnan(values), times, step) >= needed)
        return [Finding(int(row), float("nan"), text) for row in at]
