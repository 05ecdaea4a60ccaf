"""Recursive least squares on the last twelve rows, robustly scaled: forgets with .9995 a row, learns from clipped errors."""

import numpy as np

from smartflow_assets.core.kernels import blocked_window as blocked
from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import fading_mean, quantile, replace

LAGS = 12
LEVEL_WINDOW = 2000
ERROR_WINDOW = 500
LEAST_ROWS = 20
FORGETTING = 0.9995


@compiled
def walk(values, offset, count, first, counts, level, level_heads, spread, error_scale, weights, inverse, lags, errors, error_ring, out):
    """Error of the one-step prediction over its trailing size.

    counts: rows in `level`, in `errors`, in `spread`; inverse: P of the recursion; lags: the last rows, newest first, scaled.
    """
    seen, moved = np.ones(LAGS + 1), np.empty(LAGS + 1)
    for i in range(count):
        t, value = first + i, values[offset + i]
        size, scaled, is_predicted = 0.0, 0.0, False
        if counts[0] >= LEAST_ROWS:
            median = blocked.quantile(level, level_heads, counts[0], 0.5)
            if counts[2] >= LEAST_ROWS:
                is_predicted = True
                scaled = min(max((value - median) / (spread[0] + 1e-9), -30.0), 30.0)
                for j in range(LAGS):  # element by element, here and below: an assignment of arrays takes 5 s more to compile
                    seen[j] = lags[j]
                error = scaled
                for j in range(LAGS + 1):
                    error -= weights[j] * seen[j]
                size = abs(error)
                usual = error_scale[0]
                slow, fast = 0.99 * usual + 0.01 * min(size, 5 * usual + 1e-6), max(usual, 0.9 * usual + 0.1 * size)
                usual = slow if t > 100 else fast
                error_scale[0] = usual
                clipped = min(max(error, -4 * usual), 4 * usual)
                gain_base = FORGETTING
                for q in range(LAGS + 1):
                    moved[q] = 0.0
                for j in range(LAGS + 1):
                    for q in range(LAGS + 1):
                        moved[q] += inverse[j, q] * seen[j]
                for j in range(LAGS + 1):
                    gain_base += seen[j] * moved[j]
                for j in range(LAGS + 1):
                    gain = moved[j] / gain_base
                    weights[j] += gain * clipped
                    for q in range(LAGS + 1):
                        inverse[j, q] = (inverse[j, q] - gain * moved[q]) / FORGETTING
                if t % 200 == 0:  # rounding bends the matrix: keep it symmetric, begin anew when it explodes
                    trace = 0.0
                    for j in range(LAGS + 1):
                        trace += inverse[j, j]
                        for q in range(j):
                            inverse[j, q] = inverse[q, j] = 0.5 * (inverse[j, q] + inverse[q, j])
                    if not trace < 1e8:
                        for j in range(LAGS + 1):
                            for q in range(LAGS + 1):
                                inverse[j, q] = 10.0 if j == q else 0.0
            spread[0] = fading_mean(spread[0], counts[2], LEVEL_WINDOW, abs(value - median))
            counts[2] += 1
        for j in range(LAGS - 1, 0, -1):
            lags[j] = lags[j - 1]
        lags[0] = scaled
        out[i] = 0.0
        if counts[1] >= LEAST_ROWS:
            out[i] = size / (1.48 * quantile(errors, counts[1], 0.5) + 0.5 * quantile(errors, counts[1], 0.9) + 1e-3)
        if is_predicted:
            slot = counts[2] % ERROR_WINDOW
            counts[1] = replace(errors, counts[1], ERROR_WINDOW, size, error_ring[slot])
            error_ring[slot] = size
        counts[0] = blocked.replace(level, level_heads, counts[0], LEVEL_WINDOW, value, values[offset + i - LEVEL_WINDOW])
