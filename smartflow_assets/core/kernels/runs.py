"""Runs: of equal values, judged by the series' own earlier runs, and of values that are missing where they usually are there."""

import math

from smartflow_assets.core.kernels.compile import compiled

LONGEST = 64
MOVING_WINDOW, MOVING_DELAY, LEAST_ROWS = 500, 60, 50
WEEKS = 4  # the newest week weighs so much in what is usual: what a feed does otherwise for three weeks is usual then


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
def missing_values(is_missing, count, first, ahead, season, rows, usual, weeks, progress, length):
    """How many values that usually are there lack in the run of missing rows that ends at each row.

    usual[slot], weeks[slot]: how often the slot of the week (seven seasons) had a value, and in how many weeks that was looked at.
    A run teaches when it is over, once for each slot, so it is compared with what was before it alone. A slot that no week has
    shown yet is as it was on the newest day that is known, and counts so little that only a day of such rows exceeds `rows`.
    ahead: rows that the local clock is ahead of UTC. progress: [run, values that lack by the week, by the day].
    """
    week = len(usual)
    days = week // season if season else 0
    for i in range(count):
        slot = (first + i + ahead[i]) % week
        if is_missing[i]:
            progress[0] += 1
            day = 0
            while day < days and weeks[(slot - day * season) % week] == 0:
                day += 1
            if day == days or usual[(slot - day * season) % week] > 0.5:
                progress[2 if day else 1] += 1
        else:
            for back in range(min(int(progress[0]), week - 1), -1, -1):
                known = (slot - back) % week
                weeks[known] = min(weeks[known] + 1, WEEKS)
                usual[known] += ((0.0 if back else 1.0) - usual[known]) / weeks[known]
            progress[:] = 0.0
        length[i] = progress[1] + (progress[2] * min(rows, season) / season if season else 0.0)
