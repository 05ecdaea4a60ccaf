"""The median of what is known of several arrays. By sorting: numpy's nanmedian takes ten times as long on small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def known_median(values: NDArray[np.float64], otherwise: float = np.nan) -> NDArray[np.float64]:
    """Median of the values that are not NaN over the first axis, `otherwise` where there is none.

    >>> known_median(np.array([[1.0, np.nan], [4.0, np.nan], [np.nan, np.nan]]), 0.0).tolist()
    [2.5, 0.0]
    """
    if not len(values):
        return np.full(values.shape[1:], otherwise)
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(ordered).sum(axis=0, keepdims=True)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(values) - 1)
    middle = (np.take_along_axis(ordered, low, axis=0)[0] + np.take_along_axis(ordered, high, axis=0)[0]) / 2
    return np.where(count[0] > 0, middle, otherwise)
