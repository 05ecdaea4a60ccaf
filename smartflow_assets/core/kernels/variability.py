"""|log| of the spread of twelve rows over its trailing median: a burst and a calm that is too calm are both strange."""

import math

from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import quantile, replace

ROWS = 12
WINDOW = 2000
LEAST_ROWS = 50


@compiled
def walk(values, tamed, offset, count, first, counts, ordered, ring, out):
    """One score a row; nothing before six rows, nothing strange before fifty spreads are known."""
    for i in range(count):
        t, p = first + i, offset + i
        n = min(t + 1, ROWS)
        spread = 0.0
        if n >= 6:
            mean = values[p]
            for q in range(1, n):
                mean += tamed[p - q]
            mean /= n
            spread = (values[p] - mean) ** 2
            for q in range(1, n):
                spread += (tamed[p - q] - mean) ** 2
            spread = math.sqrt(spread / (n - 1))
        usual = quantile(ordered, counts[0], 0.5) if counts[0] >= LEAST_ROWS else 0.0
        floor = 1e-3 * usual + 1e-12
        out[i] = abs(math.log((spread + floor) / (usual + floor))) if counts[0] >= LEAST_ROWS else 0.0
        counts[0] = replace(ordered, counts[0], WINDOW, spread, ring[t % WINDOW])
        ring[t % WINDOW] = spread
