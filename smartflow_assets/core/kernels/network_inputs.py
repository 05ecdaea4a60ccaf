"""What a forecasting network sees of a row before its value is known, on a ruler that is straight near zero and logarithmic afar."""

import math

from smartflow_assets.core.kernels.compile import compiled

INPUTS = 7


@compiled
def walk(forecasts, expected, tamed, offset, count, unit, last, out):
    """out (count x 7): what was left of the row before, and the six forecasts from the expected value, all in `unit`.

    last: what was left of the row before the first one; changed in place.
    """
    for i in range(count):
        out[i, 0] = math.asinh(last[0] / unit)
        for j in range(6):
            out[i, 1 + j] = math.asinh((forecasts[j, i] - expected[i]) / unit)
        last[0] = tamed[offset + i] - expected[i]
