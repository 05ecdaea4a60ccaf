"""Distance of the newest window to the nearest window at about the same time of earlier seasons.

Rows are gone over `LANES` at a time: each keeps its own order of operations, so the result is that of one row after the other, and the
processor works on several at once.
"""

import numpy as np

from smartflow_assets.core.kernels.compile import compiled

LANES = 16


@compiled
def walk(values, offset, count, first, period, width, reach, stride, seasons, lookback, is_shape, out):
    """Mean |difference| per row to the nearest of the windows that ended d seasons ago (d = 1 .. seasons), up to `reach` rows
    earlier or later in strides of `stride`; is_shape: each window about its own mean. No window begins more than `lookback` rows
    back. 0 where no earlier season is there."""
    own, other, total, nearest = np.zeros(LANES), np.zeros(LANES), np.empty(LANES), np.empty(LANES)
    i = 0
    while i < count:
        t, p = first + i, offset + i
        known, back = 0, period + reach + width  # seasons behind the row, the same for all rows of a piece; where the next one begins
        while known < seasons and back <= min(t, lookback):
            known, back = known + 1, back + period
        size = min(LANES, count - i)
        if known < seasons and back > t:
            size = min(size, back - t)
        for k in range(size):
            nearest[k] = np.inf
        if is_shape and known:
            _means(values, p, width, size, own)
        for d in range(1, known + 1):
            for shift in range(-reach, reach + 1, stride):
                q = p - d * period + shift
                if is_shape:
                    _means(values, q, width, size, other)
                for k in range(size):
                    total[k] = 0.0
                for j in range(width):
                    for k in range(size):
                        total[k] += abs((values[p - j + k] - own[k]) - (values[q - j + k] - other[k]))
                for k in range(size):
                    nearest[k] = min(nearest[k], total[k])
        for k in range(size):
            out[i + k] = nearest[k] / width if known else 0.0
        i += size


@compiled
def _means(values, p, width, size, out):
    """Mean of the `width` rows that end at each of the `size` rows from p on."""
    for k in range(size):
        out[k] = 0.0
    for j in range(width):
        for k in range(size):
            out[k] += values[p - j + k]
    for k in range(size):
        out[k] /= width
