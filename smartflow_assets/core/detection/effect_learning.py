"""What holidays, the days beside them and events do to a series, learnt from those that it has seen.

Each special day is compared, hour by hour, with the same weekday of the three weeks before and after it; a holiday, if earlier ones
lie closer to that, with another weekday of those weeks (in an office a holiday is a Sunday). So a level that has changed since, and a
growth, are no effect, and what a day does can be learnt from years in which everything was smaller. A day in a longer outage teaches
nothing. Few days are seen, so each is drawn towards what days of its role share (`shrinkage`), and what stays uncertain becomes a
tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from smartflow_assets.core.detection.calendar_effects import LEAST_SHARE, CalendarEffects, block_of
from smartflow_assets.core.detection.shrinkage import shrunk_means
from smartflow_assets.core.series.facts import typical_step
from smartflow_assets.core.series.known_median import known_median
from smartflow_assets.core.temporal.special_days import ROLES, special_days
from smartflow_assets.core.temporal.time_grid import DAY, ORIGIN, TimeGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.series.facts import SeriesFacts
    from smartflow_assets.core.series.series_frame import SeriesFrame
    from smartflow_assets.core.temporal.calendar import Calendar

WEEKS = 3
"""Before and after a day, with which it is compared."""
PROFILE_WEEKS = 12
"""Of which it is learnt how weekdays differ from each other."""
AHEAD = timedelta(days=3653)
"""So far a stored model knows its special days."""
BLOCKS = 24
LEAST_DAYS = 5
"""Days of a role, and of ordinary ones, before anything is said of them."""
LEAST_NOISE = 1e-3
"""Standard deviation of an ordinary day, at least: constants have none."""
OUTSIDE = 4.0
"""Standard deviations of ordinary days, from which on one is off."""
NEAR = 4
"""Days within which the ordinary neighbours of a day are looked for."""
AS_FAR_OFF = 0.7
"""Of how far a day is off: when both of its ordinary neighbours are so far off too, the day is part of something longer."""
CLOSER = 0.7
"""Of the variance around the own weekday: what another must leave at most to be taken."""


def learn_effects(
    frame: SeriesFrame, calendar: Calendar | None, step: timedelta, facts: Mapping[str, SeriesFacts]
) -> CalendarEffects | None:
    """Effects of special days on each series of `facts`, from rows as far back as they are given; None where the calendar names neither
    holidays nor events, or buckets are longer than a day, or nothing was seen that can be learnt from."""
    if calendar is None or not calendar.has_special_days or step > DAY or not len(frame.time):
        return None
    grid = TimeGrid(DAY, calendar)
    first, last = (int(number) for number in grid.number(pd.DatetimeIndex([frame.time.min(), frame.time.max()]).tz_localize("UTC")))
    starts = _microseconds(grid.start(np.arange(first, last + 2)))
    given = min(typical_step(frame.time[rows]) for rows in frame.rows.values())
    blocks = max(1, min(BLOCKS, DAY // max(step, given)))
    days = special_days(calendar, ORIGIN + first * DAY, ORIGIN + last * DAY + AHEAD)
    kinds = sorted({(ROLES.index(day.role), day.name) for day in days})
    place = {kind: number for number, kind in enumerate(kinds)}
    number_of = np.array([(day.day - ORIGIN).days for day in days], np.int64)
    kind_of = np.array([place[ROLES.index(day.role), day.name] for day in days], np.int64)
    roles = np.array([role for role, _ in kinds], np.int64)
    past = number_of <= last
    at, special = number_of[past] - first, kind_of[past]
    learnt: dict[str, _Learnt] = {}
    for name, rows in frame.rows.items():
        if name in facts:
            values = frame.value[rows] if is_relative(facts[name]) else facts[name].scaler.transform(frame.value[rows])
            one = _learn(_by_day(frame.time[rows], values, starts, blocks), first, at, special, roles, is_share=is_relative(facts[name]))
            learnt |= {} if one is None else {name: one}
    if not learnt:
        return None
    names = tuple(learnt)
    resembles, profile, mean, spread = (np.stack(part) for part in zip(*learnt.values(), strict=True))
    return CalendarEffects(
        names=names,
        starts=_microseconds(grid.start(number_of)),
        ends=_microseconds(grid.start(number_of + 1)),
        kinds=kind_of,
        weekdays=number_of % 7,
        roles=roles,
        is_relative=np.array([is_relative(facts[name]) for name in names]),
        resembles=resembles,
        profile=profile.astype(np.float32),
        mean=mean.astype(np.float32),
        spread=spread.astype(np.float32),
    )


def is_relative(facts: SeriesFacts) -> bool:
    """Whether an effect on the series is a share of its level. A series that goes below zero has none, and of logarithms a share is a
    difference."""
    return facts.is_never_negative and facts.scaler.log_unit is None


class _Learnt(NamedTuple):
    """Of one series; names and shapes as in `CalendarEffects`, without the first axis."""

    resembles: NDArray[np.int64]
    profile: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def _learn(
    values: NDArray[np.float64], first: int, at: NDArray[np.int64], kind: NDArray[np.int64], roles: NDArray[np.int64], *, is_share: bool
) -> _Learnt | None:
    """Effects on a series with these `values` (days x blocks, of days from `first` on), whose days `at` are special; None where too few
    are known."""
    ordinary = values.copy()
    ordinary[at] = np.nan
    usual = _same_weekday(ordinary, np.arange(len(values)), 0)
    differences = _differences(values, usual, is_share=is_share)
    off = differences[0][at]
    for part in differences:  # from here on of ordinary days alone
        part[at] = np.nan
    noise = _noise(differences)
    if noise is None:
        return None
    noise_of_day, noise_of_block = noise
    is_taught = np.isfinite(values[at]).any(axis=1) & ~_is_in_something_longer(off, at, differences[0], noise_of_day)
    at, kind = at[is_taught], kind[is_taught]
    if not len(at):
        return None
    weekday = (first + np.arange(len(values))) % 7
    resembles = np.full(len(ROLES), -1)
    mean, spread = np.zeros((2, len(roles), values.shape[1]))
    for role in np.unique(roles[kind]):
        own = roles[kind] == role
        days, expected = at[own], usual[at[own]]
        if len(days) >= LEAST_DAYS and ROLES[role] in ("holiday", "bridge"):
            resembles[role], expected = _resembled(values[days], days, weekday, ordinary, expected, is_share=is_share)
        whole, blocks = _differences(values[days], expected, is_share=is_share)
        of_role = np.flatnonzero(roles == role)
        number = np.searchsorted(of_role, kind[own])
        of_day = shrunk_means(whole[:, None], number, len(of_role), np.array([noise_of_day]))
        of_block = shrunk_means(blocks, number, len(of_role), noise_of_block)
        mean[of_role] = of_day.mean + of_block.mean
        spread[of_role] = np.sqrt(of_day.spread**2 + of_block.spread**2)
    newest = ordinary[-7 * PROFILE_WEEKS :]
    profile = np.stack([known_median(newest[weekday[-len(newest) :] == day], np.nan) for day in range(7)])
    profile = np.where(np.isfinite(profile), profile, known_median(newest, 0.0))
    return _Learnt(resembles, profile, mean, spread)


def _is_in_something_longer(
    off: NDArray[np.float64], at: NDArray[np.int64], ordinary: NDArray[np.float64], noise: float
) -> NDArray[np.bool_]:
    """Whether the nearest ordinary days before and after each of the days `at` are about as far off as it is (`off`), and the same way:
    then it was no holiday that did it. `ordinary`: how far all days are off, NaN for those that are special or not known."""
    sides = np.full((2, len(at)), np.nan)
    for side, direction in enumerate((-1, 1)):
        for distance in range(NEAR, 0, -1):
            day = at + direction * distance
            there = np.where((day >= 0) & (day < len(ordinary)), ordinary[np.clip(day, 0, len(ordinary) - 1)], np.nan)
            sides[side] = np.where(np.isfinite(there), there, sides[side])
    least = np.maximum(AS_FAR_OFF * np.abs(off), OUTSIDE * np.sqrt(noise))
    return np.all(sides * np.sign(off) >= least, axis=0)


def _by_day(times: NDArray[np.datetime64], values: NDArray[np.float64], starts: NDArray[np.int64], blocks: int) -> NDArray[np.float64]:
    """Mean of the known values in each block of each day, NaN where there is none; the last of `starts` is the end of the last day."""
    at = times.astype("datetime64[us]").astype(np.int64)
    day = np.searchsorted(starts, at, side="right") - 1
    place = day * blocks + block_of(at - starts[day], blocks)
    known, size = np.isfinite(values), (len(starts) - 1) * blocks
    count = np.bincount(place[known], minlength=size)
    total = np.bincount(place[known], weights=values[known], minlength=size)
    return np.divide(total, count, out=np.full(size, np.nan), where=count > 0).reshape(-1, blocks)


def _same_weekday(ordinary: NDArray[np.float64], days: NDArray[np.int64], ahead: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """For each of `days` and each block, the median of the weeks around it of the weekday that is `ahead` days later (0: its own, without
    the day itself); NaN where fewer than two are known."""
    found = np.full((2 * WEEKS, len(days), ordinary.shape[1]), np.nan)
    for number, week in enumerate(week for week in range(-WEEKS, WEEKS + 1) if week):
        day = days + 7 * week + ahead - 7 * ((np.asarray(ahead) > 0) & (week > 0))
        is_there = (day >= 0) & (day < len(ordinary))
        found[number, is_there] = ordinary[day[is_there]]
    return np.where(np.isfinite(found).sum(axis=0) >= 2, known_median(found, np.nan), np.nan)


def _differences(
    values: NDArray[np.float64], usual: NDArray[np.float64], *, is_share: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far each day as a whole lies from what is usual, and how much further each of its blocks; shares of the usual, or as they are.
    NaN where less than half of a day is known."""
    is_known = np.isfinite(values) & np.isfinite(usual)
    gap = np.where(is_known, values - usual, 0.0)
    counted = np.maximum(is_known.sum(axis=1), 1)
    level = np.where(is_known, usual, 0.0).sum(axis=1) / counted
    unit = np.where(level > 0, level, np.nan) if is_share else np.ones(len(level))
    whole = np.where(is_known.mean(axis=1) >= 0.5 * np.isfinite(usual).any(axis=0).mean(), gap.sum(axis=1) / counted / unit, np.nan)
    each = np.maximum(usual, LEAST_SHARE * unit[:, None]) if is_share else 1.0
    return whole, np.where(is_known, gap / each - whole[:, None], np.nan)


