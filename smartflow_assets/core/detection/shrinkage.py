"""Means of few observations, drawn towards what their kind shares, and how far the next observation may lie from them.

Empirical Bayes with a normal model: an observation is the mean of all kinds, plus what is of its kind, plus what is of this one time,
plus noise that is known. A kind that was seen often keeps its own mean, one that was seen once is drawn to the others, one that was
never seen has that of all. (Efron and Morris, Stein's estimation rule and its competitors, 1973.) What was seen once and is unlike all
others may have been an outage: its kind is expected to be like the others, with room for the same again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from smartflow_assets.core.series.known_median import known_median

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRIOR_WEIGHT = 4.0
"""So many observations the guess is worth that one time differs from the next by `TIME_SHARE` of the usual size of a mean (squared)."""
TIME_SHARE = 0.04
MANY = 4
"""Kinds from which on one that is unlike the others does not say how much they differ."""
NOISE = 2.0
"""Standard deviations of noise."""


class Shrunk(NamedTuple):
    """For each kind (rows) and column: the mean, and the standard deviation of the next observation around it, without its noise."""

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def shrunk_means(observed: NDArray[np.float64], kind: NDArray[np.int64], kinds: int, noise: NDArray[np.float64]) -> Shrunk:
    """observed: observations x columns (NaN = unknown); kind: that of each, below `kinds`; noise: variance of each column.

    How much kinds and times differ is one figure for all columns, in units of their noise. The mean of all is a median that counts one more
    kind, without effect. All 0 where nothing was observed.

    >>> once = shrunk_means(np.array([[-6.0], [-4.0], [-5.0]]), np.array([0, 1, 2]), 4, np.array([0.01]))
    >>> once.mean.ravel().round(1).tolist(), bool(once.spread[3, 0] > 1.5 * once.spread[0, 0])
    ([-5.9, -4.0, -5.0, -4.5], True)
    """
    unit = np.sqrt(noise)
    scaled = observed / unit
    count, centre = np.zeros((kinds, len(noise))), np.full((kinds, len(noise)), np.nan)
    for one in np.unique(kind):
        own = scaled[kind == one]
        count[one] = np.isfinite(own).sum(axis=0)
        centre[one] = known_median(own)
    is_seen = count > 0
    seen = is_seen.sum(axis=0)
    if not seen.any():
        return Shrunk(np.zeros_like(centre), np.zeros_like(centre))
    known: NDArray[np.float64] = np.where(is_seen, centre, 0.0)
    mean = known_median(np.vstack([centre, np.zeros(len(noise))]), 0.0)
    size = float((known[is_seen] ** 2).mean())
    apart = float(np.nansum((scaled - centre[kind]) ** 2))
    free = float(np.maximum(count - 1, 0).sum())
    at_a_time: float = (PRIOR_WEIGHT * (1 + TIME_SHARE * size) + apart) / (PRIOR_WEIGHT + free)
    of_times = max(at_a_time - 1, 0.0)
    error: NDArray[np.float64] = at_a_time / np.maximum(count, 1)
    off = (known - mean)[is_seen]
    of_all = float((off**2).mean()) if is_seen.sum() >= MANY else float((off**2).mean() + (mean[seen > 0] ** 2).mean())
    of_most = float((1.4826 * np.median(np.abs(off))) ** 2) if is_seen.sum() >= MANY else of_all
    noise_of_kinds = float(error[is_seen].mean())
    of_all, of_most = max(of_all - noise_of_kinds, 0.0), max(of_most - noise_of_kinds, 0.0)
    of_kinds: NDArray[np.float64] = np.where(count > 1, of_all, of_most)
    weight: NDArray[np.float64] = np.where(is_seen, of_kinds / (of_kinds + error), 0.0)
    of_mean = (of_most + at_a_time) / (seen + 1)
    variance: NDArray[np.float64] = of_times + np.where(is_seen, weight * error, of_most) + (1 - weight) ** 2 * of_mean
    mean_of_kind: NDArray[np.float64] = np.where(is_seen, mean + weight * (known - mean), mean)
    spread = np.maximum(np.sqrt(variance), _seen_apart(np.abs(scaled - mean_of_kind[kind]), kind, kinds))
    return Shrunk(np.where(seen > 0, mean_of_kind * unit, 0.0), np.where(seen > 0, spread * unit, 0.0))


def _seen_apart(distance: NDArray[np.float64], kind: NDArray[np.int64], kinds: int) -> NDArray[np.float64]:
    """How far half of what was seen of each kind lies from its mean, beyond what is noise: what came once may come again."""
    found = np.zeros((kinds, distance.shape[1]))
    for one in np.unique(kind):
        ordered = np.sort(distance[kind == one], axis=0)  # NaN last
        count = np.isfinite(ordered).sum(axis=0, keepdims=True)
        half = np.take_along_axis(ordered, np.minimum(count // 2, np.maximum(count - 1, 0)), axis=0)[0]
        found[one] = np.where(count[0] > 0, np.maximum(half - NOISE, 0.0), 0.0)
    return found
