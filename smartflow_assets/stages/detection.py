"""Detection: a score for every new row, and intervals of strange rows as anomalies.

The state of the detectors is rebuilt from the model's `context_from` on, so that scores do not depend on how runs split the
time. Only the rows of the windows that cleaning wrote are scored; a score once given stands.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pandas as pd

from smartflow_assets.adapters.warehouse.writes import Replace, Write
from smartflow_assets.core.anomalies import grouping, past, recurrence
from smartflow_assets.core.anomalies.grouping import no_anomalies
from smartflow_assets.core.detection import MetricGroup, Scoring
from smartflow_assets.core.detection.verdicts import no_components
from smartflow_assets.core.feedback.raised_thresholds import Raise
from smartflow_assets.core.records.buckets import record_components
from smartflow_assets.core.reports import series_plot
from smartflow_assets.core.rules.flatline import FlatlineRule
from smartflow_assets.core.temporal.special_days import special_days
from smartflow_assets.stages import profile
from smartflow_assets.stages.feedback_effects import raises_of
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.model_ledger import StoredModel, current_model
from smartflow_assets.stages.modelling import feature_rows
from smartflow_assets.stages.preparation import observed_rows
from smartflow_assets.stages.records import bucket_verdicts
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.slices import with_slices
from smartflow_assets.stages.warming import UNJUDGED, warming_up
from smartflow_assets.stages.windows import (
    SeriesPart,
    Window,
    batches,
    joined,
    leave_pending,
    merged,
    pending_windows,
    rows_in,
    series_parts,
    series_rows,
    split,
    table_rows,
)

PLOTTED, SHOWN = timedelta(days=3), 10
SCORE_COLUMNS = [
    "series",
    "metric",
    "dimensions",
    "observed_at",
    "value",
    "expected",
    "lower",
    "upper",
    "raw_score",
    "anomaly_score",
    "threshold",
    "is_anomaly",
    "state",
    "severity",
]
STRANGEST_COLUMNS = ["series", "metric", "observed_at", "value", "raw_score", "anomaly_score"]


@dataclass(frozen=True)
class ScoringOutcome:
    """What `anomaly_scores` did; `strangest` are the rows with the ten highest raw scores of this run, in `STRANGEST_COLUMNS`."""

    scored_count: int
    warming_count: int
    anomalous_count: int
    highest_score: float | None
    strangest: pd.DataFrame
    table_rows: int
    waiting: str = ""
    """Which series are not judged yet and what they lack, `54 series, 12 of 200 rows`."""

    @property
    def anomaly_rate(self) -> float | None:
        """Share of the scored rows that the detectors call anomalous."""
        return self.anomalous_count / self.scored_count if self.scored_count else None

    @property
    def summary(self) -> str:
        """One line for the log."""
        warming = f", {self.warming_count} are still warming up" if self.warming_count else ""
        warming += f" ({self.waiting})" if self.waiting else ""
        return f"{self.scored_count} rows scored, {self.anomalous_count} anomalous{warming}"


@dataclass(frozen=True)
class Grouped:
    """What `anomalies` did: the newest anomalies of the touched windows, and how many of all of them are new."""

    rows: pd.DataFrame
    new_count: int
    table_rows: int


PICTURE_BEFORE, PICTURE_AFTER = timedelta(days=3), 12  # of the series in the picture of an anomaly; AFTER in buckets
PICTURE_BUCKETS = 48  # before the anomaly, where three days have fewer


def anomaly_scores(run: SourceRun, only: Collection[str] | None = None) -> ScoringOutcome:
    """Score the rows of all pending windows, after the rows before them from which the state is rebuilt. Part of the series by part, so
    that few states are held at a time; what is pending stays so until the last part is through. `only` these series, where the others
    are never asked for again: in a copy that is thrown away."""
    run.report("anomaly_scores")
    with run.warehouse.reading():
        pending = pending_windows(run, "anomaly_scores", ["clean_series"])
        if not pending:
            return ScoringOutcome(0, 0, 0, None, pd.DataFrame(), table_rows(run, "anomaly_scores"))
    groups = metric_groups(run)
    raises = raises_of(run)
    scorers = [_GroupScorer(run, group, current_model(run, group).model, raises) for group in groups]
    replayed = merged([*pending, *((scorer.context_from, pending[-1][1]) for scorer in scorers if scorer.context_from)])
    states, anomalous_count, strangest = Counter[str](), 0, pd.DataFrame()
    is_whole = any(group.reads_features for group in groups)
    for part in series_parts(run, replayed, "anomaly_scores", is_whole=is_whole, only=only):
        left = pending
        for batch, rest in batches(run, replayed, len(part.names)):
            wanted, left = split(left, batch[-1][1])
            scored = [scorer.score(window, part, is_last=not rest and window == batch[-1]) for window in batch for scorer in scorers]
            if not (wanted and scored):
                continue
            writes: list[Write] = [*leave_pending(run, "anomaly_scores", left if part.is_last else pending)]
            for window in wanted:
                rows, components = (joined([rows_in(made, window) for made in parts]) for parts in zip(*scored, strict=True))
                for table, made in (("anomaly_scores", rows), ("detector_scores", components)):
                    writes.append(Replace(table, run.name, made, *window, series=part.narrowed, is_empty_allowed=True))
                states.update({str(state): int(count) for state, count in rows["state"].value_counts().items()})
                anomalous_count += int(rows["is_anomaly"].sum())
                most = rows["raw_score"].where(rows["state"] == "scored").nlargest(SHOWN)
                shown = rows.loc[most.index, STRANGEST_COLUMNS].astype({"series": object, "metric": object})
                strangest = pd.concat([strangest, shown]).nlargest(SHOWN, "raw_score")
            run.warehouse.commit(run.run_id, writes)
    return ScoringOutcome(
        scored_count=states["scored"],
        warming_count=states["warming_up"],
        anomalous_count=anomalous_count,
        highest_score=float(strangest["anomaly_score"].max()) if len(strangest) else None,
        strangest=strangest,
        table_rows=table_rows(run, "anomaly_scores"),
        waiting=_waiting(run) if states["warming_up"] else "",
    )


def _waiting(run: SourceRun) -> str:
    return warming_up(run.source, run.source.time_bucket.every, run.warehouse.read(UNJUDGED, [run.name, run.name]).to_dict("records"))


class _GroupScorer:
    """The model of a group of metrics at work; its state goes on from window to window."""

    def __init__(self, run: SourceRun, group: MetricGroup, model: StoredModel | None, raises: Mapping[str, Sequence[Raise]]) -> None:
        self._run, self._group = run, group
        self._model_id, self._scoring = (model.model_id, Scoring(model.fitted, raises=raises)) if model else (None, None)

    @property
    def context_from(self) -> datetime | None:
        """From when on it must see every row."""
        return self._scoring and self._scoring.fitted.context_from

    def score(self, window: Window, part: SeriesPart, *, is_last: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Scores and components of the group's rows in the window; without a model every row is warming up. `is_last`: no window
        follows, so the state of the series need not be kept."""
        rows = self._group.rows(observed_rows(self._run, *window, part.narrowed))
        if self._scoring is None:
            state = rows["value"].isna().map({True: "missing", False: "warming_up"})
            return rows.reindex(columns=[*SCORE_COLUMNS, "model_id"]).assign(is_anomaly=False, state=state), no_components()
        scored = self._scoring.score(rows, features=feature_rows(self._run, self._group, rows), is_last=is_last)
        model_id = pd.Categorical.from_codes(np.zeros(len(rows), np.int8), categories=pd.Index([self._model_id]))
        scores = scored.scores.assign(metric=rows["metric"], dimensions=rows["dimensions"], model_id=model_id)
        return scores[[*SCORE_COLUMNS, "model_id"]], scored.components


