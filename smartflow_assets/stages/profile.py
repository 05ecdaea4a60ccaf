"""The profile of a source: what its raw rows are like, bucket by bucket, and which figures are unusual.

A bucket is at least an hour long. It is due once the buckets of the source that lie in it are over, by the clock and by the rows: as
long as no later row has come, the last hour may be half of one. Rows that come late have their buckets counted and judged anew; a verdict
on a later bucket, once given, stands. The contract has no part in it: a load that it blocks is what a profile is to show.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from smartflow_assets.adapters.aggregation import profile_figures
from smartflow_assets.adapters.aggregation.buckets import BucketPlan
from smartflow_assets.adapters.aggregation.profile_figures import ProfiledColumn
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.writes import Delete, Replace, Write
from smartflow_assets.config.metric import ADDING_UP, COUNTING
from smartflow_assets.config.source import Source
from smartflow_assets.core.profiles import ProfileSettings
from smartflow_assets.core.profiles.figures import BESIDE, KINDS, SHARES, Figure, Measured
from smartflow_assets.core.profiles.judging import VERDICT_COLUMNS, Stretches, judge
from smartflow_assets.core.reports import series_plot
from smartflow_assets.core.series.series_id import PROFILE, ROW_COUNT
from smartflow_assets.core.temporal.notation import format_duration
from smartflow_assets.core.temporal.special_days import special_days
from smartflow_assets.core.temporal.time_grid import TimeGrid
from smartflow_assets.stages.moved_times import has_moved
from smartflow_assets.stages.preparation import closed_end, unpruned_from
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.schema_changes import column_history
from smartflow_assets.stages.windows import Window, batches, leave_pending, merged, pending_windows, rows_in, series_rows, split, table_rows

TABLE = "profile_series"
VOLUMES_CHECK, VALUES_CHECK = "volumes_are_usual", "values_are_usual"
"""The checks that show it: of the rows, and of what they hold."""
STANDS_FOR = timedelta(days=1)
"""So long a check is red for what is unusual."""
GONE_AFTER = timedelta(days=7)
"""A series without a bucket for so long, while others have some, is over: its column is gone."""
_PLOTTED = 200  # buckets
_AN_INSTANT = timedelta(microseconds=1)
_STATE = """
SELECT (SELECT arg_max(fingerprint, written_at) FROM writes WHERE source = $1 AND table_name = 'profile_series' AND fingerprint IS NOT NULL)
       AS made_under, min(observed_at) AS oldest_at, max(observed_at) AS newest_at
