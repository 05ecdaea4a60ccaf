"""The local outlier factor of rows beside training rows, by brute force: a few thousand rows of a few columns fit the cache.

scikit-learn's answer to the last few digits, at some microseconds a row in place of a millisecond.
"""

import numpy as np

from smartflow_assets.core.kernels.compile import compiled

FINEST = 1e-10  # a density is finite where all neighbours are the same row, as in scikit-learn


@compiled
def score(rows, trained, distance, density, neighbours, out):
    """Mean density of the `neighbours` nearest training rows over that of the row itself; about 1 inside a heap.

    distance: of each training row to its farthest neighbour; density: 1 / its mean reachability distance.
    """
    nearest, who = np.empty(neighbours), np.empty(neighbours, np.int64)
    for i in range(len(rows)):
        nearest[:] = np.inf
        for j in range(len(trained)):
            square = 0.0
            for c in range(trained.shape[1]):
                difference = rows[i, c] - trained[j, c]
                square += difference * difference
            if square < nearest[-1]:
                place = neighbours - 1
                while place > 0 and nearest[place - 1] > square:
                    nearest[place], who[place] = nearest[place - 1], who[place - 1]
                    place -= 1
                nearest[place], who[place] = square, j
        reach, around = 0.0, 0.0
        for j in range(neighbours):
            reach += max(np.sqrt(nearest[j]), distance[who[j]])
            around += density[who[j]]
        out[i] = around / neighbours * (reach / neighbours + FINEST)
