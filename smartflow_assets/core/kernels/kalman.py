"""One step of a Kalman filter a row (Kalman, 1960; notation of Durbin and Koopman, 2012), in a fixed order of sums.

The transition is sparse, so a row costs about the square of the number of states; once the gain has come to rest, and as long as
no row is missing, it costs no more than the states themselves.
"""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled

AT_REST = 1e-12
LEAST_VARIANCE = 1e-12


@compiled
def walk(
    values, is_missing, begins, columns, weights, design, noise, most, mean, covariance, gain, rested, expected, deviation
):  # fmt: skip
    """Forecast of each row from those before, and the standard deviation of its error; a missing row teaches nothing.

    begins (states + 1), columns, weights: the rows of the transition without its zeros; design (states); noise (states x states):
    of the state. mean and covariance: predicted for the next row; gain (states + 1): the last one, then the variance of the error;
    rested: rows since it last moved. Those four are changed in place. An error beyond `most` deviations is clipped before the state
    learns from it, so that a strange row does not echo.
    """
    size = len(mean)
    seen, moved, before = np.empty(size), np.empty((size, size)), np.empty(size)
    for i in range(len(values)):
        is_at_rest = rested[0] > 2 * size
        if not is_at_rest:
            variance, change = 0.0, 0.0
            for a in range(size):
                seen[a] = 0.0
                for b in range(size):
                    seen[a] += covariance[a, b] * design[b]
                variance += design[a] * seen[a]
            variance = max(variance, LEAST_VARIANCE)
            for a in range(size):
                change = max(change, abs(seen[a] / variance - gain[a]))
                gain[a] = seen[a] / variance
            gain[size] = variance
            rested[0] = rested[0] + 1 if change <= AT_REST else 0
        expected[i], deviation[i] = 0.0, math.sqrt(gain[size])
        for a in range(size):
            expected[i] += design[a] * mean[a]
        if is_missing[i]:
            is_at_rest, rested[0] = False, 0
        else:
            error = min(max(values[i] - expected[i], -most * deviation[i]), most * deviation[i])
            for a in range(size):
                mean[a] += gain[a] * error
        if not is_at_rest:
            if not is_missing[i]:
                for a in range(size):
                    for b in range(size):
                        covariance[a, b] -= seen[a] * seen[b] / gain[size]
            for a in range(size):
                for b in range(size):
                    moved[a, b] = 0.0
                    for k in range(begins[a], begins[a + 1]):
                        moved[a, b] += weights[k] * covariance[columns[k], b]
            for a in range(size):
                for b in range(a, size):
                    total = noise[a, b]
                    for k in range(begins[b], begins[b + 1]):
                        total += weights[k] * moved[a, columns[k]]
                    covariance[a, b] = covariance[b, a] = total
        for a in range(size):
            before[a] = mean[a]
        for a in range(size):
            mean[a] = 0.0
            for k in range(begins[a], begins[a + 1]):
                mean[a] += weights[k] * before[columns[k]]
