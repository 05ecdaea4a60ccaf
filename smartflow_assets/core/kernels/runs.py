"""Runs: of equal values, judged by the series' own earlier runs, and of missing values."""

import math

from smartflow_assets.core.kernels.compile import compiled

LONGEST = 64
MOVING_WINDOW, MOVING_DELAY, LEAST_ROWS = 500, 60, 50


@compiled
def equal_values(values, offset, count, first, is_missing, progress, went_on, seen, moves, surprise, length, moving):
    """Surprise and length of the run of equal values that ends at each row, and how often the series moves.

    The surprise adds -log10 of the chance that a run of this length goes on, learnt from earlier runs and pooled over
    lengths within a quarter. moving: share of changes among the 500 rows that ended 60 rows ago. A missing row ends the run.
    progress: [run, surprise, moves in the window].
    """
    ring = MOVING_WINDOW + MOVING_DELAY
    for i in range(count):
        t, p = first + i, offset + i
        run = int(progress[0])
        if t == 0 or is_missing[i]:
            run, total = 0, 0.0
        else:
            k = min(run, LONGEST)
            total, on, all_runs = progress[1], 0.0, 0.0
            for j in range(max(0, k - k // 4), min(LONGEST, k + k // 4) + 1):
                on += went_on[j]
                all_runs += seen[j]
            seen[k] += 1
            if values[p] == values[p - 1]:
                total -= math.log10((on + 1) / (all_runs + 2))
                went_on[k] += 1
                run += 1
            else:
                run, total = 0, 0.0
        if t >= MOVING_DELAY:
            progress[2] += moves[(t - MOVING_DELAY) % ring]
        if t >= ring:
            progress[2] -= moves[t % ring]
        moves[t % ring] = 1.0 if run == 0 else 0.0
        known = min(t - MOVING_DELAY + 1, MOVING_WINDOW)
        moving[i] = progress[2] / known if known >= LEAST_ROWS else 0.0
        progress[0], progress[1] = run, total
        surprise[i], length[i] = total, run


@compiled
def missing_values(is_missing, count, progress, length):
    """Length of the run of missing rows that ends at each row."""
    for i in range(count):
        progress[0] = progress[0] + 1 if is_missing[i] else 0
        length[i] = progress[0]