FROM profile_series WHERE source = $1 AND metric = 'row_count'
"""


_WITHOUT_CATEGORY = f"""
WITH named AS (
    SELECT series, any_value(metric) AS metric FROM {TABLE}
    WHERE source = $1 AND list_contains($2, series) AND starts_with(metric, 'category_share(') GROUP BY series
)
SELECT DISTINCT named.series, named.metric, other.observed_at
FROM named JOIN {TABLE} AS other ON other.metric = named.metric
WHERE other.source = $1 AND other.observed_at >= $3 AND other.observed_at < $4
AND NOT EXISTS (FROM {TABLE} AS own WHERE own.source = $1 AND own.series = named.series AND own.observed_at = other.observed_at)
"""


@dataclass(frozen=True)
class Profiled:
    """What `data_profile` did: figures written in this run, `unusual` what is unusual in the newest day (or bucket, if longer), the newest
    first; `left_out` says of which columns there are no figures or no categories."""

    figure_count: int
    unusual: pd.DataFrame
    newest_at: pd.Timestamp | None
    left_out: str
    summary: str
    table_rows: int


def data_profile(run: SourceRun) -> Profiled:
    """Count and judge the buckets that are over and were not counted yet, and those whose rows have changed."""
    run.report("data_profile")
    settings = run.source.profile_settings
    with run.warehouse.reading():
        if settings is None:
            _forget(run)
            return _profiled(run, 0, "", "profile is off")
        if not run.warehouse.has_table(raw_table(run.name)) or not run.source.is_bucket_given:
            return _profiled(run, 0, "", "there are no rows yet")
        due = _Due.of(run)
        if not (due.windows or due.gone or due.is_outdated):
            return _profiled(run, 0, "", "no bucket is over that was not counted yet")
    profiling = _Profiling(run, settings, due)
    profiling.go()
    with run.warehouse.reading():
        said = f"{profiling.figure_count:,} figures of buckets of {format_duration(run.source.profile_bucket)}"
        return _profiled(run, profiling.figure_count, profiling.left_out, said)


@dataclass(frozen=True)
class _Due:
    """What there is to do: `windows` to be counted, `later` those that are not over, `gone` those that have no rows any more; the source's
    `first` bucket, and how the profile stands."""

    windows: list[Window]
    later: list[Window]
    gone: list[Window]
    first: pd.Timestamp
    oldest_at: pd.Timestamp | None
    is_outdated: bool

    @classmethod
    def of(cls, run: SourceRun) -> "_Due":
        """Of a source that has rows."""
        grid, own = profile_grid(run.source), TimeGrid(run.source.time_bucket.every, run.source.calendar)
        state = run.warehouse.read(_STATE, [run.name]).iloc[0]
        oldest_at, newest_at = (None if pd.isna(state[name]) else state[name] for name in ("oldest_at", "newest_at"))
        pending = pending_windows(run, TABLE, [raw_table(run.name)])
        is_outdated = oldest_at is not None and (
            state["made_under"] != _fingerprint(run.source) or (bool(pending) and has_moved(run.warehouse, run.name, TABLE))
        )
        extent = profile_figures.extent(run.warehouse, run.name, run.source.time_column)
        if extent is None:
            gone: list[Window] = [(oldest_at, grid.step(newest_at, 1))] if oldest_at is not None and newest_at is not None else []
            return cls([], [], gone, pd.Timestamp(run.now), oldest_at, is_outdated=False)
        if is_outdated:
            oldest_at = newest_at = None
        first, rows_end = grid.floor(extent[0]), own.step(extent[1], 1)
        until = grid.floor(min(closed_end(run), rows_end))
        touched = [(grid.floor(start), grid.step(end - _AN_INSTANT, 1)) for start, end in pending]
        if oldest_at is None or newest_at is None:
            touched, gone = [(first, until)], []
        else:
            touched += [(grid.step(newest_at, 1), until), (first, oldest_at)]
            behind = grid.step(extent[1], 1)
            gone = merged([(oldest_at, min(first, grid.step(newest_at, 1))), (max(behind, oldest_at), grid.step(newest_at, 1))])
        whole_from = unpruned_from(run, grid)
        since = first if whole_from is None else max(first, whole_from)
        due, later = split(merged(touched), until)
        return cls(split(due, since)[1], later, gone, first, oldest_at, is_outdated)


class _Profiling:
    """One run's counting and judging, batch by batch in the order of time."""

    def __init__(self, run: SourceRun, settings: ProfileSettings, due: _Due) -> None:
        self._run, self._settings, self._due = run, settings, due
        self._grid = profile_grid(run.source)
        self._stretches = Stretches(self._grid)
        with run.warehouse.reading():
            known = _profiled_columns(run)
            if due.is_outdated:
                run.warehouse.commit(run.run_id, [Delete(TABLE, run.name)])
            begun = run.warehouse.read(
                f"SELECT metric, min(observed_at) AS at FROM {TABLE} "
                "WHERE source = ? AND starts_with(metric, 'null_share(') GROUP BY metric",
                [run.name],
            )
        self._columns, cut = known[: settings.columns], known[settings.columns :]
        self._begun = {Figure.of(str(metric)).column: at for metric, at in zip(begun["metric"], begun["at"], strict=True)}
        self._measured = measured(run.source, known)
        self._cut, self._many = [column.name for column in cut], set[str]()
        self.figure_count = 0

    @property
    def left_out(self) -> str:
        """What the budget has cut."""
        said: list[str] = []
        if self._cut:
            said.append(
                f"{len(self._cut)} of {len(self._cut) + len(self._columns)} columns are not profiled ({_names(self._cut)}): "
                f"`profile: {{columns: {len(self._cut) + len(self._columns)}}}` takes them in"
            )
        if self._many:
            most = self._settings.categories
            said.append(
                f"categories are judged only in buckets with at most {most} of them, where a column has at most {2 * most} in all: "
                f"{_names(sorted(self._many))} may have more"
            )
        return "; ".join(said)

    def go(self) -> None:
        """Work through all that is due."""
        run, left = self._run, self._due.windows
        for window in self._due.gone:
            nothing = Replace(TABLE, run.name, pd.DataFrame(), *window, is_empty_allowed=True)
            run.warehouse.commit(run.run_id, [nothing, *leave_pending(run, TABLE, [*left, *self._due.later])])
        while left:
            batch, left = next(batches(run, left, 3 + 8 * len(self._columns), self._grid.every))
            with run.warehouse.reading():
                found, more = self._figures(batch)
                rows = self._judged(batch, found)
            left = merged([*left, *more])
            writes: list[Write] = [*leave_pending(run, TABLE, [*left, *self._due.later])]
            for window in batch:
                own = rows_in(rows, window).astype(dict.fromkeys(("series", "metric", "dimensions"), "category"))
                writes.append(Replace(TABLE, run.name, own, *window, fingerprint=_fingerprint(run.source), is_empty_allowed=True))
            run.warehouse.commit(run.run_id, writes)
            self.figure_count += len(rows)

    def _figures(self, batch: Sequence[Window]) -> tuple[pd.DataFrame, list[Window]]:
        """The figures of the batch, and what is to be counted anew since a column turned out to have begun earlier."""
        plan = BucketPlan(self._run.source.time_column, self._grid.every, calendar=self._run.source.calendar)
        found, more = list[pd.DataFrame](), list[Window]()
        for window in batch:
            made = profile_figures.profile(
                self._run.warehouse,
                self._run.name,
                plan,
                self._columns,
                *window,
                categories=self._settings.categories,
                known_from=self._begun,
            )
            for metric, at in made[made["metric"].str.startswith("null_share(")].groupby("metric")["observed_at"].min().items():
                column = Figure.of(str(metric)).column
                if column in self._begun and at < self._begun[column]:
                    more.append((window[1], self._begun[column]))
                self._begun[column] = min(at, self._begun.get(column, at))
            counts = made[made["metric"].str.startswith("distinct_count(")]
            texts = {str(Figure("distinct_count", column.name)) for column in self._columns if column.kind == "text"}
            many = counts.loc[(counts["value"] > self._settings.categories) & counts["metric"].isin(texts), "metric"].unique()
            self._many |= {Figure.of(str(metric)).column for metric in many}
            found.append(made)
        return pd.concat(found, ignore_index=True), more

    def _looked_at(self) -> list[str]:
        """The figures that are judged, and those by which they are."""
        every = [Figure("row_count"), *(Figure(kind, column.name) for column in self._columns for kind in KINDS)]
        judged = {figure for figure in every if self._measured.is_judged(str(figure))}
        beside = {Figure(kind, each.column) for each in judged for kind in BESIDE.get(each.kind, ())}
        return sorted(str(figure) for figure in {Figure("row_count"), *judged, *beside})

    def _judged(self, batch: Sequence[Window], found: pd.DataFrame) -> pd.DataFrame:
        """The figures of the batch with verdicts, as rows of the table."""
        run, number = self._run, self._grid.number
        first = int(number([min(self._due.first, self._due.oldest_at or self._due.first)])[0])
        since, until = (int(each) for each in number([pd.Timestamp(batch[0][0]), pd.Timestamp(batch[-1][1])]))
        reads_from = self._grid.start(np.array([self._stretches.reads_from(first, since)]))[0]
        before = series_rows(
            run, TABLE, "observed_at, value", reads_from, batch[-1][1], "AND list_contains(?, metric)", [self._looked_at()]
        )
        for start, end in batch:
            before = before[(before["observed_at"] < start) | (before["observed_at"] >= end)]
        category = [next(iter(each.values()), "") for each in before["dimensions"]]
        figures = pd.concat([before.assign(category=category), found], ignore_index=True)
        is_judged = {metric: self._measured.is_judged(metric) for metric in figures["metric"].unique()}
        local = self._grid.calendar.local([pd.Timestamp(batch[0][0]), pd.Timestamp(batch[-1][1])])
        verdicts = judge(
            figures.assign(is_judged=figures["metric"].map(is_judged)),
            self._stretches,
            first=first,
            since=since,
            until=until,
            categories=self._settings.categories,
            budget=self._settings.false_alerts,
            calm_days=_calm_days(run.source, *(moment.date() for moment in local)),
        )
        rows = found.drop(columns="category").merge(verdicts, on=["series", "observed_at"], how="left")
        return rows.assign(is_anomaly=rows["is_anomaly"].eq(True))[[*found.columns.drop("category"), *VERDICT_COLUMNS]]