def anomalies(run: SourceRun) -> Grouped:
    """Group the rows of the affected windows; an anomaly that grew is replaced by itself, longer."""
    run.report("anomalies")
    known, rows, new_ids = None, pd.DataFrame(), set[str]()
    with run.warehouse.reading():
        pending = pending_windows(run, "anomalies", ["anomaly_scores", "rule_violations", "record_scores", profile.TABLE])
        if not pending:
            return Grouped(rows, 0, table_rows(run, "anomalies"))
        profiled = pending_windows(run, "anomalies", [profile.TABLE])
    for batch, rest in batches(run, pending):
        standing = run.warehouse.read("SELECT anomaly_id, started_at, ended_at FROM anomalies WHERE source = ?", [run.name])
        known = set(standing["anomaly_id"]) if known is None else known
        of_profile = split(split(profiled, batch[0][0])[1], batch[-1][1])[0]
        steps = [
            *((window, run.source.time_bucket.every) for window in batch),
            *((window, run.source.profile_bucket) for window in of_profile),
        ]
        windows = merged(grouping.affected_window(standing, *window, step) for window, step in steps)
        found = [_group(run, *window) for window in windows]
        writes = [Replace("anomalies", run.name, part, *window, is_empty_allowed=True) for window, part in zip(windows, found, strict=True)]
        run.warehouse.commit(run.run_id, [*writes, *leave_pending(run, "anomalies", rest)])
        rows = pd.concat([rows, *found], ignore_index=True).drop_duplicates("anomaly_id", keep="last").nlargest(SHOWN, "started_at")
        new_ids |= {name for grouped in found for name in grouped["anomaly_id"]} - known
    return Grouped(rows, len(new_ids), table_rows(run, "anomalies"))


