"""Outlook: what a trained model expects of the rows to come, and how far from that they have turned out to lie.

The band of a row is for one row ahead, when all before it are known. Further ahead a series that wanders may be anywhere, so how wide
the range must be is asked of the past: from many earlier rows on, what was expected of the rows after them while these were hidden, and
what came. Nothing is learnt and no state of a model is changed.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from smartflow_assets.core.detection.scoring import scorer_of
from smartflow_assets.core.detection.training import minimum_rows
from smartflow_assets.core.errors import ModelError
from smartflow_assets.core.series import baseline
from smartflow_assets.core.series.facts import row_numbers, season

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.detection.fitted_models import FittedModels
    from smartflow_assets.core.detection.series_scorer import ScoredBlock, SeriesScorer
    from smartflow_assets.core.series.blocks import State

MOST_ROWS = 200
"""Rows ahead at most: what is said of more is the season, with all that ever happened to it around."""
LEAST_ROWS = 48
"""The same at least: two days of hours."""
ORIGINS = 60
"""Earlier rows that are asked what they would have said, in the newest half of the past: what is older knew less, and what is newer alone
would leave out the last winter of days. With the newest 28 weeks of three years instead, .78 of the days of kpi_sales lie inside 96 days
ahead, not .83 (benchmarks/forecast.py)."""
OUTSIDE = 0.025
"""Share of the errors that the range leaves out on each side."""
NEIGHBOURS = 4
"""Errors of horizons that differ by less than a quarter are of one kind."""


@dataclass(frozen=True)
class Outlook:
    """Expected value and range of each row ahead, in the unit of the series. origin_count: of how many earlier rows it was asked how wide
    the range must be; 0 where there are not enough, and then the range is the band of one row."""

    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    origin_count: int


def rows_ahead(step: timedelta) -> int:
    """How far it is worth looking: a season, or two days of hours, within 48 to 200 rows.

    >>> rows_ahead(timedelta(minutes=5)), rows_ahead(timedelta(minutes=15)), rows_ahead(timedelta(hours=1)), rows_ahead(timedelta(days=1))
    (200, 96, 48, 48)
    """
    return min(max(season(step), LEAST_ROWS), MOST_ROWS)


def outlook(
    fitted: FittedModels,
    name: str,
    times: NDArray[np.datetime64],
    values: NDArray[np.float64],
    ahead: NDArray[np.datetime64],
) -> Outlook:
    """What is expected of a series at the times `ahead` (UTC, in order, a few hundred), after its rows so far (NaN = missing). ModelError
    where it has too few rows since the model's context, or is none that the model knows."""
    past = times >= fitted.context_from.tz_convert("UTC").tz_localize(None).to_datetime64()
    times, values = times[past], values[past]
    known = np.flatnonzero(np.isfinite(values))
    scorer = scorer_of(fitted, name) if name in fitted.series else None
    if scorer is None:
        raise ModelError("the series is newer than the last training")
    least = minimum_rows(fitted.settings, fitted.step)
    grid = row_numbers(np.concatenate([times, ahead]), fitted.step)
    if not len(known) or grid[known[-1]] + 1 < least:
        raise ModelError(f"it has {int(grid[known[-1]]) + 1 if len(known) else 0} rows, {least} are needed")
    rows = int(grid[known[-1]]) + 1  # those behind the newest value are as unknown as those ahead
    placed, moments = np.full(int(grid[-1]) + 1, np.nan), np.full(int(grid[-1]) + 1, np.datetime64("NaT", "us"))
    placed[grid[: len(values)]], moments[grid] = values, np.concatenate([times, ahead])
    walk = _Walk(scorer.of_band(), placed, moments)
    count = len(placed) - rows
    origins = _origins(max(least, rows // 2), rows - 1, count)
    errors = np.full((len(origins), count), np.nan)
    for place, origin in enumerate(origins):
        walk.to(int(origin))
        said = walk.ahead(min(count, rows - int(origin)))
        scaled = (scorer.facts.scaler.transform(part) for part in (placed[origin : origin + len(said.expected)], said.expected))
        errors[place, : len(said.expected)] = np.subtract(*scaled)
    walk.to(rows)
    return _ranged(scorer, walk.ahead(count), errors, grid[len(times) :] - rows)


class _Walk:
    """A series on its way from row to row, which may look ahead from where it is."""

    def __init__(self, scorer: SeriesScorer, values: NDArray[np.float64], times: NDArray[np.datetime64]) -> None:
        self._scorer, self._values, self._times = scorer, values, times
        self._state: State = scorer.start()
        self._at = 0

    def to(self, row: int) -> None:
        """Go on until all rows before this one are known."""
        while self._at < row:
            part = slice(self._at, min(row, self._at + baseline.BLOCK))
            self._scorer.score(self._state, self._values[part], None, self._times[part])
            self._at = part.stop

    def ahead(self, count: int) -> ScoredBlock:
        """What is expected of the next rows while their values are hidden."""
        return self._scorer.score(deepcopy(self._state), np.full(count, np.nan), None, self._times[self._at : self._at + count])


def _origins(first: int, last: int, count: int) -> NDArray[np.int64]:
    """Rows from which to look ahead, one in each of equal stretches, at a place of it that keeps off the season: every 24th hour would
    always be the same one. All rows ahead of them have come, where that leaves half of the room."""
    last = max(last - count + 1, (first + last) // 2)
    wanted = min(ORIGINS, last - first + 1)
    if wanted < 1:
        return np.zeros(0, np.int64)
    golden = (np.arange(wanted) * (np.sqrt(5) - 1) / 2) % 1
    return np.unique(first + ((np.arange(wanted) + golden) / wanted * (last - first + 1)).astype(np.int64))


def _ranged(scorer: SeriesScorer, said: ScoredBlock, errors: NDArray[np.float64], wanted: NDArray[np.int64]) -> Outlook:
    """The outlook on the wanted rows, with ranges that are no narrower than the band, hold what the errors (origins x rows ahead, scaled)
    held, and do not shrink with the distance; a special day has the room of its band beside them."""
    scaler = scorer.facts.scaler
    expected, lower, upper = (scaler.transform(part) for part in (said.expected, said.lower, said.upper))
    fall, rise = _quantiles(errors)
    fall = np.maximum.accumulate(np.maximum(fall, expected[0] - lower[0]))
    rise = np.maximum.accumulate(np.maximum(rise, upper[0] - expected[0]))
    lower, upper = (scaler.inverse(part) for part in (np.minimum(lower, expected - fall), np.maximum(upper, expected + rise)))
    if scorer.facts.is_never_negative:
        lower = np.maximum(lower, 0.0)
    return Outlook(said.expected[wanted], lower[wanted], upper[wanted], len(errors))


def _quantiles(errors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far below and above what was expected the rows lay, by horizon; 0 where nothing is known of it."""
    count = errors.shape[1]
    fall, rise = np.zeros((2, count))
    for row in range(count):
        near = max(row // NEIGHBOURS, 1)
        pooled = errors[:, max(row - near, 0) : row + near + 1]
        pooled = pooled[np.isfinite(pooled)]
        if len(pooled):
            low, high = np.quantile(pooled, [OUTSIDE, 1 - OUTSIDE])
            fall[row], rise[row] = max(-low, 0.0), max(high, 0.0)
    return fall, rise
