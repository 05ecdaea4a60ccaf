"""From raw scores to surprise: -log10 of the share of the series' own history with a score as high.

Surprise 3 is one row in a thousand, for every detector and every series: that is what makes scores comparable, lets them be
averaged and lets one threshold serve all. The history trails the row, 8,000 rows long; of an event's rows only the strangest
stays in it. The arithmetic is in `kernels.tail`. State: arrays of fixed size, about 22 kB a detector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smartflow_assets.core.series.blocks import State

if TYPE_CHECKING:
    from numpy.typing import NDArray

HISTORY_ROWS = 8000
HOT, CLUSTER_ROWS = 2.3, 60
"""Rows of surprise above HOT within CLUSTER_ROWS leave one entry in the history."""
LARGEST = 40.0


def empty_calibration() -> State:
    """An empty history."""
    from smartflow_assets.core.kernels import tail

    return {
        "marks": np.array([-1, 0, 0, 0, -1, 0]),
        "tail": np.zeros(3),
        "bins": np.zeros(tail.BINS),
        "surprise_of_bin": np.zeros(tail.BINS),
        "codes": np.full(HISTORY_ROWS, tail.OUTSIDE, np.uint16),
    }


def calibrate(state: State, raw: NDArray[np.float64], is_missing: NDArray[np.bool_], first: int) -> NDArray[np.float64]:
    """Surprise of each raw score, 0 to 40; `first` is the row number of raw[0]. The state is changed in place.

    >>> calm = np.abs(np.sin(np.arange(500.0)))
    >>> surprise = calibrate(empty_calibration(), np.append(calm, 50.0), np.zeros(501, bool), 0)
    >>> bool(surprise[200:500].max() < 3 < surprise[500])
    True
    """
    from smartflow_assets.core.kernels import tail

    surprise = np.empty(len(raw))
    tail.walk(
        raw, is_missing, len(raw), first, state["marks"], state["tail"], state["bins"], state["surprise_of_bin"], state["codes"],
        HOT, CLUSTER_ROWS, LARGEST, surprise,
    )  # fmt: skip
    return surprise
