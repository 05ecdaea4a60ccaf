"""Modelling: learn what is normal from the rows that may be learnt from, and keep it with its hash.

Metrics that are judged by the same settings share one model, so a training leaves one artefact for most sources. Nothing is
learnt from rows that are still to be scored, nor from anomalies, unless they are so many that they are the new normal.
"""
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from smartflow_assets.adapters.writes import Append
from smartflow_assets.core import plots, siblings
from smartflow_assets.core.detection import CONTEXT_ROWS, DetectionSettings, FittedModels, fit_models, minimum_rows
from smartflow_assets.core.errors import ModelError
from smartflow_assets.stages.preparation import clean_rows, features_of
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.windows import table_rows

LEARN_SHARE = 1 / 3  # of the history that is there when a source is first seen; the rest is scored without having been learnt
SLACK = 1.25  # a few missing rows must not keep a source from its first model
NEW_NORMAL = 0.2  # anomalies on more than this share of the training rows are learnt from: the level has shifted
KEPT_MODELS = 5
LONGEST_CONTEXT = 10 * CONTEXT_ROWS  # rows that every run walks again for the state; a model of before is trained anew


@dataclass(frozen=True)
class MetricGroup:
    """Metrics of a source that are judged by the same settings, on the same ruler: `is_log` says that it is logarithmic. `label`
    stands in `trained_models.series`: * or the metrics."""

    label: str
    metrics: tuple[str, ...]
    settings: DetectionSettings
    is_log: bool = False

    @property
    def detector(self) -> str:
        """What the training is called: auto, or the detectors by type."""
        detectors = self.settings.detectors
        return "auto" if detectors == "auto" else "+".join(detector.type for detector in detectors)

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of these metrics."""
        return frame[frame["metric"].isin(self.metrics)].reset_index(drop=True)


@dataclass(frozen=True)
class StoredModel:
    """A fitted model and the id under which it is stored."""

    model_id: str
    fitted: FittedModels


@dataclass(frozen=True)
class Trained:
    """What `trained_models` did."""

    trained_count: int
    training_rows: int
    summary: str
    table_rows: int
    plot: bytes | None


def metric_groups(run: SourceRun) -> list[MetricGroup]:
    """The metrics that have clean rows, grouped by their settings and their ruler."""
    metrics = run.warehouse.read("SELECT DISTINCT metric FROM clean_series WHERE source = ? ORDER BY metric", [run.name])["metric"]
    groups: dict[tuple[DetectionSettings, bool], list[str]] = {}
    for metric in metrics:
        groups.setdefault((run.source.detection(metric), run.source.metric(metric).transform == "log"), []).append(metric)
    return [
        MetricGroup("*" if len(groups) == 1 else ", ".join(names), tuple(names), settings, is_log)
        for (settings, is_log), names in groups.items()
    ]


def current_model(run: SourceRun, group: MetricGroup) -> StoredModel | None:
    """The newest model that fits the configuration and whose files are sound; None when there is none. A file that cannot be
    trusted, or was written by another version, counts as none: it is trained anew, and the log says so."""
    rows = _standing_models(run)
    rows = rows[(rows["series"] == group.label) & (rows["fingerprint"] == fingerprint(run, group))]
    if rows.empty:
        return None
    row = rows.sort_values("trained_at").iloc[-1]
    try:
        return StoredModel(row["model_id"], FittedModels.from_parts(run.models.load({str(name): value for name, value in row.items()})))
    except ModelError as error:
        run.warn(f"{error} It is trained anew.")
        return None


def _is_worn(run: SourceRun, model: StoredModel) -> bool:
    """Whether so much has been scored since the training (a long first load, a source that is never trained) that walking it
    again in each run costs more than to learn anew."""
    newest = run.warehouse.read("SELECT max(observed_at) AS at FROM anomaly_scores WHERE source = ?", [run.name])["at"].iloc[0]
    return bool(newest - model.fitted.context_from > LONGEST_CONTEXT * run.source.time_bucket.every)  # NaT is not


def _standing_models(run: SourceRun) -> pd.DataFrame:
    """Rows of the source's models that are current and were not retired since."""
    return run.warehouse.read(
        "SELECT * FROM trained_models WHERE source = ? AND status = 'current' AND model_id NOT IN "
        "(SELECT model_id FROM trained_models WHERE source = ? AND status = 'retired')", [run.name, run.name])


