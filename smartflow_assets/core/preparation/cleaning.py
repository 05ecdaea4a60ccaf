"""From aggregated buckets to a regular series: which buckets exist, which are missing, what was repaired and how.

The result is a function of the buckets alone: one run or forty, in time or late, leave the same table. For that `clean` sees
a little beyond the window it answers for (`reach`), a window that late rows touched is widened (`affected`), and only rows
that differ are written (`changes`). Aggregating rows is SQL in adapters.aggregation.buckets. Detectors never learn from or judge a
value that was filled here: `repair` says which those are.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple, Self, cast

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, model_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.preparation import transforms
from smartflow_assets.core.preparation.transforms import Treatment
from smartflow_assets.core.series.lifetimes import no_absences
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.notation import Duration
from smartflow_assets.core.temporal.time_grid import DAY, TimeGrid

Fill = Literal["interpolate", "previous", "zero", "none"]
Remedied = Literal["interpolated", "carried"]
"""What a remedy lets stand in a gap: a line between the neighbours, or the last value before it."""
Repair = Literal["none", "filled", "missing", "dst", "interpolated", "carried", "held"]
"""What was done to a bucket: nothing, a fill, copies of rows left out, nothing that could be (it is missing); dst says that its local
hour is doubled or skipped by a clock change; interpolated and carried that a remedy stands in for what is missing; held that rows of it
are in a load which is blocked, so that nobody knows its value. Where two hold, the later of dst, missing, filled, those of remedies and
held is told."""
UNOBSERVED: tuple[Repair, ...] = ("filled", "missing", "held", "interpolated", "carried")
"""Repairs of buckets in which nothing was observed; in SQL the tuple reads as a list of values."""
CLEAN_COLUMNS = ["series", "metric", "dimensions", "observed_at", "value", "value_raw", "repair"]
LONGEST_BUCKET = timedelta(days=366)


class TimeBucket(Declared):
    """How time is cut, how long a bucket may settle, and what stands in for buckets without rows."""

    model_config = ConfigDict(validate_default=True)

    every: Duration = Field(
        default=timedelta(minutes=5),
        description="Length of a bucket, at most 366 days. Whole days and weeks are cut in the calendar's zone, all others in UTC.",
    )
    fill: Fill = Field(
        default="interpolate",
        description="What stands in for missing buckets: a line between the neighbours, the last value, zero, or nothing. "
        "Filled values are labelled and never judged.",
    )
    max_gap: Duration | None = Field(default=None, description="Gaps longer than this are left missing. Default: six buckets.")
    settle: Duration | None = Field(
        default=None,
        description="How long after its end a bucket may still receive rows before it is judged. Default: one bucket, at most 10min.",
    )

    @model_validator(mode="after")
    def _is_a_grid(self) -> Self:
        if self.every <= timedelta(0):
            raise ValueError("time_bucket.every must be longer than zero; write a length such as 5min")
        if self.every >= DAY and self.every % DAY:
            raise ValueError("time_bucket.every: more than a day must be whole days, such as 1 day or 7 days")
        if self.every > LONGEST_BUCKET:
            raise ValueError(f"time_bucket.every must be at most {LONGEST_BUCKET.days} days")
        return self

    @property
    def gap_limit(self) -> timedelta:
        """The longest gap that is filled."""
        return 6 * self.every if self.max_gap is None else self.max_gap

    @property
    def settle_time(self) -> timedelta:
        """The wait after the end of a bucket before it is judged."""
        return min(self.every, timedelta(minutes=10)) if self.settle is None else self.settle


class Tail(NamedTuple):
    """What is behind the last row of a source, from `since` on: only these metrics have buckets there (None: all), the others end
    with the rows."""

    since: datetime
    metrics: frozenset[str] | None


class RecordedRepair(NamedTuple):
    """A remedy that stands: in the buckets [since, until), by their numbers, that have no value; of one series, or of all (None). It sees
    the bucket before and the one after. Where only a part of them was `asked` for, it stands in that part."""

    how: Remedied
    since: int
    until: int
    series: str | None
    asked: tuple[int, int] | None = None


def last_closed(now: datetime, bucket: TimeBucket, calendar: Calendar) -> pd.Timestamp:
    """The start of the newest bucket that is closed and settled at `now`."""
    return TimeGrid(bucket.every, calendar).step(now - bucket.settle_time, -1)


def reach(bucket: TimeBucket) -> int:
    """How many buckets beyond its window, on both sides, `clean` must see: the longest gap that is filled, and its far end."""
    return bucket.gap_limit // bucket.every + 1


def past(bucket: TimeBucket, treatments: Mapping[str, Treatment]) -> int:
    """How many buckets before its window `clean` must see: `reach`, and what the first of those depends on."""
    return reach(bucket) + transforms.past(treatments.values(), reach(bucket) - 1)


def affected(
    touched: pd.DataFrame,
    since: datetime,
    until: datetime,
    *,
    bucket: TimeBucket,
    calendar: Calendar,
    horizon: datetime,
    known: pd.DataFrame,
    treatments: Mapping[str, Treatment] = MappingProxyType({}),
) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The window, at most up to `horizon`, whose cleaned rows may change when rows of [since, until) came or changed.

    Gaps beside it may become fillable; and where `touched` (the buckets of [since, until)) holds a series that is new or
    older than its first row in `known` (series, metric, dimensions, first_at; as it was before this run wrote anything), all
    that follows exists from now on.
    """
    grid = TimeGrid(bucket.every, calendar)
    firsts = touched[_has_value(touched)].groupby("series")["observed_at"].min()
    known_firsts = dict(zip(known["series"], known["first_at"], strict=True))
    is_older = any(name not in known_firsts or first < known_firsts[name] for name, first in firsts.items())
    end = pd.Timestamp(horizon)
    return grid.step(since, -reach(bucket)), end if is_older else min(grid.step(until, past(bucket, treatments) + 1), end)


