"""Textbook statistics of the trailing window, the row itself excluded: mean and deviation, quartiles, percentiles, medians."""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import quantile, replace

LEAST_ROWS = 10
LEAST_SPREAD = 1e-3
"""In the series' own unit: a window that does not move at all must not make a rounding error an anomaly."""


@compiled
def mean_and_deviation(values, offset, count, first, window, mean, deviation):
    """Mean and standard deviation of the `window` rows before each row, two passes, nothing carried along."""
    for i in range(count):
        p, n = offset + i, min(first + i, window)
        if n < LEAST_ROWS:
            mean[i], deviation[i] = values[p], np.inf
            continue
        total = 0.0
        for q in range(p - n, p):
            total += values[q]
        centre, square = total / n, 0.0
        for q in range(p - n, p):
            square += (values[q] - centre) ** 2
        mean[i], deviation[i] = centre, max(math.sqrt(square / (n - 1)), LEAST_SPREAD)


@compiled
def short_mean_residual(values, offset, count, first, window, spread_window, residual_ring, mean, deviation):
    """Mean of the `window` rows before each row, and the standard deviation of the earlier residuals from such means."""
    for i in range(count):
        t, p = first + i, offset + i
        n = min(t, window)
        total = 0.0
        for q in range(p - n, p):
            total += values[q]
        mean[i] = total / n if n else values[p]
        known = min(t, spread_window)
        if known < LEAST_ROWS:
            deviation[i] = np.inf
        else:
            total, square = 0.0, 0.0
            for q in range(known):
                total += residual_ring[q]
            centre = total / known
            for q in range(known):
                square += (residual_ring[q] - centre) ** 2
            deviation[i] = max(math.sqrt(square / (known - 1)), LEAST_SPREAD)
        residual_ring[t % spread_window] = values[p] - mean[i]


@compiled
def quantiles(values, offset, count, window, counts, ordered, shares, out):
    """Quantiles `shares` of the `window` rows before each row, out: len(shares) x count; NaN before there are ten."""
    for i in range(count):
        p = offset + i
        for j in range(len(shares)):
            out[j, i] = quantile(ordered, counts[0], shares[j]) if counts[0] >= LEAST_ROWS else np.nan
        counts[0] = replace(ordered, counts[0], window, values[p], values[p - window])


@compiled
def median_and_mad(values, offset, count, window, counts, ordered, median, mad):
    """Median of the `window` rows before each row and the median distance from it, walking outwards from the median."""
    for i in range(count):
        p, n = offset + i, counts[0]
        if n < LEAST_ROWS:
            median[i], mad[i] = values[p], np.inf
        else:
            centre = quantile(ordered, n, 0.5)
            high = n // 2
            low, distance = high - 1, 0.0
            for _ in range((n + 1) // 2):
                below = centre - ordered[low] if low >= 0 else np.inf
                above = ordered[high] - centre if high < n else np.inf
                if below <= above:
                    distance = below
                    low -= 1
                else:
                    distance = above
                    high += 1
            median[i], mad[i] = centre, max(distance, LEAST_SPREAD)
        counts[0] = replace(ordered, n, window, values[p], values[p - window])