def profile_grid(source: Source) -> TimeGrid:
    """The buckets of the profile of a source."""
    return TimeGrid(source.profile_bucket, source.calendar)


def measured(source: Source, columns: Sequence[ProfiledColumn]) -> Measured:
    """What the metrics of a source say already. Without `metrics` every column with numbers is one."""
    if not source.metrics:
        return Measured(None, metrics=frozenset(column.name for column in columns))
    named = [(metric, metric.source_column) for metric in source.metrics]
    return Measured(
        columns=frozenset(column.column for metric, column in named if column.column and metric.aggregate not in COUNTING),
        categories=frozenset(source.encoded_columns.values())
        | {
            name
            for metric in source.metrics
            if metric.aggregate in ADDING_UP
            for name in (source.dimensions if metric.dimensions is None else metric.dimensions)
        },
        metrics=frozenset(metric.name for metric in source.metrics),
    )


def verdicts(
    run: SourceRun, since: datetime, until: datetime, *, is_anomalous: bool = False, of_series: Sequence[str] | None = None
) -> pd.DataFrame:
    """The judged figures of [since, until), or the unusual ones, as rows of anomaly_scores, with the sentence as `headline`; of all series
    or of some. A share of a category that did not come is 0, which is not stored; it is told where series are named."""
    where, these = "AND state = 'scored'" + (" AND is_anomaly" if is_anomalous else ""), []
    if of_series is not None:
        where, these = f"{where} AND list_contains(?, series)", [list(of_series)]
    columns = "* EXCLUDE (source, series, metric, dimensions, message), coalesce(message, '') AS headline"
    rows = series_rows(run, TABLE, columns, since, until, where, these)
    if is_anomalous or not any("category_share(" in name for name in of_series or ()):
        return rows
    absent = run.warehouse.read(_WITHOUT_CATEGORY, [run.name, list(of_series or ()), since, until])
    if absent.empty:
        return rows
    dimensions = np.full(len(absent), None, dtype=object)
    dimensions[:] = [{}] * len(absent)
    calm = absent.assign(dimensions=dimensions, value=0.0, raw_score=0.0, anomaly_score=0.0, is_anomaly=False, state="scored", headline="")
    return pd.concat([rows, calm], ignore_index=True)


