"""A value as a multiple of what is usual: `{type: ratio_to_median, at_least: 2.5, window: 1 day}`."""

from datetime import timedelta
from typing import Literal, Self, cast

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from smartflow_assets.core.rules.base import BaseRule, Finding
from smartflow_assets.core.temporal.notation import Duration
from smartflow_assets.core.text_format import last, number

FEWEST_VALUES = 3  # fewer known values are no usual level


class RatioToMedian(BaseRule):
    """The value over the median of the trailing `window`, the row itself left out; a ratio equal to the limit counts.

    A rule needs no warm-up, but the median of a night says nothing about the noon after it. So while less than half of the
    window is known, or its first tenth is not, a row must pass the limit against every known value (the highest, or for
    `at_most` the lowest), not only against their median; below 3 known values, or at a median that is not positive, the
    rule is silent.

    >>> rule = RatioToMedian(at_least=2.5, window=timedelta(minutes=4))
    >>> rule.find(np.arange(5) * 60_000_000, np.array([400.0, 500, 600, 500, 1250]), timedelta(minutes=1))
    [Finding(row=4, limit=1250.0, text='1,250 is 2.5 x the median 500 of the last 4 min; limit 2.5')]
    """

    type: Literal["ratio_to_median"] = "ratio_to_median"
    at_least: float | None = Field(default=None, gt=0, description="Break the rule from this multiple of the median on.")
    at_most: float | None = Field(default=None, ge=0, description="Break the rule down from this multiple of the median.")
    window: Duration = Field(default=timedelta(days=1), description="Trailing window of the median, without the row itself.")

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("ratio_to_median needs `at_least`, `at_most` or both")
        if self.window <= timedelta(0):
            raise ValueError("ratio_to_median needs a `window` longer than zero")
        return self

    def lookback(self, step: timedelta) -> timedelta:
        return self.window

    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        trailing = pd.Series(values, index=pd.to_datetime(times, unit="us")).rolling(self.window, closed="left", min_periods=1)
        known, median = trailing.count().to_numpy(), trailing.median().to_numpy()
        is_thin = (known < self.window / step / 2) | ~self._reaches_back(times, values)
        findings: list[Finding] = []
        for multiple, sign, farthest, word in ((self.at_least, 1, "max", "highest"), (self.at_most, -1, "min", "lowest")):
            if multiple is None:
                continue
            outermost = cast(np.ndarray, getattr(trailing, farthest)().to_numpy())
            base = np.where(is_thin, outermost, median)
            with np.errstate(invalid="ignore"):
                breaks = (known >= FEWEST_VALUES) & (median > 0) & (base > 0) & (sign * values >= sign * multiple * base)
            for row in np.flatnonzero(breaks):
                usual = f"the {word} of {known[row]:.0f} values," if is_thin[row] else "the median"
                ratio = f"{number(values[row])} is {number(values[row] / base[row])} x {usual} {number(base[row])}"
                text = f"{ratio} of {last(self.window)}; limit {number(multiple)}"
                findings.append(Finding(int(row), float(multiple * base[row]), text))
        return sorted(findings)

    def _reaches_back(self, times: np.ndarray, values: np.ndarray) -> np.ndarray:
        """For each row, whether a value is known in the first tenth of its window."""
        window = int(self.window / timedelta(microseconds=1))
        known = np.append(times[~np.isnan(values)], np.iinfo(np.int64).max)
        return known[np.searchsorted(known, times - window)] <= times - window + window // 10
