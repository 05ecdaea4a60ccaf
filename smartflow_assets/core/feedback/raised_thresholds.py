"""Thresholds that rise for false alarms: what is no stranger and no larger than one is not flagged again, for a while.

A raise holds for rows on its side of what is expected, no further from it than the false alarm was: there the threshold is just above
its score. Whatever is larger keeps the threshold of the series. No raise goes above the score of a true alarm of the same series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ABOVE = 1e-9
"""By this share of itself a raised threshold lies above the score of its false alarm, which rounding must not flag again."""


@dataclass(frozen=True)
class Raise:
    """Of one series. `surprise`: the highest combined surprise of the false alarm; `deviation`: its largest distance from what was
    expected, in the unit and without a sign; `until_at`: in the time of the data; `at_most`: the lowest surprise of a true alarm, which
    must be flagged."""

    direction: str
    surprise: float
    deviation: float
    until_at: datetime
    at_most: float = float("inf")

    @property
    def threshold(self) -> float:
        """The surprise from which what is no larger is flagged all the same."""
        return min(self.surprise * (1 + ABOVE), self.at_most)


def raised(
    raises: Sequence[Raise], surprise_threshold: float, deviations: NDArray[np.float64], times: NDArray[np.datetime64]
) -> NDArray[np.float64]:
    """The threshold of each row of a series whose own is `surprise_threshold`, in surprise; of several raises the largest holds.

    deviations: value minus expected; times: in UTC, without a zone.

    >>> spike = Raise("spike", surprise=5.0, deviation=40.0, until_at=datetime(2026, 6, 1, tzinfo=UTC))
    >>> raised([spike], 2.2, np.array([30.0, 41.0, -30.0]), np.full(3, np.datetime64("2026-05-01"))).round(3).tolist()
    [5.0, 2.2, 2.2]
    """
    found = np.full(len(deviations), surprise_threshold)
    for each in raises:
        until = np.datetime64(each.until_at.astimezone(UTC).replace(tzinfo=None))
        way = deviations if each.direction == "spike" else -deviations
        holds = (way > 0) & (way <= each.deviation * (1 + ABOVE)) & (times < until)
        found = np.where(holds, np.maximum(found, each.threshold), found)
    return found
