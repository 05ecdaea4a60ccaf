"""How badly a small network gives back the last window of a series, row by row so that no split of the rows changes a bit."""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled


@compiled
def walk(padded, tamed, offset, count, first, sizes, weights, biases, largest, out):
    """Root mean square of what is lost of each row's window; 0 before the first full one.

    sizes: of the layers, the window first and last; weights and biases: of all layers, one after the other; all layers but the
    last are hyperbolic tangents. A window is centred on its level without outliers and clipped at `largest`.
    """
    width = sizes[0]
    window, here, there = np.empty(width), np.empty(sizes.max()), np.empty(sizes.max())
    for i in range(count):
        if first + i < width - 1:
            out[i] = 0.0
            continue
        begin = offset + i - width + 1
        level = 0.0
        for j in range(width):
            level += tamed[begin + j]
        level /= width
        for j in range(width):
            window[j] = min(max(padded[begin + j] - level, -largest), largest)
            here[j] = window[j]
        w, b = 0, 0
        for layer in range(len(sizes) - 1):
            before, after = sizes[layer], sizes[layer + 1]
            for q in range(after):
                there[q] = biases[b + q]
            for p in range(before):
                for q in range(after):
                    there[q] += here[p] * weights[w + p * after + q]
            for q in range(after):
                here[q] = math.tanh(there[q]) if layer < len(sizes) - 2 else there[q]
            w, b = w + before * after, b + after
        total = 0.0
        for j in range(width):
            total += (window[j] - here[j]) ** 2
        out[i] = math.sqrt(total / width)
