"""Training rows: which of a source's clean rows models may learn from.

Not those that are still to be scored, not what lies before an accepted baseline, and nothing strange: windows of incidents that
are not over, and anomalies, unless these are so many that the detectors were wrong about what is normal. Where a person has judged an
incident, that counts.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.aggregation import buckets
from smartflow_assets.adapters.warehouse.going_on import GOING_ON
from smartflow_assets.core.detection import MetricGroup, minimum_rows
from smartflow_assets.core.preparation.cleaning import UNOBSERVED
from smartflow_assets.core.series.learning_policy import LEARN_SHARE, without_flagged
from smartflow_assets.stages import contracts, drift
from smartflow_assets.stages.feedback_effects import judged_times
from smartflow_assets.stages.preparation import bucket_plan, clean_rows
from smartflow_assets.stages.run import SourceRun

OF_ROWS_LET_THROUGH = (contracts.COLUMNS_CHECK, contracts.VALUES_CHECK, contracts.ROW_COUNTS_CHECK, drift.CHECK)
"""Checks that say nothing against learning from the rows that are there."""
SLACK = 1.25  # a few missing rows must not keep a source from its first model

YEARS = timedelta(days=4 * 366)
"""So far back holidays and events are looked at: three of each that have full weeks around them, or four."""
BLOCKS = (timedelta(hours=1), timedelta(hours=3), timedelta(hours=6), timedelta(days=1))
MOST_ROWS = 4_000_000
"""Of the blocks of all series that this may read; they take some seconds and half a gigabyte."""


@dataclass(frozen=True)
class Learnable:
    """Rows with NaN where nothing may be learnt; `calm`: the same, but with their anomalies, of which a budget of false alarms is
    learnt; `is_first`: nothing was scored before, so these rows will be warming up."""

    rows: pd.DataFrame
    calm: pd.DataFrame
    is_first: bool


def learnable_rows(run: SourceRun, group: MetricGroup, baseline: datetime | None, *, is_accepting: bool) -> Learnable | None:
    """Clean rows that may be learnt from; None when they are too few.

    First: the first third of what is there, at least the minimum of rows with a value. Later: the training window up to the newest scored
    row. Never from before the baseline. `is_accepting`: a person has just said that the baseline is normal, so incidents do not count.
    """
    step, training = run.source.time_bucket.every, run.source.training
    extent = run.warehouse.read(
        "SELECT min(observed_at) AS first_at, max(observed_at) AS last_at, "
        "(SELECT max(observed_at) FROM anomaly_scores WHERE source = ? AND state = 'scored') AS scored_at "
        "FROM clean_series WHERE source = ? AND list_contains(?, metric)",
        [run.name, run.name, list(group.metrics)],
    ).iloc[0]
    if pd.isna(extent["first_at"]):
        return None
    least = minimum_rows(group.settings, step)
    first_at = extent["first_at"] if baseline is None else max(extent["first_at"], pd.Timestamp(baseline))
    is_first = bool(pd.isna(extent["scored_at"]))
    if is_first:
        share = (extent["last_at"] + step - first_at) * LEARN_SHARE
        until = min(first_at + max(share, SLACK * least * step), extent["last_at"] + step)
    else:
        until = min(extent["scored_at"] + step, _rows_end(run))
    rows = group.rows(clean_rows(run, max(first_at, until - training.window), until))
    if rows.empty:
        return None
    judged = _judged(run, baseline, until)
    calm = rows if is_accepting else _without_incidents(run, rows)
    calm = calm.assign(value=rows["value"].where(_within(rows, judged[judged["is_normal"]]), calm["value"]))
    calm = calm.assign(value=calm["value"].mask(_within(rows, judged[~judged["is_normal"]])))
    rows = _without_anomalies(run, calm, judged[judged["is_normal"]])
    if is_first and _most_values(rows) < least:  # a third of a feed with holes may be too little, while there is enough of it
        rows = calm = _until_values(group.rows(clean_rows(run, first_at, extent["last_at"] + step)), least)
    return None if _most_values(rows) < least else Learnable(rows, calm, is_first)


def _most_values(rows: pd.DataFrame) -> int:
    """Rows with a value of the series that has the most."""
    counts = rows.dropna(subset="value").groupby("series").size()
    return 0 if counts.empty else int(counts.max())


def _until_values(rows: pd.DataFrame, least: int) -> pd.DataFrame:
    """The rows up to where the first series has so many values; none where no series has."""
    filled = rows.dropna(subset="value").sort_values("observed_at")
    reached = filled.loc[filled.groupby("series").cumcount() == least - 1, "observed_at"].min()
    return rows[rows["observed_at"] <= reached] if pd.notna(reached) else rows.iloc[:0]


def calendar_rows(run: SourceRun, group: MetricGroup, until: datetime) -> pd.DataFrame | None:
    """What a training may learn of holidays and events from (series, observed_at, value): the last four years up to `until`, hour by hour
    where buckets are shorter; None where the calendar names no such days.

    Not bound by the training window or an accepted baseline: what such a day does is a share of the level around it, which it outlives.
    Anomalies stay, since a holiday that nobody expected is one. Of many series hours are joined, and then fewer years are seen.
    """
    step, calendar = run.source.time_bucket.every, run.source.calendar
    if not calendar.has_special_days:
        return None
    count = run.warehouse.read(
        "SELECT count(DISTINCT series) AS n FROM clean_series WHERE source = ? AND list_contains(?, metric)",
        [run.name, list(group.metrics)],
    )["n"].iloc[0]
    width = max(step, next((width for width in BLOCKS if int(count) * (YEARS / width) <= MOST_ROWS), BLOCKS[-1]))
    since = until - min(YEARS, MOST_ROWS // max(int(count), 1) * width)
    if width == step:
        return _without_incidents(run, group.rows(clean_rows(run, since, until)))
    shift = (calendar.local([pd.Timestamp(until)])[0].utcoffset() or timedelta(0)) % width  # blocks begin at whole local hours
    rows = run.warehouse.read(
        "SELECT series, (epoch_us(observed_at) + ?) // ? AS block, avg(value) AS value FROM clean_series WHERE source = ? "
        f"AND list_contains(?, metric) AND repair NOT IN {UNOBSERVED} AND observed_at >= ? AND observed_at < ? "
        "GROUP BY ALL ORDER BY series, block",
        [_microseconds(shift), _microseconds(width), run.name, list(group.metrics), since, until],
    )
    middle = rows.pop("block").to_numpy("int64") * _microseconds(width) + _microseconds(width / 2 - shift)
    rows["observed_at"] = pd.DatetimeIndex(middle.astype("datetime64[us]"), tz="UTC")  # on the right day whatever the clock does
    return _without_incidents(run, rows)


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def _rows_end(run: SourceRun) -> pd.Timestamp:
    """The end of the newest bucket with rows: zeros behind it say that the source is silent, not what it measures."""
    plan = bucket_plan(run)
    extent = buckets.extent(run.warehouse, run.name, plan)
    return pd.Timestamp.max.tz_localize("UTC") if extent is None else plan.grid.step(extent[1], 1)


def _judged(run: SourceRun, baseline: datetime | None, until: datetime) -> pd.DataFrame:
    """What people have judged, but for what began before an accepted baseline, which says more; what goes on is as long as the rows."""
    times = judged_times(run)
    times = times if baseline is None else times[times["started_at"] >= pd.Timestamp(baseline)]
    return times.assign(ended_at=times["ended_at"].fillna(pd.Timestamp(until)), is_normal=times["is_normal"].astype(bool))


def _without_anomalies(run: SourceRun, rows: pd.DataFrame, false_alarms: pd.DataFrame) -> pd.DataFrame:
    """The rows with NaN inside anomalies, which are not what is normal, but for false alarms; a series with too many of them keeps them."""
    intervals = run.warehouse.read(
        "SELECT series, started_at, ended_at FROM anomalies WHERE source = ? AND ended_at > ?", [run.name, rows["observed_at"].min()]
    )
    is_flagged = _within(rows, intervals) & ~_within(rows, false_alarms)
    return rows.assign(value=without_flagged(rows["value"], is_flagged, rows["series"]))


def _without_incidents(run: SourceRun, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with NaN from the start of each incident on whose matter goes on, whatever people have said of it (taken on, snoozed or
    resolved by hand, the rows are wrong all the same), until its own series has recovered where others have not: a matter of the data (a
    step that failed says nothing of them, nor does what contracts and drift say: rows that are too bad to learn from are blocked), of one
    series or of all; and inside each silence of the source, which says what a feed does and not what it measures. However long it lasts:
    whoever finds it normal says so with a new baseline."""
    end = rows["observed_at"].max() + run.source.time_bucket.every
    intervals = run.warehouse.read(
        "SELECT nullif(series, '') AS series, opened_at AS started_at, CASE cause WHEN 'freshness' THEN "
        "coalesce(recovered_at, CASE WHEN resolved_by IS NULL THEN resolved_at END, ?) "
        "ELSE coalesce(recovered_at, ?) END AS ended_at FROM incidents WHERE source = ? AND (cause = 'freshness' OR "
        f"{GOING_ON} AND (cause = 'anomaly' OR starts_with(cause, 'check:') AND NOT list_contains(?, cause)))",
        [end, end, run.name, [f"check:{name}" for name in OF_ROWS_LET_THROUGH]],
    )
    return rows.assign(value=rows["value"].mask(_within(rows, intervals)))


def _within(rows: pd.DataFrame, intervals: pd.DataFrame) -> pd.Series:
    """Whether each row lies in one of the intervals of its series, or of all series."""
    found = pd.Series(False, index=rows.index)
    for interval in intervals.itertuples(index=False):
        own = rows["series"] == interval.series if isinstance(interval.series, str) else True
        found |= own & (rows["observed_at"] >= interval.started_at) & (rows["observed_at"] < interval.ended_at)
    return found
