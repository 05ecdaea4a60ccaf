"""The random numbers of a run: seeded streams that a domain makes its noise, its slow drifts and its walks from.

A run is one piece, or it is endless and made of blocks. In an endless run whatever is quick has a stream for each block, and
whatever is slow is a function of the time itself, so that two blocks fit together although neither has seen the other.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

FIRST_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)  # rows and blocks of endless runs are counted from it
REFERENCE_TIME = datetime(2026, 1, 1, tzinfo=UTC)  # when an endless run has the size that its parameters name
KNOT = 500  # streams from here on belong to times, those below to pieces
KEPT_SHARE = 0.9  # share of a walk's place that is left a block later: far walks come home
DEPTH = 60  # blocks after which nothing is left of it


@dataclass(frozen=True)
class Chance:
    """The random numbers of one piece: `seed` names the run, `block` the part of an endless one."""

    seed: int
    block: int | None = None

    def rng(self, stream: int) -> np.random.Generator:
        """A stream of this piece."""
        return np.random.default_rng([self.seed, stream] if self.block is None else [self.seed, stream, 1 + self.block % 2**32])

    def at(self, index: int, stream: int) -> np.random.Generator:
        """A stream of the run that belongs to a number, such as that of a week; the same in every piece."""
        return np.random.default_rng([self.seed, KNOT + stream, index % 2**32])

    def noise(self, rows: int, stream: int, memory: float, *, is_stationary: bool = True) -> np.ndarray:
        """Noise of mean 0 and standard deviation 1 whose rows remember the last one by `memory` (0 to below 1).

        An AR(1) process; the exponential average computes its recursion in C. It starts from its stationary
        distribution; without `is_stationary` the first rows are as small as single shocks.
        """
        spread = np.sqrt((1 + memory) / (1 - memory))
        shocks = self.rng(stream).standard_normal(rows)
        if is_stationary and rows:
            shocks[0] /= spread
        return pd.Series(shocks).ewm(alpha=1 - memory, adjust=False).mean().to_numpy() * spread

    def drift(self, times: pd.DatetimeIndex, stream: int, every: timedelta) -> np.ndarray:
        """A smooth curve of mean 0 and standard deviation 1 that turns about as often as `every`."""
        place = ((times - pd.Timestamp(FIRST_MONDAY)) / pd.Timedelta(every)).to_numpy(dtype=float)
        before = np.floor(place).astype(int)
        knots, which = np.unique(np.concatenate([before, before + 1]), return_inverse=True)
        values = np.array([self.at(int(knot), stream).standard_normal() for knot in knots])[which]
        part = place - before
        part = part**2 * (3 - 2 * part)
        return (values[: len(part)] * (1 - part) + values[len(part) :] * part) / np.hypot(part, 1 - part)

    def walk(self, shocks: np.ndarray, stream: int, size: float) -> np.ndarray:
        """The sum of the shocks, whose usual size is `size`; an endless one ends each block where the next one starts."""
        path = np.cumsum(shocks)
        if self.block is None or not len(path):
            return path
        moves = np.cumsum(shocks != 0)
        start, end = (size * np.sqrt(max(moves[-1], 1)) * self._place(self.block + k, stream) for k in (0, 1))
        return start + path + moves / max(moves[-1], 1) * (end - start - path[-1])

    def _place(self, block: int, stream: int) -> float:
        return sum(KEPT_SHARE**back * self.at(block - back, stream).standard_normal() for back in range(DEPTH))

    def days(self, times: pd.DatetimeIndex, step: timedelta) -> np.ndarray:
        """Days since the start of the piece; of an endless run, since the start of 2026, negative before."""
        if self.block is None:
            return np.arange(len(times)) * (step / pd.Timedelta(days=1))
        return ((times - pd.Timestamp(REFERENCE_TIME)) / pd.Timedelta(days=1)).to_numpy(dtype=float)