def fingerprint(run: SourceRun, group: MetricGroup) -> str:
    """What a model depends on: how its rows are made, and how they are judged."""
    text = json.dumps([run.source.fingerprint, group.settings.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def trained_models(run: SourceRun) -> Trained:
    """Train each group of metrics that has no usable model; all of them when the run is a retraining."""
    run.report("trained_models")
    said: list[str] = []
    trained = rows_learnt = 0
    plot = None
    for group in metric_groups(run):
        name = "all metrics" if group.label == "*" else group.label
        if not run.is_retraining and (model := current_model(run, group)) is not None and not _is_worn(run, model):
            said.append(f"{name}: the stored model is used")
            continue
        learnable = _learnable_rows(run, group)
        if learnable is None:
            said.append(f"{name}: too little history, {minimum_rows(group.settings, run.source.time_bucket.every)} buckets are needed")
            continue
        rows, is_first = learnable
        _train(run, group, rows, is_first=is_first)
        trained, rows_learnt = trained + 1, rows_learnt + len(rows)
        said.append(f"{name}: {group.detector} learnt from {len(rows)} rows{_without_logarithm(rows) if group.is_log else ''}")
        plot = plot or _plot(run, rows)
    if trained:
        run.models.prune(run.name, keep=KEPT_MODELS, current=set(_standing_models(run)["model_id"]))
    return Trained(trained, rows_learnt, "; ".join(said) or "no series yet", table_rows(run, "trained_models"), plot)


def _learnable_rows(run: SourceRun, group: MetricGroup) -> tuple[pd.DataFrame, bool] | None:
    """Clean rows that may be learnt from, and whether this is the first training; None when they are too few.

    First: the first third of what is there, at least the minimum. Later: the training window up to the newest scored row.
    """
    step, training = run.source.time_bucket.every, run.source.training
    extent = run.warehouse.read(
        "SELECT min(observed_at) AS first_at, max(observed_at) AS last_at, "
        "(SELECT max(observed_at) FROM anomaly_scores WHERE source = ? AND state = 'scored') AS scored_at "
        "FROM clean_series WHERE source = ? AND list_contains(?, metric)", [run.name, run.name, list(group.metrics)]).iloc[0]
    if pd.isna(extent["first_at"]):
        return None
    least = minimum_rows(group.settings, step)
    is_first = bool(pd.isna(extent["scored_at"]))
    if is_first:
        share = (extent["last_at"] + step - extent["first_at"]) * LEARN_SHARE
        until = min(extent["first_at"] + max(share, SLACK * least * step), extent["last_at"] + step)
        since = max(extent["first_at"], until - training.window)
    else:
        until = extent["scored_at"] + step
        since = until - training.window
    rows = _without_anomalies(run, group.rows(clean_rows(run, since, until)), since, until)
    counts = rows.dropna(subset="value").groupby("series").size()
    return None if counts.empty or counts.max() < least else (rows, is_first)


def _without_anomalies(run: SourceRun, rows: pd.DataFrame, since: datetime, until: datetime) -> pd.DataFrame:
    """The rows with NaN inside anomalies, which are not what is normal; a series with too many of them keeps them."""
    spells = run.warehouse.read(
        "SELECT series, started_at, ended_at FROM anomalies WHERE source = ? AND ended_at > ? AND started_at < ?", [run.name, since, until])
    is_strange = pd.Series(False, index=rows.index)
    for spell in spells.itertuples(index=False):
        is_strange |= (rows["series"] == spell.series) & (rows["observed_at"] >= spell.started_at) & (rows["observed_at"] < spell.ended_at)
    share = is_strange.groupby(rows["series"]).transform("mean")
    return rows.assign(value=rows["value"].mask(is_strange & (share <= NEW_NORMAL)))


def _train(run: SourceRun, group: MetricGroup, rows: pd.DataFrame, *, is_first: bool) -> None:
    fitted = fit_models(rows, group.settings, features=feature_rows(run, group, rows), step=run.source.time_bucket.every,
                        is_first=is_first, is_log=group.is_log, calendar=run.source.calendar)
    model_id = hashlib.sha256(f"{run.name}|{group.label}|{fitted.trained_to}|{run.now}|{run.run_id}".encode()).hexdigest()[:16]
    artefact = run.models.save(run.name, group.detector, model_id, fitted.parts())
    row = {
        "source": run.name, "series": group.label, "detector": group.detector, "model_id": model_id, "status": "current",
        "trained_at": run.now, "trained_from": rows["observed_at"].min(), "trained_to": fitted.trained_to, "row_count": len(rows),
        "parameters": group.settings.model_dump(mode="json"),
        "metrics": {"series": len(fitted.series), "left_out_as_missing_or_anomalous": int(rows["value"].isna().sum())},
        "fingerprint": fingerprint(run, group), **artefact.columns,
    }
    standing = _standing_models(run)
    superseded = standing[standing["series"] == group.label]
    run.warehouse.commit(run.run_id, [
        Append("trained_models", pd.DataFrame([row])), Append("trained_models", superseded.assign(status="retired"))])


def feature_rows(run: SourceRun, group: MetricGroup, rows: pd.DataFrame) -> pd.DataFrame | None:
    """Features of these rows, for the detectors that use them; None when none does. Those that series_features no longer
    holds are computed again, to the same last bit."""
    if not any(detector.needs_features for detector in group.settings.active()) or rows.empty:
        return None
    since, until = rows["observed_at"].min(), rows["observed_at"].max() + run.source.time_bucket.every
    stored = run.warehouse.read(
        "SELECT * EXCLUDE (source) FROM series_features WHERE source = ? AND observed_at >= ? AND observed_at < ?",
        [run.name, since, until])
    if stored.empty or since < stored["observed_at"].min():
        stored = features_of(run, since, until)
    if any(detector.is_joint for detector in group.settings.active()):  # before other groups go: all metrics are compared
        stored = siblings.add(stored, step=run.source.time_bucket.every)
    return stored[stored["series"].isin(rows["series"].unique())].reset_index(drop=True)


def _without_logarithm(rows: pd.DataFrame) -> str:
    """How many values have no logarithm, in words, and what is done about them."""
    count = int((rows["value"] <= 0).sum())
    return f" ({count} of them are zero or negative: without a logarithm, they are measured straight)" if count else ""


def _plot(run: SourceRun, rows: pd.DataFrame) -> bytes | None:
    """The series with the most rows, as far as it was learnt from."""
    shown = first_series(rows, rows["series"].unique())
    unit = run.source.unit(str(shown["metric"].iloc[0]))
    return plots.series_plot(shown, None, title=f"{run.name} {shown['series'].iloc[0]}: learnt from", unit=unit,
                             timezone=run.source.calendar.timezone, training_cut=shown["observed_at"].max())


def first_series(rows: pd.DataFrame, series: Iterable[str]) -> pd.DataFrame:
    """The rows of the first of these series, in order of time."""
    return rows[rows["series"] == next(iter(series))].sort_values("observed_at")
