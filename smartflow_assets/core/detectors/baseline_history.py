"""The baseline over a history, for detectors that learn from its forecasts and residuals.

When rows are scored, each detector is given the shared forecasts with them. A detector that is trained on those forecasts runs
its history through the same baseline here, on the same grid of time. The warm-up rows, of which the baseline knows little, are
left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.series.facts import SeriesFacts, row_numbers, season, typical_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 20_000
"""Newest rows of a series that are looked at, unless there are very many series."""
ROWS_IN_ALL = 4_000_000
"""Rows of all series together; they take half a minute."""
WARM_UP_ROWS = 288
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
    """What the baseline expected of the newest rows of a series, without those of its warm-up; None where no value is known."""
    from smartflow_assets.core.series import baseline

    values, period = history.values[name], 0
    if not np.isfinite(values).any():
        return None
    if name in history.times:
        step = typical_step(history.times[name])
        period = season(step)
        grid = row_numbers(history.times[name], step)
        placed = np.full(int(grid[-1]) + 1, np.nan)
        placed[grid] = values
        values = placed
    values = values[-min(LONGEST, max(ROWS_IN_ALL // len(history.values), 2 * WARM_UP_ROWS)) :]
    parts: list[tuple[NDArray[Any], ...]] = []
    for _, rows in baseline.over(SeriesFacts(name, period), values):
        tamed = rows.tamed[rows.offset : rows.offset + rows.count]
        parts.append((rows.values.copy(), tamed.copy(), rows.forecasts, rows.expected, rows.is_missing))
    warm_up = min(WARM_UP_ROWS, len(values) // 3)
    return BaselineHistory(period, *(np.concatenate(part, axis=-1)[..., warm_up:] for part in zip(*parts, strict=True)))
