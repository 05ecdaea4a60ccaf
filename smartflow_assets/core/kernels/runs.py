"""Runs: of equal values, judged by the series' own earlier runs, and of values that are missing where they usually are there."""

import math

from smartflow_assets.core.kernels.compile import compiled

LONGEST = 64
MOVING_WINDOW, MOVING_DELAY, LEAST_ROWS = 500, 60, 50
RARE, LEAST_KNOWN = 0.01, 36  # share of zeros below which they are rare, rows before that can be said
COUNT_SURPRISE = 0.1 / math.log(10)  # of a zero, for each thing that is expected: a tenth of what it is where they come independently
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


@compiled
def zero_values(
    values, offset, count, first, is_missing, ahead, zero, counts, known, least, limit, season, week, progress, longest,
    surprise, flag, is_rare,
):  # fmt: skip
    """Surprise of the run of zeros that ends at each row, whether it is an anomaly, and whether a zero is rare there at all.

    A run counts its rows that are not usually at zero. Its first has a surprise of -log10 of the share of zeros, each further one of
    .3, as if the run went on in one of two cases; none has more than a zero where so many single things are expected (`counts`). The
    run has none before it is longer than usual. Anomalous: of `least` rows, surprise above `limit`.

    ahead: rows that the local clock is ahead of UTC. known: [rows, zeros, longest run] of what was learnt. progress: [rows of the run
    that count, rows since it began, its surprise, whether it was anomalous, then rows and zeros so far]. longest: the longest runs so
    far, the longest first: the last of them says what is usual, those before it may have been outages. season, week: [share, times] x
    slot, how often the slot of the season and of seven seasons was at zero. A run teaches when it is over, once for each slot; the
    rows of an anomalous one are no zeros. A missing row neither ends a run nor makes it longer.
    """
    for i in range(count):
        t = first + i + ahead[i]
        rows, zeros, usual_run = max(progress[4], known[0]), max(progress[5], known[1]), max(longest[-1], known[2])
        is_usual = season[0, t % season.shape[1]] > 0.5 or week[0, t % week.shape[1]] > 0.5
        is_rare[i] = rows >= LEAST_KNOWN and zeros < RARE * rows and not is_usual
        surprise[i], flag[i] = 0.0, False
        if progress[1]:
            progress[1] += 1
        if is_missing[i]:
            continue
        if values[offset + i] <= zero:
            progress[1] = max(progress[1], 1)
            if not is_usual:
                progress[0] += 1
                most = math.log10(2.0) if progress[0] > 1 else math.log10((rows + 2) / (zeros + 1))
                progress[2] += min(most, COUNT_SURPRISE * counts[i])
                if is_rare[i] and progress[0] > usual_run:
                    surprise[i] = progress[2]
                    flag[i] = progress[0] >= least and surprise[i] > limit
                    if flag[i]:
                        progress[3] = 1
            continue
        span = max(int(progress[1]) - 1, 0)
        for slots in (season, week):
            size = slots.shape[1]
            for back in range(min(span, size - 1), -1, -1):
                slot = (t - back) % size
                slots[1, slot] = min(slots[1, slot] + 1, WEEKS)
                slots[0, slot] += ((1.0 if back else 0.0) - slots[0, slot]) / slots[1, slot]
        if not progress[3]:
            progress[4] += span
            progress[5] += span
        progress[4] += 1
        ended = progress[0]
        for j in range(len(longest)):
            longest[j], ended = max(longest[j], ended), min(longest[j], ended)
        progress[:4] = 0
