"""Preparation: raw rows to closed buckets on a regular grid, what models see of them, and what the rules say of them.

Cleaning is a function of the raw rows alone: only buckets that differ from what stands are written, so a re-run writes
nothing and a late row touches its own bucket (and a gap that it makes fillable). What is written here tells the stages below
which windows to look at again.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from smartflow_assets.adapters.aggregation import buckets
from smartflow_assets.adapters.aggregation.lifetimes import Lifetimes, lifetimes
from smartflow_assets.adapters.warehouse.retention import PRUNED_TO
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.writes import Delete, Replace, Write
from smartflow_assets.config.plan import changes_between
from smartflow_assets.core import rules
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.preparation import cleaning, features
from smartflow_assets.core.preparation.cleaning import RecordedRepair, Tail
from smartflow_assets.core.series.lifetimes import LONGEST_TAIL, Silence, Waiting
from smartflow_assets.core.temporal.time_grid import TimeGrid
from smartflow_assets.stages import encoding
from smartflow_assets.stages.arrivals import SourceArrivals
from smartflow_assets.stages.bucket_resolution import made_under
from smartflow_assets.stages.metric_groups import featured_metrics, metric_groups
from smartflow_assets.stages.moved_times import has_moved
from smartflow_assets.stages.replaced_rows import once_counted
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.windows import (
    Window,
    batches,
    leave_pending,
    merged,
    pending_windows,
    rows_in,
    series_rows,
    split,
    table_rows,
    without,
)

SHOWN = 10
REPAIRS = """
SELECT repair, series, from_at, to_at, CAST(before->>'$.asked_from' AS TIMESTAMPTZ) AS asked_from,
       CAST(before->>'$.asked_to' AS TIMESTAMPTZ) AS asked_to
FROM remediations
WHERE source = ? AND repair IS NOT NULL AND status IN ('planned', 'done') AND undone_at IS NULL ORDER BY happened_at, remediation_id
"""
MADE_FROM_RAW = (
    "clean_series",
    "series_features",
    "rule_violations",
    "anomaly_scores",
    "detector_scores",
    "record_scores",
    "record_anomalies",
    "anomalies",
)


@dataclass(frozen=True)
class Cleaned:
    """What `clean_series` did; lag is the clock minus the end of the newest bucket, `note` what people should know of the rows."""

    row_count: int
    missing_count: int
    filled_count: int
    series_count: int
    lag_seconds: float | None
    rebuilt_because: str
    table_rows: int
    note: str = ""

    def __str__(self) -> str:
        rebuilt = f"; rebuilt from raw records, because {self.rebuilt_because}" if self.rebuilt_because else ""
        return (
            f"{self.row_count} buckets of {self.series_count} series are new or changed, {self.missing_count} of them missing, "
            f"{self.filled_count} filled{rebuilt}"
        )


@dataclass(frozen=True)
class Made:
    """Rows of series_features that were written."""

    row_count: int
    feature_count: int
    table_rows: int


NO_NUMBERS = (
    "no column holds numbers, so no series is made of them: only how many rows come is watched, and what they hold (docs/quality.md). "
    "Name what is to be counted, such as metrics: [{name: orders, aggregate: count}]"
)


@dataclass(frozen=True)
class Judged:
    """Violations found in the windows that were new or changed: how many, and the last of them."""

    count: int
    rows: pd.DataFrame
    table_rows: int


def clean_series(run: SourceRun) -> Cleaned:
    """Bring clean_series up to the last bucket that is closed and settled at the run's clock."""
    run.report("clean_series")
    written = Counter[str]()
    with run.warehouse.reading():
        rebuilt_because = _drop_outdated(run)
        known = buckets.known_series(run.warehouse, run.name)
        arrived = SourceArrivals(run, bucket_plan(run))
        axis = _axis(run, arrived)
        planned = None if axis is None else _planned(run, known, axis)
    if axis is not None and planned is not None:
        written, known = _clean(run, known, axis, planned)
    with run.warehouse.reading():
        newest, note, stored = _newest(run), arrived.recording if written else "", table_rows(run, "clean_series")
        if axis is not None and known.empty and not buckets.metrics_of(run.warehouse, run.name, arrived.plan):
            note = NO_NUMBERS
    if note:
        run.warn(note)
    lag = None if pd.isna(newest) else (run.now - newest - run.source.time_bucket.every).total_seconds()
    return Cleaned(
        row_count=written.total(),
        missing_count=written["missing"],
        filled_count=written["filled"],
        series_count=len(known),
        lag_seconds=lag,
        rebuilt_because=rebuilt_because,
        table_rows=stored,
        note=note,
    )


