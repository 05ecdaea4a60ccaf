"""What to expect of a row from the rows before it: six forecasts, two mixtures of them, and how large changes usually are.

All detectors build on this, so it is computed once. It also imputes: a missing value is replaced by what was expected, so
that no kernel ever sees a NaN.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smartflow_assets.core.kernels import blocked_window as blocked
from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import quantile, replace

SEASONS = 7
SHORT_WINDOW, LONG_WINDOW, RANGE_WINDOW, RESIDUAL_WINDOW = 5, 288, 8000, 2000
"""Rows in the windows of values (short, long, range) and of residuals."""
SLEW_ROWS = 100
"""Rows before the band is trusted to hold the level and the outliers."""
SKEW = 1.5
"""Times the 97.5 % quantile of the falls, or of the rises, that its side of the usual range is wide at most."""
TAME = 2.0
"""Bands: an outlier further out is drawn in before windows of rows are judged, or it would taint every window it is in."""
SHORT, LONG, SMOOTH, LEVEL, WEEK_LEVEL, RANGE, RESIDUAL, NOISE, CHANGE = range(9)
"""Where `BaselineMemory.counts` has the number of rows in each window."""


class BaselineMemory(NamedTuple):
    """What the baseline remembers of a series from block to block: arrays of fixed size, changed in place.

    values, tamed: the block's rows with the older ones before them; tamed ones have outliers put on the edge of twice the band.
    counts: rows in each of the sorted windows (see SHORT to CHANGE). Sorted windows: short, long, range_window (values), smooth
    (values around half a smoothing window ago), level, week_level (deviations from the season and from seven seasons ago),
    residuals, noise (sizes of what the slow mixture and the mixture of all leave), changes (what the slow mixture leaves, signed). The
    last three and range_window are blocked_windows, each with its heads; range_window and noise are empty where nobody asks for them.
    Rings, in order of rows: seasons (smoothed values of seven seasons), level_ring, week_ring, residual_ring, noise_ring,
    change_ring. losses: decayed loss of each of the six forecasts; scale: one number, the usual loss of the best; last_deviations: of
    the last three rows from the season.
    """

    values: NDArray[np.float64]
    tamed: NDArray[np.float64]
    counts: NDArray[np.int64]
    short: NDArray[np.float64]
    long: NDArray[np.float64]
    smooth: NDArray[np.float64]
    seasons: NDArray[np.float64]
    level: NDArray[np.float64]
    level_ring: NDArray[np.float64]
    week_level: NDArray[np.float64]
    week_ring: NDArray[np.float64]
    losses: NDArray[np.float64]
    scale: NDArray[np.float64]
    last_deviations: NDArray[np.float64]
    range_window: NDArray[np.float64]
    range_heads: NDArray[np.int64]
    residuals: NDArray[np.float64]
    residual_heads: NDArray[np.int64]
    residual_ring: NDArray[np.float64]
    noise: NDArray[np.float64]
    noise_heads: NDArray[np.int64]
    noise_ring: NDArray[np.float64]
    changes: NDArray[np.float64]
    change_heads: NDArray[np.int64]
    change_ring: NDArray[np.float64]


class BaselineOutput(NamedTuple):
    """What is written for the rows of a block; `forecasts` and `ranges` are 6 x rows, all others one entry a row.

    forecasts: last, median of 5, median of 288, median of up to 7 seasons, that + current level, seven seasons ago + current
    level. expected: mixture of the slow ones, which an anomaly cannot drag along within a few rows. band: the 99.5 % quantile of
    |value - expected|; usual: the 95 % quantile, which a few hours of anomalies in a week do not widen; usual_fall, usual_rise: no more
    than that, and on the calmer side of a skewed series as much less as its own 97.5 % are (see SKEW). residual: value - mixture
    of all; noise: the 99 % quantile of its size. seasonal_deviation: size of the three-row mean of the deviation from the season.
    ranges: quantiles .002, .005, .05, .95, .995, .998 of the last 8,000 values; NaN where the memory has no window for them, and then
    noise too. effect: what the day did to the row, which its value
    in the memory is without; below, above: how far from that it might lie for nothing; 0 on an ordinary day.
    """

    forecasts: NDArray[np.float64]
    expected: NDArray[np.float64]
    band: NDArray[np.float64]
    usual: NDArray[np.float64]
    usual_fall: NDArray[np.float64]
    usual_rise: NDArray[np.float64]
    residual: NDArray[np.float64]
    seasonal_deviation: NDArray[np.float64]
    ranges: NDArray[np.float64]
    noise: NDArray[np.float64]
    is_missing: NDArray[np.bool_]
    effect: NDArray[np.float64]
    below: NDArray[np.float64]
    above: NDArray[np.float64]


def empty_memory(period: int, rows: int, *, has_ranges: bool = True) -> BaselineMemory:
    """The memory before the first row of a series with so many rows in a season (0: none); `rows`: room for values; `has_ranges`:
    whether somebody asks for ranges and noise, which take most of the time."""
    span, half = max(6, period // 24), period // 288
    range_window, range_heads = blocked.room(RANGE_WINDOW if has_ranges else 0)
    noise, noise_heads = blocked.room(RESIDUAL_WINDOW if has_ranges else 0)
    residuals, residual_heads = blocked.room(RESIDUAL_WINDOW)
    changes, change_heads = blocked.room(RESIDUAL_WINDOW)
    return BaselineMemory(
        values=np.zeros(rows),
        tamed=np.zeros(rows),
        counts=np.zeros(CHANGE + 1, np.int64),
        short=np.zeros(SHORT_WINDOW),
        long=np.zeros(LONG_WINDOW),
        smooth=np.zeros(2 * half + 1),
        seasons=np.zeros(max(SEASONS * period, 1)),
        level=np.zeros(span),
        level_ring=np.zeros(span),
        week_level=np.zeros(span),
        week_ring=np.zeros(span),
        losses=np.zeros(6),
        scale=np.array([1e-9]),
        last_deviations=np.zeros(3),
        range_window=range_window,
        range_heads=range_heads,
        residuals=residuals,
        residual_heads=residual_heads,
        residual_ring=np.zeros(RESIDUAL_WINDOW),
        noise=noise,
        noise_heads=noise_heads,
        noise_ring=np.zeros(RESIDUAL_WINDOW),
        changes=changes,
        change_heads=change_heads,
        change_ring=np.zeros(RESIDUAL_WINDOW),
    )


def empty_output(count: int) -> BaselineOutput:
    """Room for the numbers of `count` rows."""
    expected, band, usual, usual_fall, usual_rise, residual, seasonal_deviation, noise = np.empty((8, count))
    forecasts, ranges = np.empty((6, count)), np.empty((6, count))
    is_missing, days = np.empty(count, np.bool_), np.zeros((3, count))
    return BaselineOutput(
        forecasts, expected, band, usual, usual_fall, usual_rise, residual, seasonal_deviation, ranges, noise, is_missing, *days,
    )  # fmt: skip


@compiled
def _weigh(losses, scale, first, forecasts, column):
    """Forecast of the experts from `first` on, weighted by their decayed losses."""
    best = losses[first]
    for j in range(first + 1, len(losses)):
        best = min(best, losses[j])
    total, mixed = 0.0, 0.0
    for j in range(first, len(losses)):
        weight = math.exp(-0.5 * (losses[j] - best) / scale)
        total += weight
        mixed += weight * forecasts[j, column]
    return mixed / total


@compiled
def walk(memory, out, offset, count, first, period, days, zero):
    """Go over the rows memory.values[offset : offset + count], the first of which is row `first` of the series, and fill `out`.

    `memory` (BaselineMemory) is changed in place: a missing value (NaN) is replaced by its expectation, the windows move on. The
    length of each window that is no blocked one is that of its array, decided once in `empty_memory`.

    days: 3 x count, what the day of each row does to it, and how far it may lie below and above that for nothing; 3 x 0 where no day is
    special. What is further out counts the more fully the further it is, twice as far by three quarters (Breiman's garrote), so that an
    outage on a holiday is one. They are shares of how far the expectation lies above `zero`, or (NaN) in the unit of the values. The first
    season, whose expectations are not to be trusted, is taken as it is.
    """
    values, tamed, counts = memory.values, memory.tamed, memory.counts
    short, long, smooth, range_window = memory.short, memory.long, memory.smooth, memory.range_window
    seasons, level, week_level = memory.seasons, memory.level, memory.week_level
    residuals, noise, changes = memory.residuals, memory.noise, memory.changes
    range_heads, residual_heads = memory.range_heads, memory.residual_heads
    noise_heads, change_heads = memory.noise_heads, memory.change_heads
    losses, scale, last_deviations = memory.losses, memory.scale, memory.last_deviations
    forecasts, expected, band, usual, ranges = out.forecasts, out.expected, out.band, out.usual, out.ranges
    half, span, ring = len(smooth) // 2, len(level), len(seasons)
    experts = 6 if period else 3
    slow = 2 if period else 1
    past = np.empty(SEASONS)
    for i in range(count):
        t, p = first + i, offset + i
        value, week = values[p], 0.0
        out.is_missing[i] = is_missing = not math.isfinite(value)
        for j in range(6):
            forecasts[j, i] = values[p - 1] if t else 0.0
        if counts[SHORT]:
            forecasts[1, i] = quantile(short, counts[SHORT], 0.5)
        forecasts[2, i] = quantile(long, counts[LONG], 0.5) if counts[LONG] >= 5 else forecasts[1, i]
        if period:
            known = 0
            for j in range(1, SEASONS + 1):
                if t >= j * period:
                    v = seasons[(t - j * period) % ring]
                    q = known
                    while q > 0 and past[q - 1] > v:
                        past[q] = past[q - 1]
                        q -= 1
                    past[q] = v
                    known += 1
            seasonal = quantile(past, known, 0.5) if known else forecasts[1, i]
            week = seasons[t % ring] if t >= SEASONS * period else forecasts[1, i]
            forecasts[3, i] = seasonal
            forecasts[4, i] = seasonal + (quantile(level, counts[LEVEL], 0.5) if counts[LEVEL] >= 3 else 0.0)
            forecasts[5, i] = week + (quantile(week_level, counts[WEEK_LEVEL], 0.5) if counts[WEEK_LEVEL] >= 3 else 0.0)
        mixed = _weigh(losses[:experts], scale[0], 0, forecasts, i)
        expected[i] = _weigh(losses[:experts], scale[0], slow, forecasts, i)
        if days.shape[1] and t > period and (days[0, i] != 0 or days[1, i] != 0 or days[2, i] != 0):
            base = max(expected[i] - zero, 0.0) if math.isfinite(zero) else 1.0
            out.effect[i], out.below[i], out.above[i] = base * days[0, i], base * days[1, i], base * days[2, i]
            if not is_missing:
                left = value - out.effect[i] - expected[i]
                room = out.below[i] if left < 0 else out.above[i]
                value = expected[i] + (left - room * room / left if abs(left) > room else 0.0)
                values[p] = value
        if is_missing:
            value = expected[i]
            values[p] = value
        if t == 0:
            values[:p] = tamed[:p] = value

        nearest = np.inf
        for j in range(experts):
            nearest = min(nearest, abs(value - forecasts[j, i]))
        scale[0] = max(0.995 * scale[0] + 0.005 * nearest if t > 50 else scale[0] + (nearest - scale[0]) / (t + 1.0), 1e-9)
        for j in range(experts):
            losses[j] = 0.99 * losses[j] + min(abs(value - forecasts[j, i]), 20 * scale[0])

        out.residual[i] = value - mixed
        last_deviations[t % 3] = value - forecasts[3 if period else 2, i]
        out.seasonal_deviation[i] = abs(last_deviations[0] + last_deviations[1] + last_deviations[2]) / min(t + 1, 3)
        k = counts[RANGE]
        if not len(range_window):
            ranges[:, i] = np.nan
        elif k:
            ranges[0, i] = blocked.quantile(range_window, range_heads, k, 0.002)
            ranges[1, i] = blocked.quantile(range_window, range_heads, k, 0.005)
            ranges[2, i] = blocked.quantile(range_window, range_heads, k, 0.05)
            ranges[3, i] = blocked.quantile(range_window, range_heads, k, 0.95)
            ranges[4, i] = blocked.quantile(range_window, range_heads, k, 0.995)
            ranges[5, i] = blocked.quantile(range_window, range_heads, k, 0.998)
        else:
            ranges[:, i] = value
        k = counts[RESIDUAL]
        band[i] = blocked.quantile(residuals, residual_heads, k, 0.995) if k else 0.0
        usual[i] = blocked.quantile(residuals, residual_heads, k, 0.95) if k else 0.0
        out.usual_fall[i] = out.usual_rise[i] = usual[i]
        k = counts[CHANGE]
        if k >= SLEW_ROWS // 2:
            out.usual_fall[i] = min(usual[i], SKEW * max(-blocked.quantile(changes, change_heads, k, 0.025), 0.0))
            out.usual_rise[i] = min(usual[i], SKEW * max(blocked.quantile(changes, change_heads, k, 0.975), 0.0))
        reach = TAME * band[i] if counts[RESIDUAL] >= SLEW_ROWS else np.inf
        tamed[p] = min(max(value, expected[i] - reach), expected[i] + reach)
        k = counts[NOISE]
        if len(noise):
            out.noise[i] = blocked.quantile(noise, noise_heads, k, 0.99) if k >= 30 else 0.0
        else:
            out.noise[i] = np.nan

        if period:
            a, b, s = value - forecasts[3, i], value - week, t % span
            if counts[RESIDUAL] >= SLEW_ROWS:  # an anomaly moves the level by no more than a band at a time
                now, then = forecasts[4, i] - forecasts[3, i], forecasts[5, i] - week
                a = min(max(a, now - band[i]), now + band[i])
                b = min(max(b, then - band[i]), then + band[i])
            counts[LEVEL] = replace(level, counts[LEVEL], span, a, memory.level_ring[s])
            counts[WEEK_LEVEL] = replace(week_level, counts[WEEK_LEVEL], span, b, memory.week_ring[s])
            memory.level_ring[s], memory.week_ring[s] = a, b
            counts[SMOOTH] = replace(smooth, counts[SMOOTH], len(smooth), value, values[p - len(smooth)])
            if t >= half:
                seasons[(t - half) % ring] = quantile(smooth, counts[SMOOTH], 0.5)
        counts[SHORT] = replace(short, counts[SHORT], len(short), value, values[p - len(short)])
        counts[LONG] = replace(long, counts[LONG], len(long), value, values[p - len(long)])
        s = t % RESIDUAL_WINDOW
        if len(range_window):
            counts[RANGE] = blocked.replace(range_window, range_heads, counts[RANGE], RANGE_WINDOW, value, values[p - RANGE_WINDOW])
            b = abs(out.residual[i])
            counts[NOISE] = blocked.replace(noise, noise_heads, counts[NOISE], RESIDUAL_WINDOW, b, memory.noise_ring[s])
            memory.noise_ring[s] = b
        a = abs(value - expected[i])
        counts[RESIDUAL] = blocked.replace(residuals, residual_heads, counts[RESIDUAL], RESIDUAL_WINDOW, a, memory.residual_ring[s])
        memory.residual_ring[s] = a
        a = value - expected[i]
        counts[CHANGE] = blocked.replace(changes, change_heads, counts[CHANGE], RESIDUAL_WINDOW, a, memory.change_ring[s])
        memory.change_ring[s] = a
