"""From the raw score of a record to its surprise: -log10 of how large a share of usual records is as strange.

Learnt once, with the model, so that a record has the same surprise whenever it comes and whatever comes beside it. Up to the
30th strangest of a thousand the tail is that of the training records. Above it is a generalised Pareto tail through the scores
that 30 %, 10 % and 3.3 % of them exceed, and not through the strangest ones: of those, some are what is looked for. What is too
strange to be one of so many is left out, and the rest looked at again. Measured on payments with 1 % frauds among the training
rows: a tail by moments of the highest 2 % is ten times too careful.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATIO = 3.0
EXCEEDED = (0.3, 0.1, 0.1 / RATIO)  # shares of the training records above the three scores
HEAVIEST = 0.5
STEPS, UNHEARD = 3, 0.5  # left out is what a third of a record, of so many usual ones, would be expected to reach
GRID = 400  # scores that the lower tail is kept at


@dataclass(frozen=True)
class Tail:
    """`scores` rise and `shares` fall: so many training records exceed them; beyond the last of them the Pareto tail goes on."""

    scores: NDArray[np.float64]
    shares: NDArray[np.float64]
    scale: float
    shape: float

    @classmethod
    def learn(cls, raw: NDArray[np.float64]) -> Tail:
        """The tail of the raw scores of training records.

        >>> tail = Tail.learn(np.random.default_rng(1).exponential(size=50_000))
        >>> tail.surprise(np.array([0.0, 2.3, 6.9, 11.5])).round(1).tolist()
        [0.0, 1.0, 2.9, 4.7]
        """
        tail = cls._through(raw)
        for _ in range(STEPS):
            tail = cls._through(raw[tail.surprise(raw) <= np.log10(len(raw)) + UNHEARD])
        return tail

    @classmethod
    def _through(cls, raw: NDArray[np.float64]) -> Tail:
        low, middle, high = np.quantile(raw, [1 - share for share in EXCEEDED])
        below, above = max(middle - low, 1e-12), max(high - middle, 1e-12)
        shape = float(np.clip(np.log(above / below) / np.log(RATIO), 0.0, HEAVIEST))
        scale = above / np.log(RATIO) if shape < 1e-3 else shape * above / (1 - RATIO**-shape)
        shares = np.geomspace(1.0, EXCEEDED[-1], GRID)
        scores = np.maximum.accumulate(np.quantile(raw, 1 - shares))
        return cls(scores, shares, float(max(scale, 1e-9 * max(abs(high), 1.0))), 0.0 if shape < 1e-3 else shape)

    def surprise(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """The surprise of each raw score, without an upper limit."""
        inside = np.interp(raw, self.scores, np.abs(np.log10(self.shares)))
        beyond = np.maximum(raw - self.scores[-1], 0.0) / self.scale
        far = np.log10(1 + self.shape * beyond) / self.shape if self.shape else beyond / np.log(10)
        return np.where(raw > self.scores[-1], -np.log10(EXCEEDED[-1]) + far, inside)
