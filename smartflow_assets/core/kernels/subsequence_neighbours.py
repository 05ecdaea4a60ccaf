"""Distance of the newest window, its level removed, to its third nearest among 800 earlier windows."""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.spectral_residual import multiply
from smartflow_assets.core.kernels.window_models import TRAINING_ROWS, is_due

REFERENCES = 800
GOLDEN, PLASTIC = 0.6180339887498949, 0.7548776662466927
"""Steps of the walk that picks references: even over the training rows, another set at each fit, no random numbers."""


@compiled
def _pick(values, p, t, width, references, squares, counts, unit):
    """Choose and store the windows (width x references, float32) that later rows are compared with."""
    oldest = max(width, t - TRAINING_ROWS)
    windows = t - width - oldest
    counts[0] = min(windows, REFERENCES)
    for r in range(counts[0]):
        chosen = r if windows <= REFERENCES else int(((r * GOLDEN + t * PLASTIC) % 1.0) * windows)
        start = p - (t - oldest) + chosen - width + 1
        mean, square = 0.0, 0.0
        for j in range(width):
            mean += values[start + j]
        mean /= width
        for j in range(width):
            references[j, r] = values[start + j] - mean
            square += float(references[j, r]) * float(references[j, r])
        squares[r] = square
    for r in range(counts[0], REFERENCES):
        squares[r] = np.inf
    if unit[0] <= 0.0:  # fixed at the first fit that sees movement
        for r in range(counts[0]):
            unit[0] += math.sqrt(squares[r] / width) / counts[0]


@compiled
def _third_smallest(distances):
    """The third smallest of REFERENCES numbers; most stretches of 16 hold none of the three, which their smallest tells at once."""
    nearest = second = third = np.inf
    for start in range(0, REFERENCES, 16):
        least = distances[start]
        for r in range(start + 1, start + 16):
            least = min(least, distances[r])
        if least < third:
            for r in range(start, start + 16):
                distance = distances[r]
                if distance < nearest:
                    nearest, second, third = distance, nearest, second
                elif distance < second:
                    second, third = distance, second
                elif distance < third:
                    third = distance
    return third


@compiled
def walk(values, tamed, offset, count, first, width, counts, references, squares, unit, out):
    """One distance a row, in units of the usual movement of a window."""
    window, products = np.empty(width, np.float32), np.empty(REFERENCES, np.float32)
    distances = np.empty(REFERENCES)
    for i in range(count):
        t, p = first + i, offset + i
        if is_due(t, width):
            _pick(tamed, p, t, width, references, squares, counts, unit)
        out[i] = 0.0
        if counts[0] >= 20:
            mean, square = values[p], 0.0
            for j in range(1, width):
                mean += tamed[p - j]
            mean /= width
            for j in range(width):
                window[j] = (tamed[p - width + 1 + j] if j < width - 1 else values[p]) - mean
                square += window[j] * window[j]
            multiply(window, references, products)
            for r in range(REFERENCES):
                distances[r] = squares[r] - 2 * products[r]
            third = _third_smallest(distances)
            out[i] = math.sqrt(max(square + third, 0.0) / width) / (unit[0] if unit[0] > 0 else 1.0)
