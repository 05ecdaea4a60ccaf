"""The shared first look at a series: what was expected of each row, and how large its changes usually are.

Every detector builds on these numbers, every row's expected value and band come from them, and a missing value is replaced
by its expectation here, before any other kernel runs. State: the last rows of the series and some sorted windows of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    the change that 95 % of the rows stay below."""

    band: NDArray[np.float64]
    noise: NDArray[np.float64]
    usual: NDArray[np.float64]


def start(facts: SeriesFacts) -> State:
    """The state before the first row."""
    from smartflow_assets.core.kernels import baseline as kernel

    period, span, half = facts.period, max(6, facts.period // 24), facts.period // 288
    return {
        "position": np.array([0, HISTORY]),
        "values": np.zeros(2 * HISTORY + BLOCK),
        "tamed": np.zeros(2 * HISTORY + BLOCK),
        "counts": np.zeros(kernel.COUNTS, np.int64),
        "short": np.zeros(5),
        "long": np.zeros(288),
        "smooth": np.zeros(2 * half + 1),
        "seasons": np.zeros(max(kernel.SEASONS * period, 1)),
        "level": np.zeros(span),
        "level_ring": np.zeros(span),
        "week_level": np.zeros(span),
        "week_ring": np.zeros(span),
        "losses": np.zeros(6),
        "scale": np.array([1e-9]),
        "last_deviations": np.zeros(3),
        "range_window": np.zeros(kernel.RANGE_WINDOW),
        "residuals": np.zeros(kernel.RESIDUAL_WINDOW),
        "residual_ring": np.zeros(kernel.RESIDUAL_WINDOW),
        "noise": np.zeros(kernel.RESIDUAL_WINDOW),
        "noise_ring": np.zeros(kernel.RESIDUAL_WINDOW),
    }


def score(
    state: State,
    facts: SeriesFacts,
    values: NDArray[np.float64],
    features: NDArray[np.float64] | None = None,
    times: NDArray[np.datetime64] | None = None,
) -> tuple[Rows, Normal]:
    """Walk up to BLOCK scaled values (NaN = missing) and return them imputed, with their expectations.

    The returned rows look into the state and are valid until the next call.
    """
    from smartflow_assets.core.kernels import baseline as kernel

    count = len(values)
    first, offset = (int(v) for v in state["position"])
    padded, tamed = state["values"], state["tamed"]
    if offset + count > len(padded):
        for past in (padded, tamed):
            past[:HISTORY] = past[offset - HISTORY : offset].copy()
        offset = HISTORY
    padded[offset : offset + count] = values
    forecasts, ranges = np.empty((6, count)), np.empty((6, count))
    expected, band, usual, residual, seasonal_deviation, noise = np.empty((6, count))
    is_missing = np.empty(count, np.bool_)
    s = state
    kernel.walk(
        padded, tamed, offset, count, first, facts.period, s["counts"], s["short"], s["long"], s["smooth"], s["seasons"],
        s["level"], s["level_ring"], s["week_level"], s["week_ring"], s["losses"], s["scale"], s["last_deviations"],
        s["range_window"], s["residuals"], s["residual_ring"], s["noise"], s["noise_ring"],
        forecasts, expected, band, usual, residual, seasonal_deviation, ranges, noise, is_missing,
    )  # fmt: skip
    state["position"][:] = first + count, offset + count
    rows = Rows(padded, tamed, offset, count, first, forecasts, expected, residual, seasonal_deviation, ranges, is_missing, features, times)
    return rows, Normal(band, noise, usual)
