"""What to expect of a row from the rows before it: six forecasts, two mixtures of them, and how large changes usually are.

All detectors build on this, so it is computed once. It also imputes: a missing value is replaced by what was expected, so
that no kernel ever sees a NaN.
"""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import quantile, replace

SEASONS = 7
RANGE_WINDOW = 8000
RESIDUAL_WINDOW = 2000
SLEW_ROWS = 100
"""Rows before the band is trusted to hold the level and the outliers."""
TAME = 2.0
"""Bands: an outlier further out is drawn in before windows of rows are judged, or it would taint every window it is in."""
# counts: short, long, smooth, level, week level, range, residual, noise
COUNTS = 8


@compiled
def _weigh(losses, scale, first, forecasts, column):
    """Forecast of the experts from `first` on, weighted by their decayed losses."""
    best = losses[first]
    for j in range(first + 1, len(losses)):
        best = min(best, losses[j])
    total, mixed = 0.0, 0.0
    for j in range(first, len(losses)):
        weight = math.exp(-0.5 * (losses[j] - best) / scale)
        total += weight
        mixed += weight * forecasts[j, column]
    return mixed / total


@compiled
def walk(
    values, tamed, offset, count, first, period, counts, short, long, smooth, seasons, level, level_ring, week_level, week_ring,
    losses, scale, last_deviations, range_window, residuals, residual_ring, noise, noise_ring,
    forecasts, expected, band, usual, surprise_residual, seasonal_deviation, ranges, noise_out, is_missing,
):  # fmt: skip
    """Walk rows values[offset : offset + count]; NaN is replaced in place by the expectation and marked.

    forecasts (6 x count): last, median of 5, median of 288, median of up to 7 seasons, that + current level, seven seasons
    ago + current level. expected: mixture of the slow ones, which an anomaly cannot drag along within a few rows. band: the
    99.5 % quantile of |value - expected|; usual: the 95 % quantile, which a few hours of anomalies in a week do not widen.
    tamed: the values, outliers put on the edge of twice the band. surprise_residual:
    value - mixture of all. ranges: quantiles of the last 8,000.
    """
    half = period // 288
    span = max(6, period // 24)
    experts = 6 if period else 3
    slow = 2 if period else 1
    ring = max(SEASONS * period, 1)
    past = np.empty(SEASONS)
    for i in range(count):
        t, p = first + i, offset + i
        value, week = values[p], 0.0
        is_missing[i] = not math.isfinite(value)
        for j in range(6):
            forecasts[j, i] = values[p - 1] if t else 0.0
        if counts[0]:
            forecasts[1, i] = quantile(short, counts[0], 0.5)
        forecasts[2, i] = quantile(long, counts[1], 0.5) if counts[1] >= 5 else forecasts[1, i]
        if period:
            known = 0
            for j in range(1, SEASONS + 1):
                if t >= j * period:
                    v = seasons[(t - j * period) % ring]
                    q = known
                    while q > 0 and past[q - 1] > v:
                        past[q] = past[q - 1]
                        q -= 1
                    past[q] = v
                    known += 1
            seasonal = quantile(past, known, 0.5) if known else forecasts[1, i]
            week = seasons[t % ring] if t >= SEASONS * period else forecasts[1, i]
            forecasts[3, i] = seasonal
            forecasts[4, i] = seasonal + (quantile(level, counts[3], 0.5) if counts[3] >= 3 else 0.0)
            forecasts[5, i] = week + (quantile(week_level, counts[4], 0.5) if counts[4] >= 3 else 0.0)
        mixed = _weigh(losses[:experts], scale[0], 0, forecasts, i)
        expected[i] = _weigh(losses[:experts], scale[0], slow, forecasts, i)
        if is_missing[i]:
            value = expected[i]
            values[p] = value
        if t == 0:
            values[:p] = tamed[:p] = value

        nearest = np.inf
        for j in range(experts):
            nearest = min(nearest, abs(value - forecasts[j, i]))
        scale[0] = max(0.995 * scale[0] + 0.005 * nearest if t > 50 else scale[0] + (nearest - scale[0]) / (t + 1.0), 1e-9)
        for j in range(experts):
            losses[j] = 0.99 * losses[j] + min(abs(value - forecasts[j, i]), 20 * scale[0])

        surprise_residual[i] = value - mixed
        last_deviations[t % 3] = value - forecasts[3 if period else 2, i]
        seasonal_deviation[i] = abs(last_deviations[0] + last_deviations[1] + last_deviations[2]) / min(t + 1, 3)
        k = counts[5]
        if k:
            ranges[0, i] = quantile(range_window, k, 0.002)
            ranges[1, i] = quantile(range_window, k, 0.005)
            ranges[2, i] = quantile(range_window, k, 0.05)
            ranges[3, i] = quantile(range_window, k, 0.95)
            ranges[4, i] = quantile(range_window, k, 0.995)
            ranges[5, i] = quantile(range_window, k, 0.998)
        else:
            ranges[:, i] = value
        band[i] = quantile(residuals, counts[6], 0.995) if counts[6] else 0.0
        usual[i] = quantile(residuals, counts[6], 0.95) if counts[6] else 0.0
        reach = TAME * band[i] if counts[6] >= SLEW_ROWS else np.inf
        tamed[p] = min(max(value, expected[i] - reach), expected[i] + reach)
        noise_out[i] = quantile(noise, counts[7], 0.99) if counts[7] >= 30 else 0.0

        if period:
            a, b, s = value - forecasts[3, i], value - week, t % span
            if counts[6] >= SLEW_ROWS:  # an anomaly moves the level by no more than a band at a time
                now, then = forecasts[4, i] - forecasts[3, i], forecasts[5, i] - week
                a = min(max(a, now - band[i]), now + band[i])
                b = min(max(b, then - band[i]), then + band[i])
            counts[3] = replace(level, counts[3], span, a, level_ring[s])
            counts[4] = replace(week_level, counts[4], span, b, week_ring[s])
            level_ring[s], week_ring[s] = a, b
            counts[2] = replace(smooth, counts[2], 2 * half + 1, value, values[p - 2 * half - 1])
            if t >= half:
                seasons[(t - half) % ring] = quantile(smooth, counts[2], 0.5)
        counts[0] = replace(short, counts[0], 5, value, values[p - 5])
        counts[1] = replace(long, counts[1], 288, value, values[p - 288])
        counts[5] = replace(range_window, counts[5], RANGE_WINDOW, value, values[p - RANGE_WINDOW])
        s = t % RESIDUAL_WINDOW
        a, b = abs(value - expected[i]), abs(surprise_residual[i])
        counts[6] = replace(residuals, counts[6], RESIDUAL_WINDOW, a, residual_ring[s])
        counts[7] = replace(noise, counts[7], RESIDUAL_WINDOW, b, noise_ring[s])
        residual_ring[s], noise_ring[s] = a, b
