"""Means of few observations, drawn towards what their kind shares, and how far the next observation may lie from them.

Empirical Bayes with a normal model: an observation is the mean of all kinds, plus what is of its kind, plus what is of this one time,
plus noise that is known. A kind that was seen often keeps its own mean, one that was seen once goes half the way, one that was never
seen has that of all. (Efron and Morris, Stein's estimation rule and its competitors, 1973.)
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRIOR_WEIGHT = 4.0
"""So many observations the guess is worth that one time differs from the next by `TIME_SHARE` of the usual size of a mean (squared)."""
TIME_SHARE = 0.04


class Shrunk(NamedTuple):
    """For each kind (rows) and column: the mean, and the standard deviation of the next observation around it, without its noise."""

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def shrunk_means(observed: NDArray[np.float64], kind: NDArray[np.int64], kinds: int, noise: NDArray[np.float64]) -> Shrunk:
    """observed: observations x columns (NaN = unknown); kind: that of each, below `kinds`; noise: variance of each column.

    How much kinds and times differ is one figure for all columns, in units of their noise. The mean of all counts one more kind, which
    has no effect. All 0 where nothing was observed.

    >>> once = shrunk_means(np.array([[-6.0], [-4.0], [-5.0]]), np.array([0, 1, 2]), 4, np.array([0.01]))
    >>> once.mean.ravel().round(1).tolist(), bool(once.spread[3, 0] > 1.5 * once.spread[0, 0])
    ([-5.8, -4.0, -4.9, -3.8], True)
    """
    unit = np.sqrt(noise)
    scaled = observed / unit
    count, centre = np.zeros((kinds, len(noise))), np.full((kinds, len(noise)), np.nan)
    for one in np.unique(kind):
        own = scaled[kind == one]
        count[one] = np.isfinite(own).sum(axis=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column without any
            centre[one] = np.nanmedian(own, axis=0)
    is_seen = count > 0
    seen = is_seen.sum(axis=0)
    if not seen.any():
        return Shrunk(np.zeros_like(centre), np.zeros_like(centre))
    known: NDArray[np.float64] = np.where(is_seen, centre, 0.0)
    mean: NDArray[np.float64] = known.sum(axis=0) / (seen + 1)
    size = float((known[is_seen] ** 2).mean())
    apart = float(np.nansum((scaled - centre[kind]) ** 2))
    free = float(np.maximum(count - 1, 0).sum())
    at_a_time: float = (PRIOR_WEIGHT * (1 + TIME_SHARE * size) + apart) / (PRIOR_WEIGHT + free)
    of_times = max(at_a_time - 1, 0.0)
    squares = float((np.where(is_seen, centre - mean, 0.0) ** 2).sum() + (mean[seen > 0] ** 2).sum())
    of_kinds: float = max(squares / float(is_seen.sum()) - at_a_time * float((1 / count[is_seen]).mean()), 0.0)
    error = at_a_time / np.maximum(count, 1)
    weight: NDArray[np.float64] = np.where(is_seen, of_kinds / (of_kinds + error), 0.0)
    of_mean = (of_kinds + at_a_time / np.maximum(count.sum(axis=0) / np.maximum(seen, 1), 1)) / (seen + 1)
    variance: NDArray[np.float64] = of_times + np.where(is_seen, weight * error, of_kinds) + (1 - weight) ** 2 * of_mean
    mean_of_kind: NDArray[np.float64] = np.where(is_seen, mean + weight * (known - mean), mean)
    return Shrunk(np.where(seen > 0, mean_of_kind * unit, 0.0), np.where(seen > 0, np.sqrt(variance) * unit, 0.0))