def components(rows: pd.DataFrame) -> pd.DataFrame:
    """Who has found the unusual figures among some verdicts, as rows of detector_scores."""
    return rows[["series", "observed_at"]].assign(detector=PROFILE, share=1.0)


def _profiled_columns(run: SourceRun) -> list[ProfiledColumn]:
    """The columns that say something: none that says when, is sensitive, left out, or given up, which may have been sensitive."""
    source, history = run.source, column_history(run.warehouse, run.name)
    seen = run.warehouse.read(
        "SELECT DISTINCT unnest([column_name, name_before]) AS name FROM schema_changes WHERE source = ?", [run.name]
    )["name"].dropna()
    hidden = source.incomparable.union((source.profile_settings or ProfileSettings()).leave_out)
    return profile_figures.profiled_columns(run.warehouse, run.name, hidden | (set(seen) - set(history.accepted)))


def _calm_days(source: Source, first: date, last: date) -> frozenset[date]:
    if not source.calendar.has_special_days:
        return frozenset()
    return frozenset(special.day for special in special_days(source.calendar, first, last))


def _fingerprint(source: Source) -> str:
    """What a profile depends on, as JSON that people can read."""
    settings = source.profile_settings or ProfileSettings()
    made_under = {
        "read.time": source.read.time.model_dump(mode="json", exclude_none=True),
        "calendar.timezone": source.calendar.timezone,
        "profile": settings.model_dump(mode="json", include={"columns", "categories"})
        | {"every": format_duration(source.profile_bucket), "leave_out": sorted(settings.leave_out)},
        "contract.sensitive": sorted(source.contract.sensitive) if source.contract else [],
    }
    return json.dumps(made_under, sort_keys=True, ensure_ascii=False)


