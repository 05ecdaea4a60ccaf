"""What training learns of a series before any detector runs: its step, its season, its centre and its unit.

Detectors see (value - centre) / unit, so that a series in bytes and one in shares of one are judged alike, and rows on a
regular grid, so that a gap does not shift the season.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from smartflow_assets.core.series.scaling import Scale, Scaler

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY, WEEK = 86400.0, 604800.0
LONGEST_GAP = 2000
SMALL_SHARE = 1e-6  # of the median: below it a value could not be told from zero once it is scaled


@dataclass(frozen=True)
class SeriesFacts:
    """What is known of a series before any row is scored.

    name: the series. period: rows in a season (a day, or a week for slow series; 0 = no season). scaler: detectors see
    scaled values, so that nothing depends on the unit of measurement. is_never_negative: nothing that was learnt from lies below
    zero, so nothing below zero is expected. known_rows, zero_rows, longest_zero_run: how many values were learnt from, how many of them
    were zero, and in how long a run. least: the smallest value above zero. grain: the smallest
    distance of two values, 1 of counts; 0 where there is none.
    """

    name: str = ""
    period: int = 0
    scaler: Scaler = field(default_factory=Scaler)
    is_never_negative: bool = False
    known_rows: int = 0
    zero_rows: int = 0
    longest_zero_run: int = 0
    least: float = 0.0
    grain: float = 0.0


def season(step: timedelta) -> int:
    """Rows in a season: a day, for steps above six hours a week, 0 where neither holds four rows.

    >>> season(timedelta(minutes=5)), season(timedelta(hours=1)), season(timedelta(days=1)), season(timedelta(days=7))
    (288, 24, 7, 0)
    """
    seconds = step.total_seconds()
    if seconds < 1:
        return 0
    for length in (DAY, WEEK):
        if length / seconds >= 4:
            return round(length / seconds)
    return 0


def typical_step(times: NDArray[np.datetime64]) -> timedelta:
    """Median distance of sorted times (microseconds); an hour where there is only one."""
    if len(times) < 2:
        return timedelta(hours=1)
    return timedelta(microseconds=max(1, int(np.median(np.diff(times).astype(np.int64)))))


def learn_facts(name: str, values: NDArray[np.float64], step: timedelta, scale: Scale, *, is_log: bool = False) -> SeriesFacts:
    """Facts of a series from the values that may be learnt from (NaN = missing); `is_log`: detectors see logarithms."""
    known = values[np.isfinite(values)]
    ends = np.flatnonzero(np.diff(known == 0, prepend=False, append=False))  # where zeros begin, and where they are over
    above, distances = known[known > 0], np.diff(np.unique(known))
    return SeriesFacts(
        name,
        season(step),
        Scaler.fit(values, scale, is_log=is_log),
        is_never_negative=bool(len(known)) and bool(known.min() >= 0),
        known_rows=len(known),
        zero_rows=int((known == 0).sum()),
        longest_zero_run=int(np.diff(ends)[::2].max(initial=0)),
        least=max(float(above.min()), SMALL_SHARE * float(np.median(above))) if len(above) else 0.0,
        grain=float(distances.min(initial=np.inf)) if len(distances) else 0.0,
    )


def row_numbers(
    times: NDArray[np.datetime64], step: timedelta, row_count: int = 0, last_at: np.datetime64 | None = None
) -> NDArray[np.int64]:
    """Row numbers of sorted times on a grid of `step`, from 0, or on from `row_count` rows that end at `last_at`: a gap leaves
    its rows free.

    Times closer than a step (or off the grid) simply take the next row. A gap of more than 2,000 rows is shortened by
    whole weeks, which keeps the season in phase and the memory bounded.
    """
    if len(times) == 0:
        return np.zeros(0, np.int64)
    if last_at is not None:
        return row_numbers(np.concatenate([[last_at], times]), step)[1:] + row_count - 1
    gaps = np.rint(np.diff(times).astype(np.int64) / (step / timedelta(microseconds=1))).astype(np.int64)
    gaps = np.maximum(gaps, 1)
    week = season(step) * (7 if step <= timedelta(hours=6) else 1)
    long = gaps > LONGEST_GAP
    if long.any():
        gaps[long] = np.where(gaps[long] % week, gaps[long] % week, week) if week else 1
    return np.concatenate([[0], np.cumsum(gaps)])
