"""What the baseline says of a history, for detectors that learn from what it leaves.

Scoring hands each detector the shared forecasts with its rows; a detector that learns from them walks its history through the
same baseline here, on the same grid of time. The first rows, on which the baseline knows little, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.series.facts import SeriesFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 20_000
"""Newest rows of a series that are looked at, unless there are very many series."""
ROWS_IN_ALL = 4_000_000
"""Of all series together: half a minute."""
SETTLED = 288
"""First rows that are left out, at most a third."""


@dataclass(frozen=True)
class BaselineHistory:
    """The rows of a series after the baseline; names and shapes as in `Rows`, with `tamed` for these rows alone."""

    period: int
    values: NDArray[np.float64]
    tamed: NDArray[np.float64]
    forecasts: NDArray[np.float64]
    expected: NDArray[np.float64]
    is_missing: NDArray[np.bool_]


def baseline_history(history: History, name: str) -> BaselineHistory | None:
    """The baseline's word on the newest settled rows of a series; None where nothing is known of it."""
    from smartflow_assets.core.series import baseline, facts

    values, period = history.values[name], 0
    if not np.isfinite(values).any():
        return None
    if name in history.times:
        step = facts.typical_step(history.times[name])
        period = facts.season(step)
        grid = facts.rows_of(history.times[name], step)
        placed = np.full(int(grid[-1]) + 1, np.nan)
        placed[grid] = values
        values = placed
    values = values[-min(LONGEST, max(ROWS_IN_ALL // len(history.values), 2 * SETTLED)) :]
    known = SeriesFacts(name, period)
    state, parts = baseline.start(known), []
    for a in range(0, len(values), baseline.BLOCK):
        rows, _ = baseline.score(state, known, values[a : a + baseline.BLOCK])
        tamed = rows.tamed[rows.offset : rows.offset + rows.count]
        parts.append((rows.values.copy(), tamed.copy(), rows.forecasts, rows.expected, rows.is_missing))
    settled = min(SETTLED, len(values) // 3)
    return BaselineHistory(period, *(np.concatenate(part, axis=-1)[..., settled:] for part in zip(*parts, strict=True)))
