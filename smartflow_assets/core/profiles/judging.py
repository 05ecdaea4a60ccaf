# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy has none.
"""Which figures of a profile are unusual, by what the series were like in the weeks before.

What is expected of a bucket is the median of the same local time in the four weeks before, on the level of the last seven days: the median
of what each of them lay off, so that two or three wrong days teach nothing. Deviations are
looked at over one bucket, over six and over a day of them: half the rows of a day are plain, while half the rows of one of its hours may be
chance. How surprising each is follows from the tail of the series' own past, as it does for every detector of metrics, and from chance:
counts vary as counts do. What is flagged must also be large enough to matter. (The ensemble of metrics was tried: it says no more of half
the rows of a day, where there are forty an hour, than of an ordinary one.)

How surprising it must be follows from the budget: one false incident in so long a time, over all series of the source together; where their
own past had more alarms than that, from the heights of these (`detection.false_alarm_budget`). Nothing is stored: it is learnt anew for
each stretch of four weeks, from the eight weeks before it. So a verdict is a function of the rows from sixteen weeks before its bucket to
its end, however runs cut the data.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.detection.ensemble import CAP
from smartflow_assets.core.detection.false_alarm_budget import peaks, threshold_within
from smartflow_assets.core.profiles.figures import BESIDE, SHARES, Figure, Kind
from smartflow_assets.core.profiles.sentences import sentence
from smartflow_assets.core.series.surprise import to_anomaly_score
from smartflow_assets.core.severity import Severity
from smartflow_assets.core.temporal.notation import Frequency
from smartflow_assets.core.temporal.time_grid import TimeGrid
from smartflow_assets.core.text_format import lasting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

WEEK, DAY = timedelta(days=7), timedelta(days=1)
WEEKS = 4
"""Earlier weeks that are looked at for what to expect."""
LEAST_WEEKS = 2
"""So many of them there must be."""
STRETCH, PAST, LEAST = timedelta(days=28), timedelta(days=56), timedelta(days=28)
"""So long what was learnt holds, so much of the past is learnt from, and so much there must be before anything is judged."""
LEAST_BUCKETS = 42
"""Buckets that must have been there as well."""
LEAST_VALUES = 20
"""Values of a series among what is learnt from."""
TAIL_FROM = 0.9
MOST_RAISED = 2.0
"""By so much, in surprise, alarms of the past may raise the threshold: beyond it they would hide what matters."""
LOOKS = 3
"""Spans in which each bucket is looked at."""
ROWS_OF_A_SPREAD = 8
"""Of fewer rows quartiles say nothing."""
REGULAR = 0.3
"""Below this ratio of variance to mean rows come by a clock and not by chance."""
USUAL_SHARE = 0.99
"""Share of the past that the usual range holds."""
SEVERITY: Severity = "warning"
VERDICT_COLUMNS = ("expected", "lower", "upper", "raw_score", "anomaly_score", "threshold", "is_anomaly", "state", "severity", "message")
_LEVELS = 0.5, 2.0  # how far the level of the last days may lie from that of the weeks before
_LEVEL_DAYS = 7
_LEAST_LEVEL_DAYS = 3  # of fewer one alone would be the level
_MANY_CATEGORIES = 2  # times `categories`: a column with more different values than that is none of categories


@dataclass(frozen=True)
class _Stretch:
    """Numbers of buckets: [`read_from`, `learnt_from`) only say what to expect, [`learnt_from`, `learnt_to`) are learnt from, and those up
    to `end` are judged by it."""

    read_from: int
    learnt_from: int
    learnt_to: int
    end: int


class Stretches:
    """How time is cut into stretches, for buckets of one length."""

    def __init__(self, grid: TimeGrid) -> None:
        self.grid = grid
        self.week, self.day = (max(1, round(span / grid.every)) for span in (WEEK, DAY))
        self._length, self._past = (max(1, round(span / grid.every)) for span in (STRETCH, PAST))
        self._least = max(LEAST_BUCKETS, round(LEAST / grid.every))

    def of(self, first: int, since: int, until: int) -> list[_Stretch]:
        """Those that judge buckets of [since, until), where the source has buckets from `first` on."""
        found: list[_Stretch] = []
        for start in range(since // self._length * self._length, until, self._length):
            learnt_to, end = max(start, first + self._least), min(start + self._length, until)
            if learnt_to < end:
                learnt_from = max(first + LEAST_WEEKS * self.week, start - self._past)
                found.append(_Stretch(max(first, start - self._past - (WEEKS + 1) * self.week), learnt_from, learnt_to, end))
        return found

    def reads_from(self, first: int, since: int) -> int:
        """From which bucket on figures are needed to judge those from `since` on."""
        return max(first, since // self._length * self._length - self._past - (WEEKS + 1) * self.week)


def judge(
    figures: pd.DataFrame,
    stretches: Stretches,
    *,
    first: int,
    since: int,
    until: int,
    categories: int,
    budget: Frequency,
    calm_days: Collection[date] = (),
) -> pd.DataFrame:
    """Verdicts on the buckets numbered [since, until): series, observed_at and `VERDICT_COLUMNS`, one row for each judged value; no rows
    while there is too little past.

    `figures`: series, metric, category (of a share of one, else empty), observed_at, value and is_judged, of the buckets from
    `stretches.reads_from(first, since)` on; what counts the rows, and the figures `BESIDE` those that are judged, must be among them.
    `first`: the number of the source's first bucket. A share of a category that did not come is 0 in buckets in which its column has shares
    of others. Shares are judged as long as the column has had at most twice `categories` different ones, in the past of the stretch and
    up to the bucket: more of them are ids, or free text. On the local `calm_days`, holidays for one, nothing is flagged."""
    found = stretches.of(first, since, until)
    if not found or not figures["is_judged"].any():
        return _no_verdicts()
    wide = figures.assign(number=stretches.grid.number(figures["observed_at"])).pivot(index="number", columns="series", values="value")
    kinds = {str(row.series): (str(row.metric), str(row.category)) for row in figures.drop_duplicates("series").itertuples()}
    judged = sorted(str(name) for name in figures.loc[figures["is_judged"], "series"].unique())
    made: list[pd.DataFrame] = []
    for stretch in found:
        own = wide.reindex(range(stretch.read_from, stretch.end)).astype(float)
        tracks = _tracks(own, stretch, judged, kinds, stretches, categories)
        if tracks:
            made.append(_verdicts(tracks, own.index.to_numpy(), stretch, stretches.grid, budget, calm_days, kinds))
    rows = [each[each["number"].between(since, until - 1)].drop(columns="number") for each in made]
    return pd.concat(rows, ignore_index=True) if rows else _no_verdicts()


def _tracks(
    wide: pd.DataFrame,
    stretch: _Stretch,
    judged: Sequence[str],
    kinds: Mapping[str, tuple[str, str]],
    stretches: Stretches,
    categories: int,
) -> dict[str, "_Track"]:
    """The series of a stretch that have enough past."""
    rows: Floats = np.nan_to_num(wide["row_count"].to_numpy(float))
    clock = _Clock.of(wide.index.to_numpy(), stretches)
    usual_rows = _expected(Figure("row_count"), rows, clock)
    learnt = slice(stretch.learnt_from - stretch.read_from, stretch.learnt_to - stretch.read_from)
    found: dict[str, _Track] = {}
    of_column: dict[str, list[str]] = {}
    for name in judged:
        of_column.setdefault(kinds[name][0], []).append(name)
    has_shares = {
        metric: _has_shares(wide[names].notna().to_numpy(), _MANY_CATEGORIES * categories)
        for metric, names in of_column.items()
        if Figure.of(metric).kind == "category_share"
    }
    for name in judged:
        figure, values = Figure.of(kinds[name][0]), wide[name].to_numpy(float)
        if figure.kind == "category_share":
            values = np.where(has_shares[kinds[name][0]], np.nan_to_num(values), np.nan)
        if np.isfinite(values[learnt]).sum() >= LEAST_VALUES:
            found[name] = _Track.of(figure, values, rows, usual_rows, clock, learnt, _without_one(wide, figure, rows))
    return found


def _has_shares(is_there: "NDArray[np.bool_]", most: int) -> "NDArray[np.bool_]":
    """In which buckets a column has shares that say something: any category at all, and `most` different ones up to then. `is_there`: by
    bucket and category.

    >>> _has_shares(np.array([[True, False, False], [False, False, False], [True, True, False], [False, False, True]]), 2).tolist()
    [True, False, True, False]
    """
    return is_there.any(axis=1) & (np.logical_or.accumulate(is_there, axis=0).sum(axis=1) <= most)


def _without_one(wide: pd.DataFrame, figure: Figure, rows: "Floats") -> tuple["Floats", "Floats"] | None:
    """Between which values a mean would lie if one row, the largest or the smallest, were not there: one row is no shift."""
    if figure.kind != "mean":
        return None
    named: dict[Kind, Floats] = {kind: wide[str(Figure(kind, figure.column))].to_numpy(float) for kind in ("mean", *BESIDE["mean"])}
    count: Floats = np.round(rows * (1 - named["null_share"]))
    with np.errstate(all="ignore"):
        least: Floats = (count * named["mean"] - named["max"]) / (count - 1)
        most: Floats = (count * named["mean"] - named["min"]) / (count - 1)
    return np.where(count > 1, least, -np.inf), np.where(count > 1, most, np.inf)


def _verdicts(
    tracks: Mapping[str, "_Track"],
    numbers: "NDArray[np.int64]",
    stretch: _Stretch,
    grid: TimeGrid,
    budget: Frequency,
    calm_days: Collection[date],
    kinds: Mapping[str, tuple[str, str]],
) -> pd.DataFrame:
    """Verdicts on the buckets of a stretch, with their `number`."""
    learnt_from, learnt_to = stretch.learnt_from - stretch.read_from, stretch.learnt_to - stretch.read_from
    late = [name for name, track in tracks.items() if kinds[name][1] and not np.nansum(track.values[:learnt_to])]
    looks = LOOKS * (len(tracks) - len(late)) * (DAY / grid.every)  # at as many figures in a day, whatever category comes later
    least = float(np.log10(max(10.0, looks / budget.per_day)))
    heights = np.max([track.surprise[learnt_from:learnt_to] for track in tracks.values()], axis=0)
    span = (learnt_to - learnt_from) * grid.every
    threshold = min(threshold_within(peaks(heights, heights >= least), budget, span, least), least + MOST_RAISED)
    at = grid.start(numbers[learnt_to:])
    is_calm_day = np.array([day in calm_days for day in grid.calendar.local(at).date], dtype=bool)
    made: list[pd.DataFrame] = []
    for name, track in tracks.items():
        value, expected, lower, upper, surprise = (
            each[learnt_to:] for each in (track.values, track.expected, track.lower, track.upper, track.surprise)
        )
        is_anomaly = track.strange(threshold, learnt_to)[learnt_to:] & ~is_calm_day
        metric, category = kinds[name]
        said = np.full(len(at), None, dtype=object)
        for place in np.flatnonzero(is_anomaly):
            said[place] = track.said(learnt_to + int(place), Figure.of(metric), category, grid.every)
        frame = pd.DataFrame(
            {
                "number": numbers[learnt_to:],
                "series": name,
                "observed_at": at,
                "expected": expected,
                "lower": lower,
                "upper": upper,
                "raw_score": surprise,
                "anomaly_score": to_anomaly_score(surprise),
                "threshold": float(to_anomaly_score(np.array([threshold]))[0]),
                "is_anomaly": is_anomaly,
                "state": "scored",
                "severity": pd.Series(SEVERITY, index=range(len(at)), dtype=object).where(is_anomaly, None),
                "message": said,
            }
        )
        made.append(frame[np.isfinite(value) & np.isfinite(expected)])
    return pd.concat(made, ignore_index=True)


@dataclass(frozen=True)
class _Clock:
    """Where the same local time lies in each of the weeks before: `earlier[k]` are the places k + 1 weeks before those of the buckets, -1
    where there is none. `days`: on which local day each lies, the first is 0. `day`: so many buckets."""

    earlier: "NDArray[np.int64]"
    days: "NDArray[np.int64]"
    day: int

    @classmethod
    def of(cls, numbers: "NDArray[np.int64]", stretches: Stretches) -> "_Clock":
        grid, local = stretches.grid, numbers
        times = grid.calendar.local(grid.start(numbers)).tz_localize(None).to_numpy()
        if not grid.is_local:
            local = times.astype("datetime64[us]").astype(np.int64) // grid.width
        place = pd.Series(np.arange(len(local)), index=local).groupby(level=0).last()
        earlier = [place.reindex(local - week * stretches.week, fill_value=-1).to_numpy(np.int64) for week in range(1, WEEKS + 1)]
        days = times.astype("datetime64[D]").astype(np.int64)
        return cls(np.array(earlier), days - days.min(), stretches.day)


@dataclass
class _Track:
    """A series over a stretch and its past: what is expected of each value, the usual range, how surprising it is together with those
    before it, as far as it is off by so much that it matters, and what there is to say of them."""

    values: "Floats"
    expected: "Floats"
    lower: "Floats"
    upper: "Floats"
    surprise: "Floats"
    going_on: "Floats"  # 1 or -1 where it still lies above or below, once it was strange
    told: "NDArray[np.int64]"  # which of the spans is strangest
    spans: Sequence["_Span"]

    @classmethod
    def of(
        cls,
        figure: Figure,
        values: "Floats",
        rows: "Floats",
        usual_rows: "Floats",
        clock: _Clock,
        learnt: slice,
        without_one: tuple["Floats", "Floats"] | None,
    ) -> "_Track":
        expected = _expected(figure, values, clock)
        judged = values if without_one is None else np.where(np.isfinite(values), np.clip(expected, *without_one), np.nan)
        if figure.kind == "spread":
            judged = np.where(rows >= ROWS_OF_A_SPREAD, judged, np.nan)
        past = values[learnt][np.isfinite(values[learnt])]
        share = float(np.nansum(values[learnt] * rows[learnt]) + 1) / float(rows[learnt][np.isfinite(values[learnt])].sum() + 2)
        measures = _Measures.of(figure, judged, expected, rows, past, float(rows[learnt].sum()))
        widths = dict.fromkeys((1, max(1, clock.day // 4), clock.day))
        spans = [_Span.of(measures, width, learnt) for width in widths]
        count_off = np.nan_to_num(values * rows - expected * usual_rows)
        surprises: list[Floats] = []
        for place, span in enumerate(spans):
            shorter = spans[max(0, place - 1)]  # a day may be strange only for what is over by now
            is_now = (shorter.total * span.total > 0) & (np.abs(shorter.total) >= shorter.least / 2) & span.is_large
            is_now &= measures.side * span.total > 0
            if figure.kind == "category_share":  # not one that others have made larger by their absence, or smaller by being more
                is_now &= np.sign(span.total) * _trailing(count_off, span.width) >= 0.75 * np.abs(span.total)
            own = _surprise(span.statistic, measures.is_known, learnt, clock.day)
            by_chance = _by_chance(figure, measures, share, span.width, learnt)
            surprises.append(np.where(is_now, np.minimum(own, by_chance), 0.0))
        told = np.argmax(surprises, axis=0)
        lower, upper = spans[0].usual(figure)
        going_on = np.where(spans[min(1, len(spans) - 1)].is_large, measures.side, 0.0)
        return cls(values, expected, lower, upper, np.max(surprises, axis=0), going_on, told, spans)

    def strange(self, threshold: float, since: int) -> "NDArray[np.bool_]":
        """Which buckets are unusual at this threshold, those before `since` not looked at: from one that is, it goes on as long as buckets
        lie off the same way, over six of them by so much that it matters."""
        found = self.surprise >= threshold
        found[:since] = False
        if found.any():
            for place in range(since + 1, len(found)):
                near = [each for each in (place - 1, place - 2) if each >= since and found[each]]
                found[place] |= bool(near) and self.going_on[place] != 0 and self.going_on[place] == self.going_on[near[0]]
        return found

    def said(self, place: int, figure: Figure, category: str, step: timedelta) -> str:
        """What is unusual at a place, in a sentence."""
        span = self.spans[int(self.told[place])]
        lower, upper = span.usual(figure)
        value = self.values if span.width == 1 else span.mean_value
        figures = (float(each[place]) for each in (value, span.mean_expected, lower, upper))
        return sentence(figure, category, *figures, span="" if span.width == 1 else lasting(span.width * step))


@dataclass(frozen=True)
class _Measures:
    """How the deviations of a series are added up over buckets: each times its `weight`, with the variance that it has by chance, and from
    which size on it matters: a fifth of the rows, two in a hundred missing values, a tenth of the rows of a category; of a mean or a spread
    a part of itself and of the range that it had."""

    weight: "Floats"
    values: "Floats"
    expected: "Floats"
    variance: "Floats"
    least: "Floats"
    is_known: "NDArray[np.bool_]"
    is_summed: bool

    @classmethod
    def of(cls, figure: Figure, values: "Floats", expected: "Floats", rows: "Floats", past: "Floats", seen: float) -> "_Measures":
        size, weight = np.abs(np.nan_to_num(expected)), np.ones(len(values))
        if figure.kind == "row_count":
            variance, least = np.maximum(size, 1.0), np.maximum(0.2 * size, 1.5)
        elif figure.kind in SHARES:
            chance = np.clip(size, 1 / max(seen, 1.0), 0.5)
            weight, variance = rows, rows * chance * (1 - chance)
            least = np.full(len(values), 0.02 if figure.kind == "null_share" else 0.1) * rows
        else:
            low, high = np.quantile(past, [0.01, 0.99])
            weight, variance = rows, rows * max(float(high - low), 1e-9) ** 2  # of few rows both wander
            least = np.maximum((0.1 if figure.kind == "mean" else 0.3) * size, 0.5 * (high - low)) * rows
        is_known = np.isfinite(values) & np.isfinite(expected)
        weight, variance, least = (np.where(is_known, each, 0.0) for each in (weight, variance, least))
        weighted, usual = (np.nan_to_num(each) * weight for each in (values, expected))
        return cls(weight, weighted, usual, variance, least, is_known, is_summed=figure.kind == "row_count")

    @property
    def side(self) -> "Floats":
        """1 or -1 where the bucket itself lies above or below by half of what matters, else 0."""
        off = self.values - self.expected
        return np.where(np.abs(off) >= self.least / 2, np.sign(off), 0.0)


@dataclass(frozen=True)
class _Span:
    """Each bucket together with those before it, `width` in all: the `total` deviation and from which size on it matters, and its size
    beside chance. Values and what was expected as sums of rows, or as means of what is no count; `reach` is how far values usually lie
    off."""

    width: int
    total: "Floats"
    least: "Floats"
    statistic: "Floats"
    mean_value: "Floats"
    mean_expected: "Floats"
    reach: "Floats"

    @classmethod
    def of(cls, measures: _Measures, width: int, learnt: slice) -> "_Span":
        value, expected, variance, least, weight = (
            _trailing(each, width) for each in (measures.values, measures.expected, measures.variance, measures.least, measures.weight)
        )
        total, chance = value - expected, np.sqrt(variance)
        statistic = np.divide(np.abs(total), chance, out=np.zeros(len(total)), where=variance > 0)
        by = np.ones(len(total)) if measures.is_summed else np.maximum(weight, 1e-9)
        reach = float(np.quantile(statistic[learnt], USUAL_SHARE)) * chance
        return cls(width, total, least, statistic, value / by, expected / by, reach / by)

    @property
    def is_large(self) -> "NDArray[np.bool_]":
        """Whether it is off by so much that it matters."""
        return np.abs(self.total) >= self.least

    def usual(self, figure: Figure) -> tuple["Floats", "Floats"]:
        """The usual range."""
        lower, upper = self.mean_expected - self.reach, self.mean_expected + self.reach
        return lower if figure.kind == "mean" else np.maximum(lower, 0.0), np.minimum(upper, 1.0) if figure.kind in SHARES else upper


def _expected(figure: Figure, values: "Floats", clock: _Clock) -> "Floats":
    """The median of the same local time in earlier weeks, on the level of the seven days before the bucket's own: the median of their
    ratios of rows, or of how far other figures lay off."""
    earlier = np.where(clock.earlier >= 0, values[clock.earlier], np.nan)
    known = np.isfinite(earlier).sum(axis=0)
    usual = np.full(len(values), np.nan)
    usual[known >= LEAST_WEEKS] = np.nanmedian(earlier[:, known >= LEAST_WEEKS], axis=0)
    is_known = np.isfinite(usual) & np.isfinite(values)
    count, seen, was = (np.bincount(clock.days, weights=np.where(is_known, each, 0.0)) for each in (np.ones(len(values)), values, usual))
    is_enough = (count > 0) & (count >= clock.day / 8)
    if figure.kind == "row_count":
        ratio = np.divide(seen, was, out=np.full(len(count), np.nan), where=is_enough & (was > 0))
        return usual * np.clip(_level(ratio, 1.0), *_LEVELS)[clock.days]
    shift = _level(np.divide(seen - was, count, out=np.full(len(count), np.nan), where=is_enough), 0.0)[clock.days]
    return np.clip(usual + shift, 0.0, 1.0) if figure.kind in SHARES else usual + shift


def _level(days: "Floats", unknown: float) -> "Floats":
    """The median of the seven days before each, `unknown` where fewer than three of them are known.

    >>> _level(np.array([1.0, 1.0, 1.0, 2.0, 2.0, 9.0]), 0.0).tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """
    padded = np.concatenate([np.full(_LEVEL_DAYS, np.nan), days])
    before = np.lib.stride_tricks.sliding_window_view(padded, _LEVEL_DAYS)[: len(days)]
    is_enough = np.isfinite(before).sum(axis=1) >= _LEAST_LEVEL_DAYS
    level = np.full(len(days), unknown)
    level[is_enough] = np.nanmedian(before[is_enough], axis=1)
    return level


def _surprise(statistic: "Floats", is_known: "NDArray[np.bool_]", learnt: slice, day: int) -> "Floats":
    """How far out the values lie in the tail of what was learnt from, without its strangest day: one incident must not hide the next. Above
    the quantile `TAIL_FROM` the tail is a generalised Pareto one by moments, as that of detectors is (`kernels.tail`), which here does not
    learn from the rows that it judges: a day that is wrong would call its own evening usual."""
    past, known = statistic[learnt], is_known[learnt]
    blocks = np.arange(len(past)) // day
    past = past[known & (blocks != blocks[int(np.argmax(past))])]
    if len(past) < LEAST_VALUES:
        return np.zeros(len(statistic))
    limit = float(np.quantile(past, TAIL_FROM))
    excess = past[past > limit] - limit
    mean, variance = (float(excess.mean()), float(excess.var())) if len(excess) else (0.0, 0.0)
    shape = min(max(0.5 * (1 - mean * mean / variance), 0.0), 0.5) if variance > 0 else 0.0
    scale = max(mean * (1 - shape), 0.1 * limit, 1e-6)
    z = np.maximum(statistic - limit, 0.0) / scale
    far = z / np.log(10.0) if shape < 1e-6 else np.log10(1 + shape * z) / shape
    return np.where(statistic > limit, np.minimum(-np.log10(1 - TAIL_FROM) + far, CAP), 0.0)


def _by_chance(figure: Figure, measures: _Measures, share: float, width: int, learnt: slice) -> "Floats":
    """How surprising the last `width` buckets are if rows come, and lack a value or are of a category, by chance alone, where `share` of
    all did before; `CAP` of what is no count, and of rows that come by a clock."""
    from scipy.special import bdtr, bdtrc, pdtr, pdtrc

    if figure.kind not in ("row_count", *SHARES):
        return np.full(len(measures.values), CAP)
    if figure.kind == "row_count":
        off = (measures.values - measures.expected)[learnt][measures.is_known[learnt]]
        if len(off) and float(np.median(off**2)) / 0.455 < REGULAR * float(np.median(measures.variance[learnt])):
            return np.full(len(measures.values), CAP)
    count, usual, of = (_trailing(each, width) for each in (measures.values, measures.expected, measures.weight))
    count = np.round(count)
    with np.errstate(all="ignore"):
        if figure.kind == "row_count":
            usual = np.maximum(usual, 0.5)
            chance: Floats = np.where(count < usual, pdtr(count, usual), pdtrc(count - 1, usual))
        else:
            part, of = np.clip(usual / of, 0.0, 1.0), np.round(of).astype(np.int64)
            chance = np.where(count > usual, bdtrc(count - 1, of, np.maximum(part, share)), bdtr(count, of, np.minimum(part, share)))
        return np.clip(np.nan_to_num(-np.log10(np.maximum(chance, 1e-300))), 0.0, CAP)


def _trailing(values: "Floats", width: int) -> "Floats":
    """The sum of each value and of those before it, `width` in all.

    >>> _trailing(np.array([1.0, 2.0, 3.0, 4.0]), 2).tolist()
    [1.0, 3.0, 5.0, 7.0]
    """
    padded = np.concatenate([np.zeros(width - 1), values])
    return np.lib.stride_tricks.sliding_window_view(padded, width).sum(axis=-1)


def _no_verdicts() -> pd.DataFrame:
    types = {"observed_at": "datetime64[us, UTC]", "is_anomaly": bool}
    return pd.DataFrame({name: pd.Series(dtype=types.get(name, object)) for name in ("series", "observed_at", *VERDICT_COLUMNS)})
