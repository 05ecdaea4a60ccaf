"""Modelling: learn what is normal, keep it with its hash, and say why it was learnt.

Metrics that are judged by the same settings share one model, so a training leaves one artefact for most sources. Which rows are
learnt from is in `training_rows`, which model counts in `model_ledger`, who may ask for a training in `scheduling.training_requests`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from smartflow_assets.core.detection import CONTEXT_ROWS, MetricGroup, fit_models, minimum_rows, with_budget
from smartflow_assets.core.preparation.features import with_siblings
from smartflow_assets.core.reports import series_plot
from smartflow_assets.stages.metric_groups import featured_metrics, fingerprint, metric_groups
from smartflow_assets.stages.model_ledger import (
    UNUSABLE,
    StoredModel,
    current_model,
    kept_models,
    made_candidate,
    made_current,
    missing_model,
    standing_models,
)
from smartflow_assets.stages.preparation import features_of
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.scheduling.training_requests import TrainingRequest, answered, baseline_of, open_requests
from smartflow_assets.stages.training_rows import Learnable, calendar_rows, learnable_rows
from smartflow_assets.stages.windows import pending_windows, table_rows

KEPT_MODELS = 5
NO_SERIES = "no series yet"
LONGEST_CONTEXT = 10 * CONTEXT_ROWS  # rows that every run replays for the state; an older model is trained anew


@dataclass(frozen=True)
class Trained:
    """What `trained_models` did; `learnt_from` are the rows of one series that the first model learnt from, `note` says which stored
    models could not be read, and why a training that somebody wanted has trained nothing."""

    trained_count: int
    training_rows: int
    summary: str
    table_rows: int
    learnt_from: pd.DataFrame | None = None
    note: str = ""


def trained_models(run: SourceRun) -> Trained:
    """Train each group of metrics that has no usable model; all of them when the run is a retraining, which also answers the
    requests for one."""
    run.report("trained_models")
    is_retraining = _is_retraining(run)
    requests = open_requests(run.warehouse, run.name) if is_retraining and not run.candidate else []
    said: list[str] = []
    unusable: list[str] = []
    trained = rows_learnt = 0
    is_waiting, learnt_from = False, None
    with run.warehouse.reading():
        is_scoring = bool(pending_windows(run, "anomaly_scores", ["clean_series"]))
        reasons = [
            (group, _reason(run, group, requests, is_retraining=is_retraining, is_scoring=is_scoring)) for group in metric_groups(run)
        ]
        stored = table_rows(run, "trained_models")
    for group, reason in reasons:
        name = "all metrics" if group.label == "*" else group.label
        if not reason:
            said.append(f"{name}: the stored model is used")
            continue
        if reason.startswith(UNUSABLE):
            unusable.append(f"{name}: {reason.removeprefix(f'{UNUSABLE}: ')}")
        asked = baseline_of(requests)
        baseline = asked or _standing_baseline(run, group)
        learnable = learnable_rows(run, group, baseline, is_accepting=asked is not None)
        if learnable is None:
            is_waiting |= asked is not None
            since = f" since {baseline:%Y-%m-%d %H:%M}" if baseline else ""
            said.append(
                f"{name}: too little history{since}, {minimum_rows(group.settings, run.source.time_bucket.every)} buckets without "
                "anomalies and open incidents are needed"
            )
            continue
        rows = learnable.rows
        _train(run, group, learnable, reason=reason, by_whom=requests[-1].requested_by if requests else "", baseline=baseline)
        trained, rows_learnt = trained + 1, rows_learnt + len(rows)
        said.append(f"{name}: {group.detector} learnt from {len(rows)} rows{_without_logarithm(rows) if group.is_log else ''} ({reason})")
        learnt_from = first_series(rows, rows["series"].unique()) if learnt_from is None else learnt_from
    if requests and not is_waiting:
        run.warehouse.commit(run.run_id, answered(requests, run.now, run.run_id))
    if trained:
        run.models.prune(run.name, keep=KEPT_MODELS, current=kept_models(run.warehouse, run.name))
        stored = table_rows(run, "trained_models")
    note = "; ".join(unusable)
    if note and trained:
        note = f"trained anew, since what was stored is of no use: {note}"
    elif is_retraining and not (note or trained):
        note = "; ".join(said) or NO_SERIES
    return Trained(trained, rows_learnt, "; ".join(said) or NO_SERIES, stored, learnt_from, note)


def _is_retraining(run: SourceRun) -> bool:
    """A run that was started for a request which another training has answered meanwhile has nothing to learn anew."""
    if not (run.is_retraining and run.request_id):
        return run.is_retraining
    return run.request_id in {request.request_id for request in open_requests(run.warehouse, run.name)}


def _reason(run: SourceRun, group: MetricGroup, requests: Sequence[TrainingRequest], *, is_retraining: bool, is_scoring: bool) -> str:
    """Why the group is trained, as it will stand beside its model; empty when the stored one is used. `is_scoring`: the model is about to
    judge rows, so it is built and tried."""
    if run.candidate:
        return f"candidate: {run.candidate}"
    if requests:
        return f"request: {'; '.join(request.reason for request in requests)}"
    if not (is_scoring or is_retraining):
        return missing_model(run, group)
    current = current_model(run, group)
    if current.model is None:
        return current.missing
    if is_retraining:
        return run.reason
    return "worn: its context has grown too long" if _is_worn(run, current.model) else ""


def _is_worn(run: SourceRun, model: StoredModel) -> bool:
    """Whether so much has been scored since the training (a long first load, a source that is never trained) that replaying it
    in each run costs more than learning anew."""
    newest = run.warehouse.read("SELECT max(observed_at) AS at FROM anomaly_scores WHERE source = ?", [run.name])["at"].iloc[0]
    return bool(newest - model.fitted.context_from > LONGEST_CONTEXT * run.source.time_bucket.every)  # NaT is not


def _standing_baseline(run: SourceRun, group: MetricGroup) -> datetime | None:
    """From when on the model that is replaced has learnt, if that was asked for; where the groups have changed, any of the source."""
    standing = standing_models(run.warehouse, run.name)
    own = standing[standing["series"] == group.label]
    newest = (own if len(own) else standing).sort_values("changed_at")["baseline_from"].tail(1)
    return None if newest.isna().all() else newest.iloc[0].to_pydatetime()


def _train(run: SourceRun, group: MetricGroup, learnable: Learnable, *, reason: str, by_whom: str, baseline: datetime | None) -> None:
    rows = learnable.rows
    features = feature_rows(run, group, rows)
    fitted = fit_models(
        rows,
        group.settings,
        features=features,
        step=run.source.time_bucket.every,
        is_first=learnable.is_first,
        is_log=group.is_log,
        calendar=run.source.calendar,
        calendar_history=calendar_rows(run, group, rows["observed_at"].max() + run.source.time_bucket.every),
    )
    fitted = with_budget(fitted, learnable.calm, features)
    model_id = hashlib.sha256(f"{run.name}|{group.label}|{fitted.trained_to}|{run.now}|{run.run_id}".encode()).hexdigest()[:16]
    artefact = run.models.save(run.name, group.detector, model_id, fitted.parts())
    row = {
        "source": run.name,
        "series": group.label,
        "detector": group.detector,
        "model_id": model_id,
        "trained_at": run.now,
        "trained_from": rows["observed_at"].min(),
        "trained_to": fitted.trained_to,
        "row_count": len(rows),
        "parameters": group.settings.model_dump(mode="json"),
        "metrics": {
            "series": len(fitted.series),
            "left_out_as_missing_or_anomalous": int(rows["value"].isna().sum()),
            "raised_cuts": len(fitted.surprise_thresholds),
        },
        "fingerprint": fingerprint(run, group),
        "baseline_from": baseline,
        **artefact.columns,
    }
    as_it_stands = made_candidate if run.candidate else made_current
    run.warehouse.commit(run.run_id, as_it_stands(run, row, change="trained", reason=reason, by_whom=by_whom))


def feature_rows(run: SourceRun, group: MetricGroup, rows: pd.DataFrame) -> pd.DataFrame | None:
    """Features of these rows, for the detectors that use them; None when none does. Those that series_features does not hold, or no
    longer, are computed, to the same last bit."""
    if not group.reads_features or rows.empty:
        return None
    since, until = rows["observed_at"].min(), rows["observed_at"].max() + run.source.time_bucket.every
    metrics = featured_metrics(metric_groups(run)) if group.is_joint else group.metrics
    bound = [run.name, since, until]
    with run.warehouse.reading():
        lacking = run.warehouse.read(
            "SELECT 1 AS one FROM clean_series ANTI JOIN series_features USING (source, series, observed_at) "
            "WHERE source = ? AND observed_at >= ? AND observed_at < ? AND list_contains(?, metric) LIMIT 1",
            [*bound, list(metrics)],
        )
        stored = run.warehouse.read(
            "SELECT * EXCLUDE (source) FROM series_features WHERE source = ? AND observed_at >= ? AND observed_at < ?", bound
        )
    if len(lacking):
        stored = features_of(run, since, until, metrics)
    if group.is_joint:  # before other groups go: all metrics are compared
        stored = with_siblings(stored, step=run.source.time_bucket.every)
    return stored[stored["series"].isin(rows["series"].unique())].reset_index(drop=True)


def _without_logarithm(rows: pd.DataFrame) -> str:
    """How many values have no logarithm, in words, and what is done about them."""
    count = int((rows["value"] <= 0).sum())
    return f" ({count} of them are zero or negative: without a logarithm, they are measured straight)" if count else ""


def training_picture(run: SourceRun, shown: pd.DataFrame) -> bytes:
    """A series as far as it was learnt from."""
    unit = run.source.unit(str(shown["metric"].iloc[0]))
    return series_plot.series_plot(
        shown,
        None,
        title=f"{run.name} {shown['series'].iloc[0]}: learnt from",
        unit=unit,
        timezone=run.source.calendar.timezone,
        training_cut=shown["observed_at"].max(),
    )


def first_series(rows: pd.DataFrame, series: Iterable[str]) -> pd.DataFrame:
    """The rows of the first of these series, in order of time."""
    return rows[rows["series"] == next(iter(series))].sort_values("observed_at")