def _group(run: SourceRun, since: datetime, until: datetime) -> pd.DataFrame:
    """The anomalies of one affected window."""
    with run.warehouse.reading():
        rows = judged_rows(run, since, until, is_anomalous=True)
        if rows.empty:
            return no_anomalies()
        names = list(rows["series"].unique())
        history = run.warehouse.read(
            "SELECT series, observed_at, value, coalesce(repair = 'filled', false) AS is_filled FROM clean_series "
            "WHERE source = ? AND observed_at >= ? AND observed_at < ? AND list_contains(?, series)",
            [run.name, since - past.RECORD_WINDOW, until, names],
        )
        components = run.warehouse.read(
            "SELECT * EXCLUDE (source) FROM detector_scores WHERE source = ? AND observed_at >= ? AND observed_at < ?",
            [run.name, since, until],
        )
        earlier = run.warehouse.read(
            "SELECT series, started_at, ended_at, direction FROM anomalies WHERE source = ? AND started_at >= ? AND started_at < ? "
            "AND list_contains(?, series)",
            [run.name, since - recurrence.LOOKBACK, since, names],
        )
    if len(of_records := record_components(rows)):
        components = pd.concat([components, of_records], ignore_index=True)
    is_profile = rows["headline"].notna() if "headline" in rows else pd.Series(False, index=rows.index)
    policy, calendar = run.source.alerts, run.source.calendar
    first, last = (moment.date() for moment in calendar.local([pd.Timestamp(since), pd.Timestamp(until)]))
    parts = (
        (~is_profile, run.source.time_bucket.every, components),
        (is_profile, run.source.profile_bucket, profile.components(rows[is_profile])),
    )
    grouped = partial(
        grouping.group,
        source=run.name,
        run_id=run.run_id,
        history=history,
        timezone=calendar.timezone,
        special_days={special.day: str(special) for special in special_days(calendar, first, last)},
        units=run.source.units,
        earlier=earlier,
        incidents_apart=policy.resolve_after + policy.reopen_within,
        flat_rules={rule.name: rule.tolerance for rule in run.source.rules if isinstance(rule, FlatlineRule)},
    )
    found = [grouped(rows[own], step=step, components=said) for own, step, said in parts if own.any()]
    return with_slices(run, joined(found))


