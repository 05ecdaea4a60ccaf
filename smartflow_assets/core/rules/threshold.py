"""A fixed limit on the value itself: `{type: threshold, metric: requests, below: 1, for: 15min}`."""

from datetime import timedelta
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from smartflow_assets.core.rules.base import BaseRule, Finding, Lasting, buckets, run_lengths
from smartflow_assets.core.text_format import lasting, number


class Threshold(BaseRule):
    """A value under `below` or over `above`; the limit itself is still allowed. With `for`, from the bucket in which that
    has lasted so long without a break; a missing bucket is a break, since nobody knows what its value was.

    >>> rule = Threshold(below=1, lasting=timedelta(minutes=10))
    >>> rule.find(np.arange(4) * 300_000_000, np.array([5.0, 0, 0, 1]), timedelta(minutes=5))
    [Finding(row=2, limit=1.0, text='0 is below 1 for 10 min')]
    """

    type: Literal["threshold"] = "threshold"
    below: float | None = Field(default=None, description="Values under this break the rule.")
    above: float | None = Field(default=None, description="Values over this break the rule.")
    lasting: Lasting = timedelta(0)

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.below is None and self.above is None:
            raise ValueError("a threshold needs `below`, `above` or both")
        if self.below is not None and self.above is not None and self.below > self.above:
            raise ValueError(f"no value is neither below {number(self.below)} nor above {number(self.above)}; swap the two")
        return self

    def lookback(self, step: timedelta) -> timedelta:
        return buckets(self.lasting, step) * step

    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        needed = buckets(self.lasting, step)
        suffix = f" for {lasting(self.lasting)}" if self.lasting else ""
        findings: list[Finding] = []
        for word, limit, breaks in (("below", self.below, np.less), ("above", self.above, np.greater)):
            if limit is not None:
                at = np.flatnonzero(run_lengths(breaks(values, limit), times, step) >= needed)
                findings += [Finding(int(row), limit, f"{number(values[row])} is {word} {number(limit)}{suffix}") for row in at]
        return sorted(findings)
