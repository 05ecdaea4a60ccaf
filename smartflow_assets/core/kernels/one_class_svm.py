"""How far rows lie outside the support of a one-class machine with a Gaussian kernel, on a logarithmic ruler."""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled


@compiled
def score(rows, vectors, weights, gamma, offset, out):
    """log(1 + offset / f) with f the kernel sum of each row: log 2 on the border, below it inside.

    Far outside f is 0 in doubles; its logarithm is taken from the nearest vector, so that the farther row scores higher.
    """
    squares = np.empty(len(vectors))
    for i in range(len(rows)):
        nearest = np.inf
        for j in range(len(vectors)):
            square = 0.0
            for c in range(vectors.shape[1]):
                difference = rows[i, c] - vectors[j, c]
                square += difference * difference
            squares[j] = square
            nearest = min(nearest, square)
        total = 0.0
        for j in range(len(vectors)):
            total += weights[j] * math.exp(gamma * (nearest - squares[j]))
        outside = math.log(offset / total) + gamma * nearest
        out[i] = outside if outside > 30.0 else math.log1p(math.exp(outside))
