# pyright: reportMissingTypeStubs=false
# scipy has none.
"""How far ordinary windows of one column differ from what came before them: its own yardstick.

The statistics of past windows, on the scale on which they scatter evenly (`BaseDriftTest.scaled`), give the distribution of the next
one as that of a further normal observation: Student's t with the uncertainty of few windows in it, so that five windows allow a wide
limit and fifty a narrow one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smartflow_assets.core.drift.base import BaseDriftTest

FEWEST_WINDOWS = 5
_LEAST_DEVIATION = 0.02  # windows that differ by two percent of their usual difference are alike


@dataclass(frozen=True)
class PastWindows:
    """Mean and deviation of past statistics, scaled, of `count` windows."""

    test: BaseDriftTest
    count: int
    mean: float
    deviation: float

    @classmethod
    def of(cls, test: BaseDriftTest, statistics: Sequence[float]) -> "PastWindows":
        """From at least two statistics."""
        scaled = test.scaled(np.asarray(statistics, float))
        deviation = max(float(scaled.std(ddof=1)), _LEAST_DEVIATION)
        return cls(test, len(scaled), float(scaled.mean()), deviation * math.sqrt(1 + 1 / len(scaled)))

    def p_value(self, statistic: float) -> float:
        """How often an ordinary window reaches it."""
        from scipy.special import stdtr

        return float(stdtr(self.count - 1, -(float(self.test.scaled(statistic)) - self.mean) / self.deviation))

    def limit(self, p: float) -> float:
        """What an ordinary window exceeds with probability p."""
        from scipy.special import stdtrit

        return self.test.unscaled(self.mean - self.deviation * float(stdtrit(self.count - 1, p)))
