"""The shared baseline of a series: what was expected of each row, and how large its changes usually are.

Every detector builds on these numbers, every row's expected value and band come from them, and a missing value is replaced
by its expectation here, before any other kernel runs. State: the last rows of the series and some sorted windows of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

HISTORY = 8192
"""Older rows that every block carries in front of it: as far back as any detector may look."""
BLOCK = 4096
"""Rows that are scored at once: bounds the memory of a series of any length."""


@dataclass(frozen=True)
class Normal:
    """What the baseline says of a block's rows beside `Rows`, scaled units: half the width of the band, the noise, and
    the change that 95 % of the rows stay below, which falls and rises of a skewed series have each of their own. effect: what a special
    day did to the row, which `Rows` is without; below, above: how far from that it might lie for nothing."""

    band: NDArray[np.float64]
    noise: NDArray[np.float64]
    usual: NDArray[np.float64]
    usual_fall: NDArray[np.float64]
    usual_rise: NDArray[np.float64]
    effect: NDArray[np.float64]
    below: NDArray[np.float64]
    above: NDArray[np.float64]


class SpecialRows(NamedTuple):
    """What special days do to a block's rows. effects: 3 x rows, what is added to the expectation and how far a value may lie below
    and above that for nothing: shares of how far the expectation lies above `zero` (scaled), or where that is NaN scaled units."""

    effects: NDArray[np.float64]
    zero: float


def widened(width: NDArray[np.float64], room: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far from what a special day makes of the expectation a value lies whose deviation counts as `width`; `room` is tolerated.

    >>> widened(np.array([3.0, 3.0]), np.array([0.0, 2.0])).tolist()
    [3.0, 4.0]
    """
    return width / 2 + np.sqrt(width**2 / 4 + room**2)


NO_DAYS = SpecialRows(np.zeros((3, 0)), float("nan"))


def start(facts: SeriesFacts, *, has_ranges: bool = True) -> State:
    """The state before the first row; without `has_ranges`, `Rows.ranges` and `Normal.noise` will be NaN."""
    from smartflow_assets.core.kernels import baseline as kernel

    memory = kernel.empty_memory(facts.period, 2 * HISTORY + BLOCK, has_ranges=has_ranges)
    return {"position": np.array([0, HISTORY]), **memory._asdict()}


def score(
    state: State,
    facts: SeriesFacts,
    values: NDArray[np.float64],
    features: NDArray[np.float64] | None = None,
    times: NDArray[np.datetime64] | None = None,
    days: SpecialRows | None = None,
) -> tuple[Rows, Normal]:
    """Take in up to BLOCK further scaled values (NaN = missing) and return them imputed, with their expectations, and on special days
    without what such a day does.

    The returned rows look into the state and are valid until the next call.
    """
    from smartflow_assets.core.kernels import baseline as kernel

    count = len(values)
    first, offset = (int(v) for v in state["position"])
    memory = kernel.BaselineMemory(*(state[name] for name in kernel.BaselineMemory._fields))
    padded, tamed = memory.values, memory.tamed
    if offset + count > len(padded):
        for past in (padded, tamed):
            past[:HISTORY] = past[offset - HISTORY : offset].copy()
        offset = HISTORY
    padded[offset : offset + count] = values
    out = kernel.empty_output(count)
    known = NO_DAYS if days is None else days
    kernel.walk(memory, out, offset, count, first, facts.period, known.effects, known.zero)
    state["position"][:] = first + count, offset + count
    rows = Rows(
        padded, tamed, offset, count, first, out.forecasts, out.expected, out.residual, out.seasonal_deviation, out.ranges,
        out.is_missing, features, times,
    )  # fmt: skip
    return rows, Normal(out.band, out.noise, out.usual, out.usual_fall, out.usual_rise, out.effect, out.below, out.above)


def over(facts: SeriesFacts, values: NDArray[np.float64], days: SpecialRows | None = None) -> Iterator[tuple[int, Rows]]:
    """A history from its first row on, block by block with the number of its first row: scaled values on the grid of time (NaN =
    missing), and what special days do to each of them. Without ranges."""
    state = start(facts, has_ranges=False)
    for first in range(0, len(values), BLOCK):
        part = slice(first, first + BLOCK)
        yield first, score(state, facts, values[part], days=days and SpecialRows(days.effects[:, part], days.zero))[0]
