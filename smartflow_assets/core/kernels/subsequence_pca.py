"""Principal components of sliding windows: how far a window lies inside and outside the subspace of the earlier ones."""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import quantile, replace
from smartflow_assets.core.kernels.spectral_residual import multiply
from smartflow_assets.core.kernels.window_models import TRAINING_ROWS, is_due

STRIDE = 4
EXPLAINED = 0.9


@compiled
def _fit(values, p, t, width, median, vectors, eigenvalues, summary):
    """Model of the windows that end before values[p], which is row t. Every fourth window trains; the 2 % of most energy do not.

    The column medians of sliding windows come from one sort and width - 1 replacements.
    """
    oldest = max(width, t - TRAINING_ROWS)
    windows = t - width - oldest
    start = p - (t - oldest) - width + 1
    column = np.sort(values[start : start + windows])
    for j in range(width):
        median[j] = 0.5 * (column[(windows - 1) // 2] + column[windows // 2])
        if j + 1 < width:
            replace(column, windows, windows, values[start + windows + j], values[start + j])
    rows = (windows + STRIDE - 1) // STRIDE
    centred, energy = np.empty((rows, width)), np.empty(rows)
    for i in range(rows):
        total = 0.0
        for j in range(width):
            v = values[start + i * STRIDE + j] - median[j]
            centred[i, j] = v
            total += v * v
        energy[i] = total
    limit = quantile(np.sort(energy), rows, 0.98)
    kept = 0
    for i in range(rows):
        if energy[i] <= limit:
            for j in range(width):
                centred[kept, j] = centred[i, j]
            kept += 1
    training = centred[:kept]
    ascending, basis = np.linalg.eigh(np.dot(training.T, training) / kept)  # its shape and row are fixed: BLAS is safe
    total = 0.0
    for j in range(width):
        eigenvalues[j] = max(ascending[width - 1 - j], 0.0)
        total += eigenvalues[j]
        for i in range(width):
            vectors[i, j] = basis[i, width - 1 - j]
    leading, explained = 0, 0.0
    while leading < width - 1 and explained + eigenvalues[leading] < EXPLAINED * total:
        explained += eigenvalues[leading]
        leading += 1
    leading += 1
    floor = max(total / width * 1e-3, 1e-12)
    rest = floor
    for j in range(leading, width):
        rest += eigenvalues[j]
    summary[0], summary[1], summary[2] = leading, floor, rest


@compiled
def walk(values, tamed, offset, count, first, width, median, vectors, eigenvalues, summary, out):
    """summary: leading components (0: no model yet), floor of an eigenvalue, variance outside the subspace."""
    centred, projected = np.empty(width), np.empty(width)
    for i in range(count):
        t, p = first + i, offset + i
        if is_due(t, width):
            _fit(tamed, p, t, width, median, vectors, eigenvalues, summary)
        out[i] = 0.0
        leading = int(summary[0])
        if leading:
            for j in range(width):
                centred[j] = tamed[p - width + 1 + j] - median[j]
            centred[width - 1] = values[p] - median[width - 1]
            multiply(centred, vectors, projected)
            inside, outside = 0.0, 0.0
            for j in range(leading):
                inside += projected[j] ** 2 / (eigenvalues[j] + summary[1])
            for j in range(leading, width):
                outside += projected[j] ** 2
            out[i] = math.sqrt(inside / leading) + math.sqrt(outside / summary[2])
