"""Preparation: raw rows to closed buckets on a regular grid, what models see of them, and what the rules say of them.

Cleaning is a function of the raw rows alone: only buckets that differ from what stands are written, so a re-run writes
nothing and a late row touches its own bucket (and a gap that it makes fillable). What is written here tells the stages below
which windows to look at again.
"""
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from smartflow_assets.adapters import buckets
from smartflow_assets.adapters.tables import raw_table
from smartflow_assets.adapters.writes import Delete, Replace, Write
from smartflow_assets.config.plan import changes_between, made_under
from smartflow_assets.core import cleaning, features, rules
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.windows import Window, merged, pending_windows, table_rows, within

MADE_FROM_RAW = ("clean_series", "series_features", "rule_violations", "anomaly_scores", "detector_scores", "anomalies")
CLEAN = "SELECT series, metric, dimensions, observed_at, value, repair FROM clean_series WHERE source = ? AND observed_at >= ? AND observed_at < ?"


@dataclass(frozen=True)
class Cleaned:
    """What `clean_series` did; lag is the clock minus the end of the newest bucket."""

    row_count: int
    missing_count: int
    filled_count: int
    series_count: int
    lag_seconds: float | None
    is_rebuilt: bool
    table_rows: int

    def __str__(self) -> str:
        rebuilt = "; rebuilt from raw records, because the configuration changed" if self.is_rebuilt else ""
        return f"{self.row_count} buckets of {self.series_count} series are new or changed, {self.missing_count} of them missing, " \
               f"{self.filled_count} filled{rebuilt}"


@dataclass(frozen=True)
class Made:
    """Rows of series_features that were written."""

    row_count: int
    feature_count: int
    table_rows: int


@dataclass(frozen=True)
class Judged:
    """Violations found in the windows that were new or changed."""

    rows: pd.DataFrame
    table_rows: int


def clean_series(run: SourceRun) -> Cleaned:
    """Bring clean_series up to the last bucket that is closed and settled at the run's clock."""
    run.report("clean_series")
    is_rebuilt = _drop_outdated(run)
    written: list[pd.DataFrame] = []
    known = buckets.known_series(run.warehouse, run.name)
    for windows in _windows_to_clean(run, known):
        writes: list[Write] = []
        for window in windows:
            rows = _clean_window(run, window, known)
            known = _with_new_series(known, rows)
            written.append(rows[["series", "repair"]])
            writes += [
                Replace("clean_series", run.name, within(rows, spell), *spell, fingerprint=run.source.fingerprint)
                for spell in _spells(rows, run.source.time_bucket.every)
            ]
        if writes:
            run.warehouse.commit(run.run_id, writes)
    rows = pd.concat(written) if written else pd.DataFrame({"series": [], "repair": []})
    newest = run.warehouse.read("SELECT max(observed_at) AS newest FROM clean_series WHERE source = ?", [run.name])["newest"].iloc[0]
    lag = None if pd.isna(newest) else (run.now - newest - run.source.time_bucket.every).total_seconds()
    return Cleaned(len(rows), int((rows["repair"] == "missing").sum()), int((rows["repair"] == "filled").sum()), len(known), lag, is_rebuilt,
                   table_rows(run, "clean_series"))


def _drop_outdated(run: SourceRun) -> bool:
    """Delete what was made under another bucket, aggregation, metric or dimension; raw records stay and are worked on anew."""
    stored = made_under(run.warehouse, run.name)
    if stored is None or not changes_between(stored, run.source.fingerprint) or table_rows(run, "clean_series") == 0:
        return False
    run.warehouse.commit(run.run_id, [Delete(table, run.name) for table in MADE_FROM_RAW])
    return True


def _windows_to_clean(run: SourceRun, known: pd.DataFrame) -> list[list[Window]]:
    """The windows of each commit: what late rows touched goes with the first piece of what is new, since one commit settles
    all that was pending; a history that is too long for memory goes on piece by piece, from the watermark if it is cut off."""
    source, table = run.source, raw_table(run.name)
    if not run.warehouse.has_table(table):
        return []
    plan = _plan(run)
    extent = buckets.extent(run.warehouse, run.name, plan)
    if extent is None:
        return []
    grid, first_bucket, newest_bucket = plan.grid, *extent
    closed_end = grid.step(cleaning.last_closed(run.now, source.time_bucket, source.calendar), 1)
    until = closed_end if _watches_silence(run) else min(closed_end, grid.step(newest_bucket, 1))
    if run.since is not None:
        asked = grid.floor(run.since), min(until, pd.Timestamp(run.until)) if run.until else until
        return [[piece] for piece in buckets.windows(run.warehouse, run.name, plan, *asked)]
    watermark = run.warehouse.read("SELECT max(observed_at) AS newest FROM clean_series WHERE source = ?", [run.name])["newest"].iloc[0]
    if pd.isna(watermark):
        return [[piece] for piece in buckets.windows(run.warehouse, run.name, plan, first_bucket, until)]
    late = [_affected(run, start, end, until, known) for start, end in run.warehouse.pending(run.name, "clean_series", [table])]
    gap_before = grid.step(watermark, 1 - cleaning.reach(source.time_bucket))  # a value may have arrived that closes a gap
    fresh, *more = [*buckets.windows(run.warehouse, run.name, plan, gap_before, until)] or [(gap_before, gap_before)]
    return [merged([fresh, *((start, min(end, fresh[1])) for start, end in late)]), *([piece] for piece in more)]