def _noise(differences: tuple[NDArray[np.float64], NDArray[np.float64]]) -> tuple[float, NDArray[np.float64]] | None:
    """Variances of those of ordinary days and of their blocks, whatever outliers there are; None where too few are known."""
    whole, blocks = differences
    if np.isfinite(whole).sum() < LEAST_DAYS:
        return None
    return float(_robust_variance(whole[:, None])[0]), _robust_variance(blocks)


def _robust_variance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    deviation = 1.4826 * known_median(np.abs(values - known_median(values, 0.0)), 0.0)
    return np.maximum(deviation, LEAST_NOISE) ** 2


def _resembled(
    values: NDArray[np.float64],
    days: NDArray[np.int64],
    weekday: NDArray[np.int64],
    ordinary: NDArray[np.float64],
    own: NDArray[np.float64],
    *,
    is_share: bool,
) -> tuple[int, NDArray[np.float64]]:
    """The weekday that these days are nearest to, as a share or difference of it, and what is usual of it; -1 and `own` where that is
    no clear gain."""
    usual = {like: _same_weekday(ordinary, days, (like - weekday[days]) % 7) for like in range(7)}
    whole = {like: _differences(values, expected, is_share=is_share)[0] for like, expected in usual.items()}
    left = {like: float(np.nanvar(each)) for like, each in whole.items() if np.isfinite(each).sum() >= LEAST_DAYS}
    of_own = float(np.nanvar(_differences(values, own, is_share=is_share)[0]))
    near = [like for like, each in left.items() if each < CLOSER * of_own and each < min(left.values()) / CLOSER]
    if not near:
        return -1, own
    like = min(near, key=lambda each: abs(float(np.nanmean(whole[each]))))
    return like, usual[like]


def _microseconds(times: pd.DatetimeIndex) -> NDArray[np.int64]:
    return times.as_unit("us").asi8
