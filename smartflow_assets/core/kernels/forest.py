"""Scores of an isolation forest from its trees as flat arrays.

The same numbers as scikit-learn's, at a few microseconds for a single row instead of a few milliseconds.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smartflow_assets.core.kernels.compile import compiled


@compiled
def score(rows, feature, threshold, left, right, path, usual_path, out):
    """2^-(mean path length / usual path length) of each row; arrays are trees x nodes, feature -1 marks a leaf."""
    trees = len(feature)
    for i in range(len(rows)):
        total = 0.0
        for tree in range(trees):
            node = 0
            while feature[tree, node] >= 0:
                is_left = rows[i, feature[tree, node]] <= threshold[tree, node]
                node = left[tree, node] if is_left else right[tree, node]
            total += path[tree, node]
        out[i] = 2.0 ** (-total / trees / usual_path)


def usual_path_length(samples: ArrayLike) -> NDArray[np.float64]:
    """Average length of an unsuccessful search in a binary tree of so many samples (Liu et al., 2008)."""
    n = np.asarray(samples, dtype=np.float64)
    safe = np.maximum(n, 3)
    long = 2 * (np.log(safe - 1) + np.euler_gamma) - 2 * (safe - 1) / safe
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, long))
