"""Detection: a score for every new row, and spells of strange rows as anomalies.

The state of the detectors is rebuilt from the model's `context_from` on, so that scores do not depend on how runs cut the
time. Only the rows of the windows that cleaning wrote are scored; a score once given stands.
"""
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.writes import Replace, Write
from smartflow_assets.core import events, plots
from smartflow_assets.core.detection import score_models
from smartflow_assets.core.verdicts import no_components
from smartflow_assets.stages.modelling import MetricGroup, current_model, feature_rows, metric_groups
from smartflow_assets.stages.preparation import clean_rows
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.windows import Window, merged, pending_windows, table_rows, within

PLOTTED = timedelta(days=3)
SCORE_COLUMNS = ["series", "metric", "dimensions", "observed_at", "value", "expected", "lower", "upper", "raw_score", "anomaly_score", "threshold",
                 "is_anomaly", "state", "severity"]


@dataclass(frozen=True)
class ScoredRows:
    """What `anomaly_scores` did; `strangest` are the ten highest raw scores of this run."""

    scored_count: int
    warming_count: int
    anomalous_count: int
    highest_score: float | None
    strangest: pd.DataFrame
    table_rows: int
    plot: bytes | None

    @property
    def anomaly_rate(self) -> float | None:
        """Share of the scored rows that the detectors call anomalous."""
        return self.anomalous_count / self.scored_count if self.scored_count else None

    @property
    def summary(self) -> str:
        """One line for the log."""
        warming = f", {self.warming_count} are still warming up" if self.warming_count else ""
        return f"{self.scored_count} rows scored, {self.anomalous_count} anomalous{warming}"


@dataclass(frozen=True)
class Grouped:
    """What `anomalies` did: the anomalies of the touched windows, and how many of them are new."""

    rows: pd.DataFrame
    new_count: int
    table_rows: int


def anomaly_scores(run: SourceRun) -> ScoredRows:
    """Score the rows of all pending windows."""
    run.report("anomaly_scores")
    windows = pending_windows(run, "anomaly_scores", ["clean_series"])
    parts: list[pd.DataFrame] = []
    if windows:
        scored = [_score_group(run, group, windows) for group in metric_groups(run)]
        scores = pd.concat([part for part, _ in scored], ignore_index=True)
        components = pd.concat([part for _, part in scored], ignore_index=True)
        writes: list[Write] = []
        for window in windows:
            own = within(scores, window)
            parts.append(own)
            writes.append(Replace("anomaly_scores", run.name, own, *window, is_empty_allowed=True))
            writes.append(Replace("detector_scores", run.name, within(components, window), *window, is_empty_allowed=True))
        run.warehouse.commit(run.run_id, writes)
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in SCORE_COLUMNS})
    judged = rows[rows["state"] == "scored"]
    return ScoredRows(
        scored_count=len(judged), warming_count=int((rows["state"] == "warming_up").sum()), anomalous_count=int(rows["is_anomaly"].sum()),
        highest_score=float(judged["anomaly_score"].max()) if len(judged) else None,
        strangest=judged.nlargest(10, "raw_score") if len(judged) else judged, table_rows=table_rows(run, "anomaly_scores"),
        plot=_plot(run, rows))


def _score_group(run: SourceRun, group: MetricGroup, windows: list[Window]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and components of one group's rows in the windows; without a model every row is warming up."""
    since, until = windows[0][0], windows[-1][1]
    model = current_model(run, group)
    if model is None:
        rows = group.rows(clean_rows(run, since, until))
        state = rows["value"].isna().map({True: "missing", False: "warming_up"})
        return rows.assign(is_anomaly=False, state=state).drop(columns="repair"), no_components()
    rows = group.rows(clean_rows(run, min(model.fitted.context_from, since), until))
    scored = score_models(model.fitted, rows, since=since, features=feature_rows(run, group, rows))
    named = rows[["series", "metric", "dimensions"]].drop_duplicates("series")
    scores = scored.scores.merge(named, on="series", how="left").assign(model_id=model.model_id)
    return scores[[*SCORE_COLUMNS, "model_id"]], scored.components


def anomalies(run: SourceRun) -> Grouped:
    """Group the rows of the touched regions; an anomaly that grew is replaced by itself, longer."""
    run.report("anomalies")
    step, found = run.source.time_bucket.every, []
    standing = run.warehouse.read("SELECT anomaly_id, started_at, ended_at FROM anomalies WHERE source = ?", [run.name])
    pending = pending_windows(run, "anomalies", ["anomaly_scores", "rule_violations"])
    regions = merged(events.region(standing, *window, step) for window in pending)
    for start, end in regions:
        rows = judged_rows(run, start, end)
        history = run.warehouse.read(
            "SELECT series, observed_at, value FROM clean_series WHERE source = ? AND observed_at >= ? AND observed_at < ?",
            [run.name, start - events.RECORD_WINDOW, end])
        components = run.warehouse.read(
            "SELECT * EXCLUDE (source) FROM detector_scores WHERE source = ? AND observed_at >= ? AND observed_at < ?", [run.name, start, end])
        grouped = events.group(rows, source=run.name, step=step, run_id=run.run_id, components=components, history=history,
                               timezone=run.source.calendar.timezone, units=run.source.units)
        found.append(grouped)
    if not found:
        return Grouped(pd.DataFrame(), 0, table_rows(run, "anomalies"))
    run.warehouse.commit(run.run_id, [
        Replace("anomalies", run.name, rows, *region, is_empty_allowed=True) for region, rows in zip(regions, found, strict=True)])
    rows = pd.concat(found, ignore_index=True)
    return Grouped(rows, int((~rows["anomaly_id"].isin(standing["anomaly_id"])).sum()), table_rows(run, "anomalies"))


def judged_rows(run: SourceRun, since: datetime, until: datetime) -> pd.DataFrame:
    """Scores and violations of [since, until) as one verdict for each row."""
    scores = run.warehouse.read(
        "SELECT * EXCLUDE (source) FROM anomaly_scores WHERE source = ? AND observed_at >= ? AND observed_at < ?", [run.name, since, until])
    violations = run.warehouse.read(
        "SELECT * EXCLUDE (source) FROM rule_violations WHERE source = ? AND observed_at >= ? AND observed_at < ?", [run.name, since, until])
    return events.judge(scores, violations)


def _plot(run: SourceRun, rows: pd.DataFrame) -> bytes | None:
    """The last three days of the series with the strangest row of this run, with its anomalies."""
    if rows.empty or rows["raw_score"].notna().sum() == 0:
        return None
    series = rows.loc[rows["raw_score"].idxmax(), "series"]
    until = rows["observed_at"].max() + run.source.time_bucket.every
    shown = judged_rows(run, until - PLOTTED, until)
    shown = shown[shown["series"] == series]
    return plots.series_plot(shown, shown[shown["is_anomalous"]], title=f"{run.name} {series}", unit=run.source.unit(_metric(shown["metric"])),
                             timezone=run.source.calendar.timezone)


def _metric(names: Iterable[str]) -> str:
    return str(next(iter(names)))
