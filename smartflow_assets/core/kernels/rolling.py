"""Statistics of the rows before each row, NaN left out: each window is summed anew, so that no split of the rows shows.

Windows are short (a day at most), so two passes per row cost less than the care that running sums would need.
"""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import quantile, rank


@compiled
def before(values, window, mean, deviation, median):
    """Mean, standard deviation and median of the known among the `window` rows before each row; NaN where there are none
    (the deviation needs two)."""
    ordered = np.empty(window)
    count = 0
    for i in range(len(values)):
        total = 0.0
        for q in range(max(0, i - window), i):
            if not math.isnan(values[q]):
                total += values[q]
        mean[i] = deviation[i] = median[i] = np.nan
        if count:
            mean[i] = total / count
            median[i] = quantile(ordered, count, 0.5)
        if count > 1:
            square = 0.0
            for q in range(max(0, i - window), i):
                if not math.isnan(values[q]):
                    square += (values[q] - mean[i]) ** 2
            deviation[i] = math.sqrt(square / (count - 1))
        if i >= window and not math.isnan(values[i - window]):
            at = rank(ordered, 0, count, values[i - window])
            for q in range(at, count - 1):
                ordered[q] = ordered[q + 1]
            count -= 1
        if not math.isnan(values[i]):
            at = rank(ordered, 0, count, values[i])
            for q in range(count, at, -1):
                ordered[q] = ordered[q - 1]
            ordered[at] = values[i]
            count += 1