def _clean(run: SourceRun, known: pd.DataFrame, axis: "_Axis", planned: "_Planned") -> tuple[Counter[str], pd.DataFrame]:
    """Write what is new or has changed in the planned windows; how many rows by repair, and the series that are known then."""
    written, grid = Counter[str](), bucket_plan(run).grid
    gone_over = [Replace("clean_series", run.name, pd.DataFrame(), *window, is_empty_allowed=True) for window in planned.over]
    for at, windows in enumerate(planned.commits):
        writes: list[Write] = [] if at else [*gone_over]
        for window in windows:
            rows, changed, gone = _clean_window(run, window, known, axis.tail, planned)
            known = _with_new_series(known, changed)
            written.update({str(repair): int(count) for repair, count in changed["repair"].value_counts().items()})
            writes += [  # with its siblings that stayed: all of a bucket is written
                Replace(
                    "clean_series",
                    run.name,
                    _in_categories(rows_in(rows, interval)),
                    *interval,
                    fingerprint=run.source.fingerprint,
                    is_empty_allowed=len(gone) > 0,
                )
                for interval in _spells(pd.concat([changed["observed_at"], gone]), grid)
            ]
        if writes:
            run.warehouse.commit(run.run_id, writes)
    return written, known


def _in_categories(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as they are written fastest: what repeats is categorical, the dimensions are JSON once for each series."""
    place, names = pd.factorize(rows["series"])
    dimensions = rows["dimensions"].iloc[np.unique(place, return_index=True)[1]]
    codes, texts = pd.factorize(np.array([None if each is None else json.dumps(each, ensure_ascii=False) for each in dimensions], object))
    named = {"series": pd.Categorical.from_codes(place, categories=names)}
    named["dimensions"] = pd.Categorical.from_codes(codes[place], categories=pd.Index(texts, dtype=object))
    return rows.assign(**named, metric=rows["metric"].astype("category"), repair=rows["repair"].astype("category"))


def _drop_outdated(run: SourceRun) -> str:
    """Delete what was made under another bucket, aggregation, metric, dimension or encoding, of rows that have other times now, while
    equal rows were counted once, or before categories were known; raw records stay and are worked on anew. Why, in words; nothing when
    all stands."""
    stored, has_rows = made_under(run.warehouse, run.name), table_rows(run, "clean_series") > 0
    outdated = [Delete(table, run.name) for table in MADE_FROM_RAW] if has_rows else []
    is_changed = has_rows and stored is not None and bool(changes_between(stored, run.source.fingerprint))
    is_moved = has_rows and has_moved(run.warehouse, run.name)
    is_counted_once = has_rows and once_counted(run.warehouse, run.name) > 0
    if is_changed or is_moved or is_counted_once:
        run.warehouse.commit(run.run_id, [*outdated, Delete("encodings", run.name)])
    if not run.warehouse.has_table(raw_table(run.name)):
        return ""
    rebuilding = outdated if run.source.encoded_columns and not (is_changed or is_moved or is_counted_once) else []
    is_learnt = encoding.learn_categories(run, closed_end(run), rebuilding)
    if is_moved and not is_changed:
        return "its times were read in another zone"
    if is_counted_once and not is_changed:
        return "equal rows count each by itself now"
    return "the configuration changed" if is_changed else "its categories are known now" if is_learnt and rebuilding else ""


def closed_end(run: SourceRun) -> pd.Timestamp:
    """The end of the newest bucket that is closed and settled at the run's clock."""
    bucket, calendar = run.source.time_bucket, run.source.calendar
    return TimeGrid(bucket.every, calendar).step(cleaning.last_closed(run.now, bucket, calendar), 1)


@dataclass(frozen=True)
class _Axis:
    """The buckets that a source has: from the first with rows to `until`; behind the last with rows only those of `tail`."""

    first: pd.Timestamp
    until: pd.Timestamp
    tail: Tail


def _axis(run: SourceRun, arrived: SourceArrivals) -> _Axis | None:
    """How far the buckets of the source go; None when it has no rows. Where time goes on without rows (zeros, and what a rule
    `missing` looks at), up to the front: rows that are late by nature are not missing yet."""
    plan = arrived.plan
    if not run.warehouse.has_table(raw_table(run.name)) or (extent := buckets.extent(run.warehouse, run.name, plan)) is None:
        return None
    first, newest = extent
    closed, rows_end = closed_end(run), plan.grid.step(newest, 1)
    missing = [rule for rule in run.source.all_rules if isinstance(rule, rules.MissingRule)]
    zero = {name for name, treatment in run.source.treatments.items() if treatment.without_rows == "zero"}
    tail = Tail(rows_end, None if any(rule.metric is None for rule in missing) else frozenset({*zero, *(str(r.metric) for r in missing)}))
    until = min(closed, rows_end)
    if (tail.metrics is None or tail.metrics) and arrived.is_watched:
        until = max(until, min(closed, arrived.front, rows_end + LONGEST_TAIL))
    return _Axis(first, until, tail)


def next_close(run: SourceRun) -> datetime:
    """When the next bucket is closed and settled."""
    grid = TimeGrid(run.source.time_bucket.every, run.source.calendar)
    return (grid.step(closed_end(run), 1) + run.source.time_bucket.settle_time).to_pydatetime()


def axis_grows_at(run: SourceRun, arrived: SourceArrivals) -> datetime | None:
    """When the source has another bucket though no row comes; None when the clock alone brings none, as long as rows are as late as now."""
    axis = _axis(run, arrived)
    if axis is None:
        return None
    if axis.tail.since > closed_end(run):
        return next_close(run)
    is_going_on = (axis.tail.metrics is None or bool(axis.tail.metrics)) and arrived.is_watched
    if not is_going_on or axis.until >= axis.tail.since + LONGEST_TAIL:
        return None
    return (arrived.plan.grid.step(axis.until, 1) + run.source.time_bucket.settle_time + arrived.delay).to_pydatetime()


class _Planned(NamedTuple):
    """What is to be cleaned: the windows of each commit, which series there are in them, and what remedies let stand. `over` are windows
    before the first row and behind the last, whose buckets go with the rows that they had."""

    commits: list[list[Window]]
    lives: Lifetimes
    repairs: Sequence[RecordedRepair]
    over: Sequence[Window] = ()


def _planned(run: SourceRun, known: pd.DataFrame, axis: _Axis) -> _Planned:
    """The windows of each commit: what late rows touched goes with the first window of what is new, since one commit answers
    all that was pending; a history that is too long for memory goes on window by window, from the watermark if it is cut off."""
    plan = bucket_plan(run)
    grid, until = plan.grid, axis.until
    watermark = run.warehouse.read(  # of the metric that ends first: behind the last row some have no buckets
        "SELECT min(newest) AS at FROM (SELECT max(observed_at) AS newest FROM clean_series WHERE source = ? GROUP BY metric)", [run.name]
    )["at"].iloc[0]
    late: list[Window] = []
    if run.since is not None:
        since, until = grid.floor(run.since), min(until, pd.Timestamp(run.until)) if run.until else until
    elif pd.isna(watermark):
        since = axis.first
    else:
        since = grid.step(watermark, 1 - cleaning.reach(run.source.time_bucket))  # a value may have arrived that closes a gap
        late = [(grid.floor(start), end) for start, end in run.warehouse.pending(run.name, "clean_series", [raw_table(run.name)])]
    kept_from = unpruned_from(run, grid)
    earliest = axis.first if kept_from is None else max(axis.first, kept_from)
    since = max(since, earliest)
    reach = cleaning.past(run.source.time_bucket, run.source.treatments) + cleaning.reach(run.source.time_bucket)
    lives = _lifetimes(run, plan, grid.step(min([since, *(start for start, _ in late)]), -reach), axis.until)
    stretches = without(lives.breaks, since, until)
    pieces = [piece for stretch in stretches for piece in buckets.windows(plan, *stretch, lives.series_count)]
    repairs = _recorded_repairs(run, grid)
    if not late:
        return _Planned([[piece] for piece in pieces], lives, repairs)
    fresh, *more = pieces or [(since, since)]
    touched = [(max(start, earliest), end) for start, end in (_affected(run, *window, until, known, lives) for window in late)]
    first = merged([fresh, *((start, min(end, fresh[1])) for start, end in _with_repairs(touched, repairs, grid))])
    first = [piece for window in first for piece in without(lives.breaks, *window)]
    return _Planned([first, *([piece] for piece in more)], lives, repairs, list(_over(run, late, axis, kept_from)))


def _over(run: SourceRun, late: Sequence[Window], axis: _Axis, kept_from: pd.Timestamp | None) -> Iterator[Window]:
    """Where buckets stand though no row is left from there on, since the last rows went, or the first."""
    grid = bucket_plan(run).grid
    first, end = min(start for start, _ in late), min(closed_end(run), grid.step(max(end for _, end in late), 1))
    standing = "SELECT 1 AS one FROM clean_series WHERE source = ? AND observed_at >= ? AND observed_at < ? LIMIT 1"
    for since, until in ((first if kept_from is None else max(first, kept_from), axis.first), (axis.until, end)):
        if since < until and run.warehouse.read(standing, [run.name, since, until]).size:
            yield since, until


def _recorded_repairs(run: SourceRun, grid: TimeGrid) -> list[RecordedRepair]:
    """The remedies that stand in gaps of the source, those that came first before others."""
    rows = run.warehouse.read(REPAIRS, [run.name])
    return [
        RecordedRepair(
            row["repair"],
            *_numbers(grid, (row["from_at"], row["to_at"])),
            row["series"] or None,
            None if pd.isna(row["asked_from"]) else _numbers(grid, (row["asked_from"], row["asked_to"])),
        )
        for row in rows.to_dict("records")
    ]


def _numbers(grid: TimeGrid, window: Window) -> tuple[int, int]:
    """The numbers of the buckets in which a window begins and ends."""
    first, last = grid.number([pd.Timestamp(at) for at in window])
    return int(first), int(last)


def _with_repairs(windows: Sequence[Window], repairs: Sequence[RecordedRepair], grid: TimeGrid) -> Iterator[Window]:
    """The windows, each as far as remedies reach that depend on a bucket of it."""
    for since, until in windows:
        yield since, until
        first, last = _numbers(grid, (since, until))
        for each in repairs:
            if each.since - 1 <= last and each.until >= first:
                start, end = grid.start(np.array([each.since, each.until]))
                yield start, end


def unpruned_from(run: SourceRun, grid: TimeGrid) -> pd.Timestamp | None:
    """The first bucket none of whose raw rows were pruned: what was made of those before it stands, since it cannot be made again. None
    where nothing was pruned."""
    pruned_to = run.warehouse.read(PRUNED_TO, [run.name, raw_table(run.name)])["pruned_to"].iloc[0]
    if pd.isna(pruned_to):
        return None
    start = grid.floor(pruned_to)
    return start if start == pruned_to else grid.step(start, 1)


def _lifetimes(run: SourceRun, plan: buckets.BucketPlan, since: datetime, until: datetime) -> Lifetimes:
    """Which series there are in [since, until); `SourceError` when there are more than may be."""
    bucket, most = run.source.time_bucket, run.source.max_series
    waiting = Waiting.of(bucket.every, cleaning.reach(bucket) - 1, run.source.retire_after)
    lives = lifetimes(run.warehouse, run.name, plan, waiting, Silence.of(bucket.every), since, until)
    if lives.series_count > most:
        names = ", ".join(
            dict.fromkeys(name for metric in plan.metrics for name in metric.dimensions or plan.dimensions) or plan.dimensions
        )
        raise SourceError(
            f"its rows make {lives.series_count:,} series at a time, more than max_series: {most:,}",
            source=run.name,
            where=run.source.where("dimensions"),
            remedy=f"Each value of {names} makes series of its own: take out of `dimensions` what names single things, such as an order or "
            "a user, or raise max_series.",
        )
    return lives


def _affected(run: SourceRun, start: datetime, end: datetime, until: datetime, known: pd.DataFrame, lives: Lifetimes) -> Window:
    """The buckets whose cleaned rows may differ because raw rows of [start, end) came, changed or went."""
    plan, bucket, calendar = bucket_plan(run), run.source.time_bucket, run.source.calendar
    start, end = plan.grid.floor(start), min(plan.grid.step(end, 1), pd.Timestamp(until))
    if start >= end:
        return start, start
    touched = buckets.aggregate(run.warehouse, run.name, plan, start, end)
    since, last = cleaning.affected(
        touched, start, end, bucket=bucket, calendar=calendar, horizon=until, known=known, treatments=run.source.treatments
    )
    return since, pd.Timestamp(until) if lives.has_pauses else last  # what was over may not be any more, and the other way round


def _clean_window(
    run: SourceRun, window: Window, known: pd.DataFrame, tail: Tail, planned: "_Planned"
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Rows of clean_series in the window, those of them that are new or differ from what stands, and the times of those that go."""
    source, plan = run.source, bucket_plan(run)
    grid, past, reach = plan.grid, cleaning.past(source.time_bucket, source.treatments), cleaning.reach(source.time_bucket)
    closed, (since, until) = closed_end(run), _as_far_as_repairs(window, planned.repairs, grid)
    with run.warehouse.reading():
        seen = buckets.aggregate(run.warehouse, run.name, plan, grid.step(since, -past), min(grid.step(until, reach), closed))
        before = run.warehouse.read(
            "SELECT series, observed_at, value, value_raw, repair FROM clean_series "
            "WHERE source = ? AND observed_at >= ? AND observed_at < ?",
            [run.name, *window],
        )
        held = buckets.held(run.warehouse, run.name, plan, *window)
    after = cleaning.clean(
        seen,
        bucket=source.time_bucket,
        calendar=source.calendar,
        since=since,
        until=until,
        known=known,
        treatments=source.treatments,
        tail=tail,
        absences=planned.lives.absences,
        held=held,
        repairs=planned.repairs,
    )
    after = rows_in(after, window).reset_index(drop=True)
    return after, cleaning.changes(before, after), cleaning.gone(before, after)


def _as_far_as_repairs(window: Window, repairs: Sequence[RecordedRepair], grid: TimeGrid) -> Window:
    """The window and all of each remedy that reaches into it, so that a gap has the same values wherever a window is cut."""
    first, last = _numbers(grid, window)
    inside = [each for each in repairs if each.since < last and each.until > first]
    if not inside:
        return window
    start, end = grid.start(np.array([min(first, *(each.since for each in inside)), max(last, *(each.until for each in inside))]))
    return start, end


def _newest(run: SourceRun) -> pd.Timestamp:
    """The start of the newest clean bucket; NaT when there is none."""
    return run.warehouse.read("SELECT max(observed_at) AS at FROM clean_series WHERE source = ?", [run.name])["at"].iloc[0]


def bucket_plan(run: SourceRun) -> buckets.BucketPlan:
    """How the rows of the source become buckets."""
    source = run.source
    return buckets.BucketPlan(
        time_column=source.time_column,
        every=source.time_bucket.every,
        metrics=source.metric_columns,
        dimensions=source.dimensions,
        calendar=source.calendar,
        categories=tuple(source.encode),
        encoded=encoding.encoded_sql(run),
    )


def _with_new_series(known: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return known
    firsts = rows.sort_values("observed_at").drop_duplicates("series").rename(columns={"observed_at": "first_at"})
    both = (
        pd.concat([known, firsts[["series", "metric", "dimensions", "first_at"]]], ignore_index=True)
        if len(known)
        else firsts[["series", "metric", "dimensions", "first_at"]]
    )
    return both.sort_values("first_at").drop_duplicates("series").reset_index(drop=True)


def _spells(times: pd.Series, grid: TimeGrid) -> list[Window]:
    """Windows that cover the changed buckets and nothing between them that stayed: a score once given stands."""
    numbers = np.unique(grid.number(times))
    intervals = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1) if len(numbers) else []
    return [(grid.start(interval[:1])[0], grid.start(interval[-1:] + 1)[0]) for interval in intervals]


def series_features(run: SourceRun) -> Made:
    """Features of the rows that are new or changed, of the metrics that detectors read them of, as far back as training looks; none
    looks ahead, so older rows stand as they are. What nobody reads goes where rows have changed, since it would be out of date; what has
    fallen out of the training window goes too: `features_of` computes both again where somebody asks for it."""
    run.report("series_features")
    row_count = 0
    with run.warehouse.reading():
        pending = pending_windows(run, "series_features", ["clean_series"])
        if not pending:
            return Made(0, len(features.FEATURES), table_rows(run, "series_features"))
    metrics = _featured_metrics(run)
    kept_from = _newest(run) + run.source.time_bucket.every - run.source.training.window
    wanted = split(pending, kept_from)[1]
    if wanted and not metrics:
        out_of_date = [Replace("series_features", run.name, pd.DataFrame(), *window, is_empty_allowed=True) for window in wanted]
        run.warehouse.commit(run.run_id, out_of_date)
    for batch, rest in batches(run, wanted if metrics else []):
        made = [(window, features_of(run, *window, metrics)) for window in batch]
        run.warehouse.commit(
            run.run_id,
            [
                *(Replace("series_features", run.name, rows, *window, is_empty_allowed=True) for window, rows in made),
                *leave_pending(run, "series_features", rest),
            ],
        )
        row_count += sum(len(rows) for _, rows in made)
    oldest = run.warehouse.read("SELECT least(min(observed_at), ?) AS at FROM series_features WHERE source = ?", [pending[0][0], run.name])[
        "at"
    ].iloc[0]
    if oldest < kept_from:
        run.warehouse.commit(run.run_id, [Replace("series_features", run.name, pd.DataFrame(), oldest, kept_from, is_empty_allowed=True)])
    return Made(row_count, len(features.FEATURES), table_rows(run, "series_features"))


def _featured_metrics(run: SourceRun) -> tuple[str, ...]:
    """The metrics whose features are stored."""
    groups = metric_groups(run)
    if run.source.keep_features == "all":
        return tuple(metric for group in groups for metric in group.metrics)
    return featured_metrics(groups)


def features_of(run: SourceRun, since: datetime, until: datetime, metrics: Collection[str]) -> pd.DataFrame:
    """Features of the clean rows of these metrics in [since, until)."""
    step = run.source.time_bucket.every
    rows = clean_rows(run, since - features.lookback(step), until)
    rows = rows[rows["metric"].isin(metrics)]
    made = features.compute(rows[["series", "observed_at", "value"]], step=step, calendar=run.source.calendar)
    return rows_in(made, (since, until))


def rule_violations(run: SourceRun) -> Judged:
    """What the rules say of the rows that are new or changed."""
    run.report("rule_violations")
    count, newest = 0, rules.no_violations()
    with run.warehouse.reading():
        pending = pending_windows(run, "rule_violations", ["clean_series"])
        if not pending:
            return Judged(0, newest, table_rows(run, "rule_violations"))
    for batch, rest in batches(run, pending):
        writes: list[Write] = [*leave_pending(run, "rule_violations", rest)]
        for window in batch:
            violations = _violations(run, *window)
            writes.append(Replace("rule_violations", run.name, violations, *window, is_empty_allowed=True))
            count, newest = count + len(violations), pd.concat([newest, violations], ignore_index=True).tail(SHOWN)
        run.warehouse.commit(run.run_id, writes)
    return Judged(count, newest, table_rows(run, "rule_violations"))


def _violations(run: SourceRun, since: datetime, until: datetime) -> pd.DataFrame:
    stated, step = run.source.all_rules, run.source.time_bucket.every
    if not stated:
        return rules.no_violations()
    rows = series_rows(run, "clean_series", "observed_at, value, repair", since - rules.lookback(stated, step), until)
    return rows_in(rules.evaluate(stated, rows, step=step, since=since), (since, until))


def observed_rows(run: SourceRun, since: datetime, until: datetime, series: Sequence[str] | None = None) -> pd.DataFrame:
    """What `clean_rows` gives, of these series or all, in order of series and time; series, metric and dimensions (JSON text) are
    categorical, so that they cost little in a million rows."""
    chosen, bound = "FROM clean_series WHERE source = ? AND observed_at >= ? AND observed_at < ?", [run.name, since, until]
    if series is not None:
        chosen, bound = f"{chosen} AND series IN (SELECT unnest(?))", [*bound, list(series)]
    with run.warehouse.reading():
        names = run.warehouse.read(
            "SELECT series, any_value(metric) AS metric, CAST(CAST(any_value(dimensions) AS JSON) AS VARCHAR) AS dimensions "
            f"{chosen} GROUP BY series ORDER BY series",
            bound,
        )
        rows = run.warehouse.read(
            "WITH places AS (SELECT unnest(?) AS series, unnest(range(?)) AS place) "
            "SELECT CAST(place AS INTEGER) AS place, observed_at, "
            f"CASE WHEN repair IN {cleaning.UNOBSERVED} THEN NULL ELSE value END AS value "
            f"{chosen.replace('WHERE', 'JOIN places USING (series) WHERE')} ORDER BY place, observed_at",
            [names["series"].tolist(), len(names), *bound],
        )
    place = rows.pop("place").to_numpy()
    named = {name: pd.Categorical(names[name]) for name in ("metric", "dimensions")}
    columns = {name: pd.Categorical.from_codes(each.codes[place], categories=each.categories) for name, each in named.items()}
    return rows.assign(series=pd.Categorical.from_codes(place, categories=pd.Index(names["series"])), **columns)


def clean_rows(run: SourceRun, since: datetime, until: datetime) -> pd.DataFrame:
    """Clean rows of the source with NaN where nothing was observed: what detectors see."""
    rows = series_rows(run, "clean_series", "observed_at, value, repair", since, until)
    return rows.assign(value=rows["value"].mask(rows["repair"].isin(cleaning.UNOBSERVED)))