def judged_rows(
    run: SourceRun, since: datetime, until: datetime, *, is_anomalous: bool = False, of_series: Sequence[str] | None = None
) -> pd.DataFrame:
    """Scores and violations of [since, until) as one verdict for each row, or for the anomalous ones; of all series or of some. Counts of
    strange records are among them, and figures of the profile, whose buckets have a length of their own and which have a `headline`. A
    bucket whose rows a contract holds back is never anomalous: that they are not there says nothing of what is measured."""
    bound = [run.name, since, until]
    of_these, these = ("", []) if of_series is None else ("AND list_contains(?, series)", [list(of_series)])
    violations = run.warehouse.read(
        f"SELECT * EXCLUDE (source) FROM rule_violations WHERE source = ? AND observed_at >= ? AND observed_at < ? {of_these}",
        [*bound, *these],
    )
    where = """AND (is_anomaly OR (series, observed_at) IN (
        SELECT (series, observed_at) FROM rule_violations WHERE source = ? AND observed_at >= ? AND observed_at < ?))"""
    scores = series_rows(
        run,
        "anomaly_scores",
        "* EXCLUDE (source, series, metric, dimensions)",
        since,
        until,
        f"{where if is_anomalous else ''} {of_these}",
        [*(bound if is_anomalous else []), *these],
    )
    held = pd.MultiIndex.from_frame(
        run.warehouse.read(
            "SELECT series, observed_at FROM clean_series WHERE source = ? AND observed_at >= ? AND observed_at < ? AND repair = 'held'",
            bound,
        )
    )
    if len(held):
        violations = violations[~pd.MultiIndex.from_frame(violations[["series", "observed_at"]]).isin(held)]
        is_held = pd.MultiIndex.from_frame(scores[["series", "observed_at"]]).isin(held)
        scores = scores[~is_held] if is_anomalous else scores.assign(is_anomaly=scores["is_anomaly"].mask(is_held, False))
    records = bucket_verdicts(run, since, until)
    records = records[records["is_anomaly"]] if is_anomalous else records
    figures = profile.verdicts(run, since, until, is_anomalous=is_anomalous, of_series=of_series)
    return grouping.merge_violations(joined([scores, *(more for more in (records, figures) if len(more))]), violations)


def score_picture(run: SourceRun, strangest: pd.DataFrame) -> bytes:
    """The last three days of the series with the strangest row of this run, with its anomalies; it may be over for long."""
    series, metric = strangest[["series", "metric"]].iloc[0]
    of_series = "SELECT max(observed_at) AS at FROM anomaly_scores WHERE source = ? AND series = ?"
    newest = run.warehouse.read(of_series, [run.name, series])["at"].iloc[0]
    shown = judged_rows(run, newest - PLOTTED, newest + run.source.time_bucket.every)
    shown = shown[shown["series"] == series]
    return series_plot.series_plot(
        shown,
        shown[shown["is_anomalous"]],
        title=f"{run.name} {series}",
        unit=run.source.unit(metric),
        timezone=run.source.calendar.timezone,
    )


def anomaly_picture(run: SourceRun, anomalies: pd.DataFrame) -> bytes | None:
    """The newest of some anomalies: its series with the usual range, the explanation below it; None when there is none."""
    if anomalies.empty:
        return None
    newest = anomalies.sort_values(["started_at", "anomaly_score"]).iloc[-1]
    step = run.source.time_bucket.every
    rows = judged_rows(run, newest["started_at"] - max(PICTURE_BEFORE, PICTURE_BUCKETS * step), newest["ended_at"] + PICTURE_AFTER * step)
    rows = rows[rows["series"] == newest["series"]]
    if rows.empty:
        return None
    return series_plot.series_plot(
        rows,
        rows[rows["is_anomalous"]],
        title=f"{run.name} {newest['series']}",
        unit=run.source.unit(newest["metric"]),
        timezone=run.source.calendar.timezone,
        caption=str(newest["explanation"]),
    )
