"""Spectral residual (Ren et al., KDD 2019) of the newest of 64 rows, with the paper's five extrapolated rows.

The transform of so short a window is two small fixed matrices, applied row by row: ten times faster than an FFT per row and
the same to the bit in any batch.
"""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled

ROWS, EXTRAPOLATED = 64, 5


def _transform():
    """Matrices of the real Fourier transform of 69 rows, the last five equal, and of its inverse on the first 64."""
    size = ROWS + EXTRAPOLATED
    frequency, row = np.arange(size // 2 + 1), np.arange(size)
    angle = 2 * np.pi * np.outer(row, frequency) / size
    forward = np.c_[np.cos(angle), -np.sin(angle)]
    forward = np.vstack([forward[:ROWS], forward[ROWS:].sum(0)])
    weight = np.where(frequency == 0, 1.0, 2.0)[:, None] / size
    inverse = np.vstack([np.cos(angle).T * weight, -np.sin(angle).T * weight])[:, :ROWS]
    return np.ascontiguousarray(forward), np.ascontiguousarray(inverse)


FORWARD, INVERSE = _transform()


@compiled
def multiply(vector, matrix, out):
    """out = vector @ matrix in strides of four rows: vectorises over the columns with one order of operations."""
    rows, columns = matrix.shape
    for q in range(columns):
        out[q] = 0
    j = 0
    while j + 4 <= rows:
        a, b, c, d = vector[j], vector[j + 1], vector[j + 2], vector[j + 3]
        row_a, row_b, row_c, row_d = matrix[j], matrix[j + 1], matrix[j + 2], matrix[j + 3]
        for q in range(columns):
            out[q] += a * row_a[q] + b * row_b[q] + c * row_c[q] + d * row_d[q]
        j += 4
    while j < rows:
        a, row_a = vector[j], matrix[j]
        for q in range(columns):
            out[q] += a * row_a[q]
        j += 1


@compiled
def walk(values, offset, count, first, forward, inverse, out):
    """Saliency of each row over the mean saliency of the 63 rows before it, minus one, not below 0; 0 before there are 64."""
    half = inverse.shape[0] // 2
    window, spectrum, log_amplitude, saliency = np.empty(ROWS + 1), np.empty(2 * half), np.empty(half), np.empty(ROWS)
    for i in range(count):
        p = offset + i
        out[i] = 0.0
        if first + i < ROWS - 1:
            continue
        floor = 1e-300  # relative to the window, so that no unit of measurement drowns in it
        for q in range(ROWS):
            window[q] = values[p - ROWS + 1 + q]
            floor += 1e-9 * abs(window[q])
        gradient = 0.0
        for q in range(1, EXTRAPOLATED + 1):
            gradient += (window[ROWS - 1] - window[ROWS - 1 - q]) / q
        window[ROWS] = window[ROWS - EXTRAPOLATED] + gradient
        multiply(window, forward, spectrum)
        for k in range(half):
            log_amplitude[k] = math.log(math.sqrt(spectrum[k] ** 2 + spectrum[half + k] ** 2) + floor)
        for k in range(half):
            total = log_amplitude[k]
            for q in range(max(k - 2, 0), k):
                total += log_amplitude[q]
            flattened = math.exp(-total / min(k + 1, 3))
            spectrum[k] *= flattened
            spectrum[half + k] *= flattened
        multiply(spectrum, inverse, saliency)
        before = 0.0
        for q in range(ROWS - 1):
            before += abs(saliency[q])
        out[i] = max(abs(saliency[ROWS - 1]) / (before / (ROWS - 1) + 1e-9) - 1.0, 0.0)
