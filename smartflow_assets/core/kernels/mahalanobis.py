"""Mahalanobis distance of rows, and what each column has in it, row by row so that no split of the rows changes a bit."""

import numpy as np

from smartflow_assets.core.kernels.compile import compiled


@compiled
def score(rows, precision, distance, shares):
    """distance of each row from 0; shares: of each column the part of the squared distance that goes when the column is left
    out, as shares of their sum. Columns whose precision is 0 take no part."""
    width = rows.shape[1]
    for i in range(len(rows)):
        square, total = 0.0, 0.0
        for a in range(width):
            pull = 0.0
            for b in range(width):
                pull += precision[a, b] * rows[i, b]
            square += pull * rows[i, a]
            shares[i, a] = pull * pull / precision[a, a] if precision[a, a] > 0.0 else 0.0
            total += shares[i, a]
        distance[i] = np.sqrt(max(square, 0.0))
        for a in range(width):
            shares[i, a] = shares[i, a] / total if total > 0.0 else 0.0
