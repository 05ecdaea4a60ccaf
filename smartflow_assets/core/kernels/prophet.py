"""The forecast of a fitted Prophet model: bent line, Fourier series, holiday; row by row, without pandas."""

import math

from smartflow_assets.core.kernels.compile import compiled


@compiled
def predict(seconds, is_holiday, start, span, slope, level, changes, change_at, frequency, sine, cosine, holiday, scale, out):
    """Expected value at local `seconds` since 1970 (NaN stays NaN).

    slope and level hold from `start` on and are bent by `changes` at the shares `change_at` of `span` seconds; frequency: turns
    a day of each term; what is summed is in units of `scale`.
    """
    for i in range(len(seconds)):
        t = (seconds[i] - start) / span
        rate, offset = slope, level
        for j in range(len(changes)):
            if change_at[j] <= t:
                rate += changes[j]
                offset -= changes[j] * change_at[j]
        value = rate * t + offset
        for j in range(len(frequency)):
            angle = 2 * math.pi * seconds[i] / 86400.0 * frequency[j]
            value += sine[j] * math.sin(angle) + cosine[j] * math.cos(angle)
        out[i] = (value + holiday * is_holiday[i]) * scale
