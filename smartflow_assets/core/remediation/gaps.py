"""Gaps: buckets without a row between buckets with rows, longer than what comes back by hour and weekday."""

from typing import NamedTuple

import numpy as np

from smartflow_assets.core.series.arrivals import Arrivals
from smartflow_assets.core.temporal.time_grid import TimeGrid

MOST_LOOKED_AT = 50
"""The longest of them are looked at: a source of rare rows has thousands."""


class Gap(NamedTuple):
    """The numbers of its first bucket, and of the one after its last."""

    since: int
    until: int


def unusual_gaps(filled: np.ndarray, grid: TimeGrid, longest_filled: int) -> list[Gap]:
    """The gaps in buckets with rows (`filled`, their numbers) that are longer than `longest_filled` and than pauses before them, in order.

    Each is judged by the rows before it, as the silence was while it lasted.

    >>> from datetime import timedelta
    >>> from smartflow_assets.core.temporal.calendar import Calendar
    >>> hours = np.array([hour for hour in range(24 * 28) if hour % 24 < 20 and not 500 <= hour < 515])
    >>> unusual_gaps(hours, TimeGrid(timedelta(hours=1), Calendar()), 6)
    [Gap(since=500, until=515)]
    """
    filled = np.unique(filled)
    lengths = np.diff(filled) - 1
    places = np.flatnonzero(lengths > longest_filled)
    places = np.sort(places[np.argsort(-lengths[places], kind="stable")[:MOST_LOOKED_AT]])
    return [
        Gap(int(filled[place]) + 1, int(filled[place + 1]))
        for place in places
        if Arrivals(filled[: place + 1], grid).silence(int(filled[place + 1])).is_unusual
    ]