def _forget(run: SourceRun) -> None:
    """What was found while the source was profiled goes, so that its incidents end."""
    extent = run.warehouse.read(f"SELECT min(observed_at) AS first, max(observed_at) AS last FROM {TABLE} WHERE source = ?", [run.name])
    if not pd.isna(extent["first"].iloc[0]):
        window = extent["first"].iloc[0], extent["last"].iloc[0] + _AN_INSTANT
        run.warehouse.commit(run.run_id, [Replace(TABLE, run.name, pd.DataFrame(), *window, is_empty_allowed=True)])


def _profiled(run: SourceRun, figure_count: int, left_out: str, summary: str) -> Profiled:
    span = max(STANDS_FOR, run.source.profile_bucket)
    unusual = run.warehouse.read(
        f"""
        WITH newest AS (SELECT max(observed_at) AS at FROM {TABLE} WHERE source = $1 AND metric = 'row_count')
        SELECT metric, series, observed_at, value, anomaly_score, message, newest.at AS newest_at FROM newest
        LEFT JOIN {TABLE} ON source = $1 AND is_anomaly AND observed_at > newest.at - to_seconds($2) ORDER BY observed_at DESC, series
        """,
        [run.name, span.total_seconds()],
    )
    newest_at = None if unusual.empty or pd.isna(unusual["newest_at"].iloc[0]) else unusual["newest_at"].iloc[0]
    unusual = unusual.drop(columns="newest_at").dropna(subset="series")
    said = f"{summary}; {left_out}" if left_out else summary
    return Profiled(figure_count, unusual, newest_at, left_out, said, table_rows(run, TABLE))


def profile_picture(run: SourceRun, newest_at: pd.Timestamp, series: str, metric: str) -> bytes | None:
    """The last two hundred buckets of one series, with its usual range where it is judged."""
    grid = profile_grid(run.source)
    rows = run.warehouse.read(
        f"SELECT observed_at, value, expected, lower, upper, is_anomaly, severity FROM {TABLE} "
        "WHERE source = ? AND series = ? AND observed_at >= ? ORDER BY observed_at",
        [run.name, series, grid.step(newest_at, -_PLOTTED)],
    )
    if rows.empty:
        return None
    unit = "share" if Figure.of(metric).kind in SHARES else "rows" if metric == ROW_COUNT else ""
    return series_plot.series_plot(
        rows, rows[rows["is_anomaly"]], title=f"{run.name} {series}", unit=unit, timezone=run.source.calendar.timezone
    )


def _names(columns: Sequence[str], most: int = 5) -> str:
    return ", ".join(columns[:most]) + (", …" if len(columns) > most else "")