def clean(
    buckets: pd.DataFrame,
    *,
    bucket: TimeBucket,
    calendar: Calendar,
    since: datetime,
    until: datetime,
    known: pd.DataFrame | None = None,
    treatments: Mapping[str, Treatment] = MappingProxyType({}),
    tail: Tail | None = None,
    absences: pd.DataFrame | None = None,
    held: Sequence[int] | np.ndarray = (),
    repairs: Sequence[RecordedRepair] = (),
) -> pd.DataFrame:
    """The rows of clean_series (without source) for the buckets that start in [since, until), sorted by series and time.

    `buckets`: series, metric, dimensions, observed_at, value, as `buckets.aggregate` gives
    them, from `past` buckets before `since` to `reach` after `until`, as far as buckets are closed and settled. A series runs
    from its first value on, in `known` (series, metric, dimensions, first_at) or here; a bucket without a value is `missing`.
    A gap is filled once the value behind it is there, and if it is no longer than `max_gap`. `treatments`, by metric: what
    `value` is instead of the aggregated value, which stays in `value_raw`, and whether a bucket without rows is zero. `tail`: which
    metrics go on behind the last row. `absences` (series, since, until: numbers of buckets): where a series is over and has no bucket.
    `held`: numbers of buckets with rows in a load that is blocked, which have no value, nor a fill. `repairs`: what remedies let stand in
    gaps; those that reach into [since, until) must lie in it as a whole, and of two the first counts.
    """
    grid = TimeGrid(bucket.every, calendar)
    wanted = grid.numbers(since, until)
    seen = buckets[_has_value(buckets)]
    if not len(wanted):
        return _empty()
    margin = reach(bucket)
    numbers = np.arange(int(wanted[0]) - past(bucket, treatments), int(wanted[-1]) + margin + 1)
    series = _series(seen, known)
    away = no_absences() if absences is None else absences
    away = cast(pd.DataFrame, away[(away["since"] <= numbers[-1]) & (away["until"] > numbers[0])])
    series = series[~series["series"].isin(away.loc[(away["since"] <= numbers[0]) & (away["until"] > numbers[-1]), "series"])]
    series = series.reset_index(drop=True)
    if series.empty:
        return _empty()

    row = pd.Index(series["series"]).get_indexer(pd.Index(seen["series"]))
    column = grid.number(seen["observed_at"]) - numbers[0]
    is_inside = (column >= 0) & (column < len(numbers))
    cell = row[is_inside], column[is_inside]
    seen = cast(pd.DataFrame, seen[is_inside])
    shape = len(series), len(numbers)
    value, raw = np.full(shape, np.nan), np.full(shape, np.nan)
    value[cell] = raw[cell] = seen["value"]
    is_there = _is_there(series, away, numbers, grid)
    for metric, treatment in treatments.items():
        mine = np.flatnonzero(series["metric"] == metric)
        if treatment.without_rows == "zero":
            is_empty = np.isnan(value[mine]) & is_there[mine]
            value[mine], raw[mine] = np.where(is_empty, 0.0, value[mine]), np.where(is_empty, 0.0, raw[mine])
        if treatment.transform == "difference":
            value[mine] = transforms.difference(value[mine])
        elif treatment.transform == "cumulative_to_rate":
            value[mine] = transforms.rate(value[mine], _seconds(grid, numbers), margin - 1)

    filled, is_filled = _fill(value, bucket)
    repair = np.full(shape, "none", dtype=object)
    repair[:, grid.is_odd(numbers)] = "dst"
    repair[np.isnan(value)] = "missing"
    repair[is_filled] = "filled"
    for each in repairs:
        _remedy(each, value, filled, repair, series["series"], int(numbers[0]))
    is_held = np.isin(numbers, held)
    filled[:, is_held] = np.nan
    repair[:, is_held] = "held"

    is_row = is_there & (numbers >= wanted[0]) & (numbers <= wanted[-1])
    if tail is not None and tail.metrics is not None:
        is_row &= series["metric"].isin(tail.metrics).to_numpy()[:, None] | (numbers < grid.number([pd.Timestamp(tail.since)])[0])
    which, when = np.nonzero(is_row)
    named = series.iloc[which].reset_index(drop=True)
    return pd.DataFrame(
        {
            "series": named["series"],
            "metric": named["metric"],
            "dimensions": named["dimensions"],
            "observed_at": grid.start(numbers)[when],
            "value": filled[which, when],
            "value_raw": raw[which, when],
            "repair": repair[which, when],
        }
    ).astype({"repair": str})


def changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The rows of `after` (from `clean`) that are new or differ from those of the same series and time in `before`."""
    compared = ["value", "value_raw", "repair"]
    old = before.set_index(["series", "observed_at"])[compared]
    old = old.reindex(pd.MultiIndex.from_frame(after[["series", "observed_at"]]))
    new = after[compared]
    is_same = np.all(
        [(new[name].to_numpy() == old[name].to_numpy()) | (new[name].isna().to_numpy() & old[name].isna().to_numpy()) for name in compared],
        axis=0,
    )
    return cast(pd.DataFrame, after[~is_same]).reset_index(drop=True)


def gone(before: pd.DataFrame, after: pd.DataFrame) -> pd.Series:
    """The times of rows in `before` whose series has no row at that time in `after`."""
    rows = pd.MultiIndex.from_frame(before[["series", "observed_at"]])
    is_gone = np.asarray(~rows.isin(pd.MultiIndex.from_frame(after[["series", "observed_at"]])), dtype=bool)
    return before.loc[is_gone, "observed_at"]


def _is_there(series: pd.DataFrame, away: pd.DataFrame, numbers: np.ndarray, grid: TimeGrid) -> np.ndarray:
    """Whether each series (rows) has each bucket (columns): from its first value on, but for where it is over."""
    is_there = numbers >= grid.number(series["first_at"])[:, None]
    row = pd.Index(series["series"]).get_indexer(pd.Index(away["series"]))
    for i, since, until in zip(row, away["since"], away["until"], strict=True):
        if i >= 0:
            is_there[i] &= (numbers < since) | (numbers >= until)
    return is_there


def _has_value(buckets: pd.DataFrame) -> np.ndarray:
    return np.isfinite(buckets["value"].to_numpy(dtype=float, na_value=np.nan))


def _series(seen: pd.DataFrame, known: pd.DataFrame | None) -> pd.DataFrame:
    """series, metric, dimensions, first_at: one row for each series, sorted."""
    columns = ["series", "metric", "dimensions"]
    firsts = seen.sort_values("observed_at").drop_duplicates("series")[[*columns, "observed_at"]]
    firsts = firsts.rename(columns={"observed_at": "first_at"})
    if known is not None and len(known):
        firsts = pd.concat([known[[*columns, "first_at"]], firsts], ignore_index=True) if len(firsts) else known
        firsts = firsts.sort_values("first_at").drop_duplicates("series")
    return firsts.sort_values("series", ignore_index=True)


def _seconds(grid: TimeGrid, numbers: np.ndarray) -> np.ndarray:
    """Where the buckets start, in seconds since the first of them; a local day may have 23 or 25 hours."""
    starts = grid.start(numbers)
    return (starts - starts[0]).total_seconds().to_numpy()


def _fill(value: np.ndarray, bucket: TimeBucket) -> tuple[np.ndarray, np.ndarray]:
    """Values (series x buckets) with their short gaps filled, and where that was done."""
    at = np.arange(int(value.shape[1]))
    is_seen = np.isfinite(value)
    before = np.maximum.accumulate(np.where(is_seen, at, -1), axis=1)
    after = np.minimum.accumulate(np.where(is_seen, at, at.size)[:, ::-1], axis=1)[:, ::-1]
    longest = bucket.gap_limit // bucket.every
    is_filled = ~is_seen & (before >= 0) & (after < at.size) & (after - before - 1 <= longest)
    if bucket.fill == "none":
        is_filled[:] = False
    row, column = np.nonzero(is_filled)
    left, right = before[row, column], after[row, column]
    filled = value.copy()
    match bucket.fill:
        case "interpolate":
            share = (column - left) / (right - left)
            filled[row, column] = value[row, left] * (1 - share) + value[row, right] * share
        case "previous":
            filled[row, column] = value[row, left]
        case "zero":
            filled[row, column] = 0.0
        case "none":
            pass
    return filled, is_filled


def _remedy(each: RecordedRepair, value: np.ndarray, filled: np.ndarray, repair: np.ndarray, series: pd.Series, first: int) -> None:
    """Let a remedy stand in the cells (series x buckets, the first of which is `first`) that are still missing; `value` is what was
    observed."""
    rows = np.flatnonzero(series == each.series) if each.series is not None else np.arange(len(series))
    low, high = max(each.since - 1 - first, 0), min(each.until + 1 - first, value.shape[1])
    if not len(rows) or high - low < 2:
        return
    seen, at = value[rows, low:high], np.arange(high - low)
    is_seen = np.isfinite(seen)
    before = np.maximum.accumulate(np.where(is_seen, at, -1), axis=1)
    after = np.minimum.accumulate(np.where(is_seen, at, at.size)[:, ::-1], axis=1)[:, ::-1]
    is_mended = np.isnan(filled[rows, low:high]) & (before >= 0) & (after < at.size)
    if each.asked is not None:
        is_mended &= (first + low + at >= each.asked[0]) & (first + low + at < each.asked[1])
    row, column = np.nonzero(is_mended)
    left, right = before[row, column], after[row, column]
    share = (column - left) / (right - left) if each.how == "interpolated" else 0.0
    filled[rows[row], low + column] = seen[row, left] * (1 - share) + seen[row, right] * share
    repair[rows[row], low + column] = each.how


def _empty() -> pd.DataFrame:
    types = {"observed_at": "datetime64[us, UTC]", "value": float, "value_raw": float, "dimensions": object}
    return pd.DataFrame({name: pd.Series(dtype=types.get(name, str)) for name in CLEAN_COLUMNS})
