"""Textbook statistics of the trailing window, the row itself excluded: mean and deviation, quartiles, percentiles, medians.

Sums are taken of `LANES` rows side by side: each row's in its own order, so that the result is that of one row after the other.
"""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import quantile, replace

LANES = 16
LEAST_ROWS = 10
LEAST_SPREAD = 1e-3
"""In the series' own unit: a window that does not move at all must not make a rounding error an anomaly."""


@compiled
def mean_and_deviation(values, offset, count, first, window, mean, deviation):
    """Mean and standard deviation of the `window` rows before each row, two passes, nothing carried along."""
    i = 0
    while i < count:
        p, n = offset + i, min(first + i, window)
        if n < LEAST_ROWS:
            mean[i], deviation[i] = values[p], np.inf
            i += 1
            continue
        size = min(LANES, count - i) if n == window else 1
        centres, squares = mean[i : i + size], deviation[i : i + size]
        _means(values, p, n, size, centres)
        for k in range(size):
            squares[k] = 0.0
        for q in range(p - n, p):
            for k in range(size):
                squares[k] += (values[q + k] - centres[k]) ** 2
        for k in range(size):
            squares[k] = max(math.sqrt(squares[k] / (n - 1)), LEAST_SPREAD)
        i += size


@compiled
def _means(values, p, window, size, out):
    """Mean of the `window` rows before each of the `size` rows from p on."""
    for k in range(size):
        out[k] = 0.0
    for q in range(p - window, p):
        for k in range(size):
            out[k] += values[q + k]
    for k in range(size):
        out[k] /= window


@compiled
def short_mean_residual(values, offset, count, first, window, spread_window, residual_ring, mean, deviation):
    """Mean of the `window` rows before each row, and the standard deviation of the earlier residuals from such means."""
    i = 0
    while i < count:
        t, p = first + i, offset + i
        n = min(t, window)
        size = min(LANES, count - i) if n == window else 1
        if n:
            _means(values, p, n, size, mean[i : i + size])
        else:
            mean[i] = values[p]
        i += size
    sums = np.empty(LANES)
    i = 0
    while i < count:
        t, p = first + i, offset + i
        known, s = min(t, spread_window), t % spread_window
        if known == spread_window and s + LANES <= spread_window and i + LANES <= count:
            # the ring is summed from its start: up to s for all rows alike, then each row finds the residuals of those before it
            total = 0.0
            for q in range(s):
                total += residual_ring[q]
            for k in range(LANES):
                sums[k] = total
            for q in range(LANES):
                now = values[p + q] - mean[i + q]
                for k in range(LANES):
                    sums[k] += now if q < k else residual_ring[s + q]
            for q in range(s + LANES, spread_window):
                for k in range(LANES):
                    sums[k] += residual_ring[q]
            squares = deviation[i : i + LANES]
            for k in range(LANES):
                sums[k] /= known
                squares[k] = 0.0
            for q in range(s):
                for k in range(LANES):
                    squares[k] += (residual_ring[q] - sums[k]) ** 2
            for q in range(LANES):
                now = values[p + q] - mean[i + q]
                for k in range(LANES):
                    squares[k] += ((now if q < k else residual_ring[s + q]) - sums[k]) ** 2
            for q in range(s + LANES, spread_window):
                for k in range(LANES):
                    squares[k] += (residual_ring[q] - sums[k]) ** 2
            for k in range(LANES):
                squares[k] = max(math.sqrt(squares[k] / (known - 1)), LEAST_SPREAD)
                residual_ring[s + k] = values[p + k] - mean[i + k]
            i += LANES
            continue
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
        residual_ring[s] = values[p] - mean[i]
        i += 1


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
    """Median of the `window` rows before each row and the median distance from it: the distances below and above it are sorted already."""
    for i in range(count):
        p, n = offset + i, counts[0]
        if n < LEAST_ROWS:
            median[i], mad[i] = values[p], np.inf
        else:
            centre, high, wanted = quantile(ordered, n, 0.5), n // 2, (n + 1) // 2
            fewest, most = max(0, wanted - (n - high)), min(high, wanted)
            while fewest < most:  # how many of the nearest lie below
                middle = (fewest + most) >> 1
                if centre - ordered[high - 1 - middle] <= ordered[high + wanted - middle - 1] - centre:
                    fewest = middle + 1
                else:
                    most = middle
            below = centre - ordered[high - fewest] if fewest else -np.inf
            above = ordered[high + wanted - fewest - 1] - centre if fewest < wanted else -np.inf
            median[i], mad[i] = centre, max(below, above, LEAST_SPREAD)
        counts[0] = replace(ordered, n, window, values[p], values[p - window])