def _affected(run: SourceRun, start: datetime, end: datetime, until: datetime, known: pd.DataFrame) -> Window:
    """The buckets whose cleaned rows may differ because raw rows of [start, end) came, changed or went."""
    plan, bucket, calendar = _plan(run), run.source.time_bucket, run.source.calendar
    start, end = plan.grid.floor(start), min(plan.grid.step(end, 1), pd.Timestamp(until))
    if start >= end:
        return start, start
    touched = buckets.aggregate(run.warehouse, run.name, plan, start, end)
    return cleaning.affected(touched, start, end, bucket=bucket, calendar=calendar, horizon=until, known=known)


def _watches_silence(run: SourceRun) -> bool:
    """A source with a `missing` rule has a bucket for every closed moment; else the silence of a whole source is freshness."""
    return any(rule.type == "missing" for rule in run.source.all_rules)


def _clean_window(run: SourceRun, window: Window, known: pd.DataFrame) -> pd.DataFrame:
    """Rows of clean_series in the window that are new or differ from what stands."""
    source, plan = run.source, _plan(run)
    grid, reach = plan.grid, cleaning.reach(source.time_bucket)
    closed_end = grid.step(cleaning.last_closed(run.now, source.time_bucket, source.calendar), 1)
    seen = buckets.aggregate(
        run.warehouse, run.name, plan, grid.step(window[0], -reach), min(grid.step(window[1], reach), closed_end))
    after = cleaning.clean(seen, bucket=source.time_bucket, calendar=source.calendar, since=window[0], until=window[1], known=known)
    before = run.warehouse.read(
        "SELECT series, observed_at, value, value_raw, repair FROM clean_series WHERE source = ? AND observed_at >= ? AND observed_at < ?",
        [run.name, *window])
    return cleaning.changes(before, after)


def _plan(run: SourceRun) -> buckets.BucketPlan:
    source = run.source
    return buckets.BucketPlan(
        time_column=source.time_column, every=source.time_bucket.every, metrics=source.metric_columns, dimensions=source.dimensions,
        calendar=source.calendar)


def _with_new_series(known: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return known
    firsts = rows.sort_values("observed_at").drop_duplicates("series").rename(columns={"observed_at": "first_at"})
    both = pd.concat([known, firsts[["series", "metric", "dimensions", "first_at"]]], ignore_index=True) if len(known) else \
        firsts[["series", "metric", "dimensions", "first_at"]]
    return both.sort_values("first_at").drop_duplicates("series").reset_index(drop=True)


def _spells(rows: pd.DataFrame, every: timedelta) -> list[Window]:
    """Windows that cover the changed buckets and nothing between them that stayed: a score once given stands."""
    slack = timedelta(hours=1) if every >= timedelta(days=1) else timedelta(0)  # a local day may have 25 hours
    times = rows["observed_at"].drop_duplicates().sort_values()
    return merged((start, start + every + slack) for start in times)


def series_features(run: SourceRun) -> Made:
    """Features of the rows that are new or changed; none looks ahead, so older rows stand as they are."""
    run.report("series_features")
    step = run.source.time_bucket.every
    writes: list[Write] = []
    for start, end in pending_windows(run, "series_features", ["clean_series"]):
        rows = run.warehouse.read(CLEAN, [run.name, start - features.lookback(step), end])
        seen = rows.assign(value=rows["value"].mask(rows["repair"].isin(["filled", "missing"])))
        made = features.compute(seen[["series", "observed_at", "value"]], step=step, calendar=run.source.calendar)
        writes.append(Replace("series_features", run.name, within(made, (start, end)), start, end, is_empty_allowed=True))
    if writes:
        run.warehouse.commit(run.run_id, writes)
    return Made(sum(len(write.frame) for write in writes if isinstance(write, Replace)), len(features.FEATURES), table_rows(run, "series_features"))


def rule_violations(run: SourceRun) -> Judged:
    """What the rules say of the rows that are new or changed."""
    run.report("rule_violations")
    step = run.source.time_bucket.every
    writes: list[Write] = []
    found = [rules.no_violations()]
    for start, end in pending_windows(run, "rule_violations", ["clean_series"]):
        rows = run.warehouse.read(CLEAN, [run.name, start - rules.lookback(run.source.all_rules, step), end])
        violations = within(rules.evaluate(run.source.all_rules, rows, step=step, since=start), (start, end))
        writes.append(Replace("rule_violations", run.name, violations, start, end, is_empty_allowed=True))
        found.append(violations)
    if writes:
        run.warehouse.commit(run.run_id, writes)
    return Judged(pd.concat(found, ignore_index=True), table_rows(run, "rule_violations"))


def clean_rows(run: SourceRun, since: datetime, until: datetime) -> pd.DataFrame:
    """Clean rows of the source with NaN where nothing was observed: what detectors see."""
    rows = run.warehouse.read(CLEAN, [run.name, since, until])
    return rows.assign(value=rows["value"].mask(rows["repair"].isin(["filled", "missing"])))
