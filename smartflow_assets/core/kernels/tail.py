"""Surprise of a raw score: -log10 of its tail probability in its own trailing history, kept as log-spaced bins.

Below the 98 % quantile the tail is empirical, above it a generalised Pareto tail by moments, as in SPOT (Siffer et al.,
2017). The history is declustered: of hot rows close together only the strangest stays, so that one long outage does not
fill the tail and mask the next. Eight bins an octave change no figure of the benchmark against an exact history.
"""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled

PER_OCTAVE, LOWEST = 8, -40
BINS = 80 * PER_OCTAVE + 2
OUTSIDE = BINS  # code of a row that is not in the history
TAIL_SHARE = 0.98
LEAST_ROWS = 20
REFIT_ROWS = 50


@compiled
def _bin(value):
    if value <= 1e-12:
        return 0
    return min(max(int((math.log2(value) - LOWEST) * PER_OCTAVE) + 1, 0), BINS - 1)


@compiled
def _middle(i):
    return 2.0 ** ((i - 0.5) / PER_OCTAVE + LOWEST)


@compiled
def _refit(marks, tail, bins, surprise_of_bin):
    """Tail of every bin, and limit, scale and shape of the Pareto tail above the 98 % quantile (tail[0:3])."""
    low, high = marks[2], marks[3]
    total = 0.0
    for j in range(low, high + 1):
        total += bins[j]
    above, at = 0.0, high
    for j in range(high, low - 1, -1):
        if above <= (1 - TAIL_SHARE) * total:
            at = j
        surprise_of_bin[j] = -math.log10(min((above + 0.5 * bins[j] + 1) / (total + 1), 1.0))
        above += bins[j]
    limit = _middle(at) if at else 0.0
    weight, mean, square = 0.0, 0.0, 0.0
    for j in range(at + 1, high + 1):
        excess = _middle(j) - limit
        weight += bins[j]
        mean += bins[j] * excess
        square += bins[j] * excess * excess
    shape = 0.0
    if weight > 0:
        mean /= weight
        variance = square / weight - mean * mean
        if variance > 1e-300 and mean > 0:
            shape = min(max(0.5 * (1 - mean * mean / variance), 0.0), 0.5)
            mean *= 1 - shape
    tail[0], tail[2] = limit, shape
    tail[1] = mean if mean > 1e-12 else max(1e-12, 0.1 * limit + 1e-9)


@compiled
def walk(raw, is_missing, count, first, marks, tail, bins, surprise_of_bin, codes, hot, cluster_rows, cap, out):
    """Surprise of raw[:count]; a missing row has none and leaves none.

    marks: [row of the first score above 0 (-1: none yet), is fitted, lowest bin, highest bin, row that opened the cluster,
    rows in the history]; codes: ring of the bins of the trailing rows.
    """
    history = len(codes)
    for i in range(count):
        t, value = first + i, raw[i]
        if not value < np.inf:
            value = 0.0
        out[i] = 0.0
        slot = t % history
        if codes[slot] != OUTSIDE:
            bins[codes[slot]] -= 1
            marks[5] -= 1
        codes[slot] = OUTSIDE
        if is_missing[i]:
            continue
        if marks[0] < 0:
            if value == 0.0:
                continue
            marks[0], marks[2], marks[3] = t, BINS, -1
        if marks[5] >= LEAST_ROWS and (t % REFIT_ROWS == 0 or not marks[1]):
            _refit(marks, tail, bins, surprise_of_bin)
            marks[1] = 1
        code = _bin(value)
        if marks[1]:
            if code and value > tail[0]:  # a score of nothing is in no tail
                z = (value - tail[0]) / tail[1]
                far = z / math.log(10.0) if tail[2] < 1e-6 else math.log10(1 + tail[2] * z) / tail[2]
                out[i] = min(-math.log10(1 - TAIL_SHARE) + far, cap)
            elif code >= marks[2]:
                out[i] = min(surprise_of_bin[code], cap)
        if out[i] > hot:
            opened = marks[4]
            if opened >= 0 and t - opened <= cluster_rows:
                home = opened % history
                if codes[home] == OUTSIDE or code <= codes[home]:
                    continue
                bins[codes[home]] -= 1
                codes[home] = code
            else:
                marks[4] = t
                codes[slot] = code
                marks[5] += 1
        else:
            codes[slot] = code
            marks[5] += 1
        bins[code] += 1
        if code < marks[2] or code > marks[3]:  # bins that join between two fits take their neighbour's tail
            if marks[3] >= 0:
                for j in range(code + 1, marks[2]):
                    surprise_of_bin[j] = surprise_of_bin[marks[2]]
                for j in range(marks[3] + 1, code):
                    surprise_of_bin[j] = surprise_of_bin[marks[3]]
                surprise_of_bin[code] = surprise_of_bin[marks[2]] if code < marks[2] else surprise_of_bin[marks[3]]
            marks[2], marks[3] = min(code, marks[2]), max(code, marks[3])
