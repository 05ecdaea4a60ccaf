"""Prediction: rows in, verdicts out, by the stored model and the rules; nothing is written.

The rows go through the stages of a run, in a copy of the published warehouse that is thrown away, so what is said of them is what a run
says of the same rows once they are ingested. Nothing is trained: where no model fits, a verdict says that it is warming up. A bucket is
judged as if it were over. Rows that lie ahead of what is stored are judged as after an outage: the buckets in between are missing, and what
is usual is what was before them.
"""

import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse import publishing
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.anomalies.headline import Usual, measured, of_value
from smartflow_assets.core.detection import minimum_rows
from smartflow_assets.core.incidents.event_log import row_dicts
from smartflow_assets.core.series.series_id import series_id
from smartflow_assets.core.severity import Severity
from smartflow_assets.core.text_format import number
from smartflow_assets.stages import contracts, detection, ingestion, preparation
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.experiments.given_rows import ReadRows, as_given, outside, read_rows
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.model_ledger import current_model, standing_models
from smartflow_assets.stages.run import SourceRun

State = Literal["scored", "warming_up", "missing", "held"]
"""How a verdict came about; held: the contract keeps the rows out, so they are not judged."""
RUN_ID = "prediction"
FARTHEST_BUCKETS, MOST_CELLS = 1000, 250_000  # ahead of what is stored; times the series
_EXTENT = (
    "SELECT min(observed_at) AS first_at, max(observed_at) AS last_at, count(DISTINCT series) AS series FROM clean_series WHERE source = ?"
)


@dataclass(frozen=True)
class Verdict:
    """What is said of one series in one bucket; `rows` are the places of the given rows in it, `rules` what it breaks and how."""

    series: str
    metric: str
    at: datetime
    rows: tuple[int, ...]
    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    score: float | None
    threshold: float | None
    is_anomaly: bool
    severity: Severity | None
    rules: Mapping[str, str]
    state: State
    explanation: str


@dataclass(frozen=True)
class Prediction:
    """Verdicts in order of series and time; why rows have none, by place; the model that judged, and what else there is to know."""

    source: str
    model_id: str | None
    verdicts: tuple[Verdict, ...]
    unread: Mapping[int, str]
    notes: tuple[str, ...] = ()


def predict(name: str, rows: Sequence[Mapping[str, Any]], settings: Settings, catalogue: Catalogue, now: datetime) -> Prediction:
    """What a run would say of raw rows of a source. SourceError for a source that there is not or that is broken; WarehouseError where
    nothing was published yet."""
    source = catalogue.source(name)
    if not settings.published_file.exists():
        raise publishing.not_published(settings.published_file)
    with tempfile.TemporaryDirectory(prefix="smartflow-predict-") as folder:
        apart = settings.with_state_in(Path(folder))
        apart.warehouse_file.parent.mkdir(parents=True)
        publishing.clone(settings.published_file, apart.warehouse_file)
        warehouse = Warehouse(apart.warehouse_file, apart.published_file)
        given = as_given(source, rows, Path(folder) / "given.jsonl")
        run = SourceRun(given, apart, catalogue, warehouse, ModelStore(settings.models), now, RUN_ID, is_sending=False, is_dry=True)
        return _predicted(with_bucket(run), Path(folder) / "read", len(rows))


def _predicted(run: SourceRun, folder: Path, count: int) -> Prediction:
    read = read_rows(run, folder, count)
    unread, time = dict(read.reasons), run.source.time_column
    extent = row_dicts(run.warehouse.read(_EXTENT, [run.name]))[0]
    if extent["first_at"] is None:
        waiting = "the source has no rows yet, so there is nothing to compare with"
        return Prediction(run.name, None, (), unread | dict.fromkeys(read.rows.get("_row", pd.Series(dtype=int)).tolist(), waiting))
    if read.rows.empty:
        return Prediction(run.name, None, (), unread)
    grid, every = preparation.bucket_plan(run).grid, run.source.time_bucket.every
    farthest = min(FARTHEST_BUCKETS, max(MOST_CELLS // int(extent["series"]), 1))
    since, until = extent["first_at"].to_pydatetime(), grid.step(extent["last_at"], farthest + 1).to_pydatetime()
    before, behind = outside(read.rows, time, since, until)
    unread |= dict.fromkeys(before, f"it lies before the first stored bucket, {since:%Y-%m-%d %H:%M} UTC")
    newest = f"the newest stored one, {extent['last_at']:%Y-%m-%d %H:%M} UTC"
    unread |= dict.fromkeys(behind, f"it lies more than {farthest:,} buckets after {newest}: what was usual then says nothing")
    judged = read.rows[~read.rows["_row"].isin([*before, *behind])]
    if judged.empty:
        return Prediction(run.name, None, (), unread)
    concerned = {series for series, _ in _places(run, judged)}
    run, blocked = _through_stages(replace(run, since=since, until=until), max(judged[time].max(), extent["last_at"]), concerned)
    notes = list[str]()
    gap = int((grid.floor(judged[time].min()) - extent["last_at"]) / every) - 1
    if gap > 0:
        missing = "1 bucket is" if gap == 1 else f"{gap:,} buckets are"
        notes.append(f"{missing} missing before the first of these rows, which is judged as after an outage: by what was usual before it")
    verdicts, model_id = _verdicts(run, replace(read, rows=judged))
    told = {row for each in verdicts for row in each.rows}
    why = f"the contract keeps it out: {blocked}" if blocked else "no metric counts it"
    unread |= {row: why for row in judged["_row"].tolist() if row not in told}
    return Prediction(run.name, model_id, verdicts, dict(sorted(unread.items())), tuple(notes))


def _through_stages(run: SourceRun, newest: pd.Timestamp, concerned: Collection[str]) -> tuple[SourceRun, str]:
    """Take the rows and judge them, up to the bucket of the newest, as a run does that comes once this is over; and why the contract blocks
    the load, if it does. A series is judged by itself and by those with its dimensions, so the others are not scored."""
    bucket = run.source.time_bucket
    ingestion.raw_records(run)
    over = preparation.bucket_plan(run).grid.step(newest, 2).to_pydatetime() + bucket.settle_time
    run, blocked = replace(run, since=None, until=None, now=over), ""
    if run.source.contract is not None:
        blocked = next((load.reason for load in contracts.schema_checks(run).blocked if load.load_id == RUN_ID), "")
    preparation.clean_series(run)
    preparation.rule_violations(run)
    detection.anomaly_scores(run, concerned)
    return run, blocked


def _verdicts(run: SourceRun, read: ReadRows) -> tuple[tuple[Verdict, ...], str | None]:
    places = _places(run, read.rows)
    since, until = min(at for _, at in places), max(at for _, at in places) + run.source.time_bucket.every
    names = sorted({series for series, _ in places})
    judged = detection.judged_rows(run, since, until, of_series=names)
    held = run.warehouse.read(
        "SELECT series, observed_at FROM clean_series WHERE source = ? AND observed_at >= ? AND observed_at < ? AND repair = 'held'",
        [run.name, since, until],
    )
    is_held = {(str(series), at) for series, at in held.itertuples(index=False)}
    lacking = _lacking(run)
    found, models = list[Verdict](), dict[str, None]()
    for row in row_dicts(judged):
        place = (str(row["series"]), row["observed_at"])
        if place in places:
            found.append(_verdict(run, row, tuple(places[place]), lacking, is_held=place in is_held))
            models |= {} if row.get("model_id") is None else {str(row["model_id"]): None}
    return tuple(found), ", ".join(models) or None


def _places(run: SourceRun, rows: pd.DataFrame) -> dict[tuple[str, pd.Timestamp], list[int]]:
    """Which given rows lie in each bucket of each series."""
    plan, found = preparation.bucket_plan(run), dict[tuple[str, pd.Timestamp], list[int]]()
    metrics = [(metric.name, metric.dimensions) for metric in run.source.metrics]
    if not metrics:
        named = run.warehouse.read("SELECT DISTINCT metric FROM clean_series WHERE source = ?", [run.name])["metric"]
        metrics = [(str(metric), None) for metric in named]
    times = plan.grid.start(plan.grid.number(pd.DatetimeIndex(rows[run.source.time_column])))
    for at, row in zip(times, rows.to_dict("records"), strict=True):
        for metric, own in metrics:
            dimensions = run.source.dimensions if own is None else own
            named = {name: "" if pd.isna(row.get(name)) else str(row[name]) for name in dimensions}
            found.setdefault((series_id(metric, named), at), []).append(int(row["_row"]))
    return found


def _lacking(run: SourceRun) -> dict[str, str]:
    """Why no model judges a metric, for those that none does."""
    found = dict[str, str]()
    for group in metric_groups(run):
        if current_model(run, group).model is None:
            reason = (
                "no model was trained yet"
                if standing_models(run.warehouse, run.name).empty
                else "its settings changed, and the next run trains a model"
            )
            needed = f"{reason}; {minimum_rows(group.settings, run.source.time_bucket.every):,} buckets are needed"
            found |= dict.fromkeys(group.metrics, needed)
    return found


def _verdict(run: SourceRun, row: Mapping[str, Any], rows: tuple[int, ...], lacking: Mapping[str, str], *, is_held: bool) -> Verdict:
    state: State = "held" if is_held else row["state"]
    is_anomaly, metric = bool(row["is_anomalous"]), str(row["metric"])
    value, expected, lower, upper = (row[name] for name in ("value", "expected", "lower", "upper"))
    return Verdict(
        series=str(row["series"]),
        metric=metric,
        at=row["observed_at"].to_pydatetime(),
        rows=rows,
        value=value,
        expected=expected,
        lower=lower,
        upper=upper,
        score=row["anomaly_score"] if state == "scored" else None,
        threshold=row["threshold"],
        is_anomaly=is_anomaly,
        severity=row["severity"] if is_anomaly else None,
        rules=dict(row["rules"]),
        state=state,
        explanation=_explanation(
            state, is_anomaly, row["rules"], value, _known(expected, lower, upper), run.source.unit(metric), lacking.get(metric, "")
        ),
    )


def _known(*numbers: float | None) -> Usual:
    return Usual(*(float("nan") if each is None else each for each in numbers))


def _explanation(
    state: State, is_anomaly: bool, rules: Mapping[str, str], value: float | None, usual: Usual, unit: str, lacking: str
) -> str:
    """One sentence."""
    if state == "held":
        return "the contract holds the rows of this bucket back, so they are not judged"
    broken = "; ".join(f"breaks the rule {name}: {message}" for name, message in rules.items())
    if value is None:
        return broken or "no value"
    if is_anomaly and state == "scored":
        return "; ".join(filter(None, (of_value(value, usual, unit), broken)))
    if state == "warming_up":
        waiting = f"not judged by a model yet: {lacking or 'the series is newer than the last training'}"
        return "; ".join(filter(None, (measured(value, unit) if unit else number(value), broken, waiting)))
    return (
        of_value(value, usual, unit, "as strange as it sometimes is")
        if usual.distance(value)
        else f"{measured(value, unit)}, inside the usual {usual}"
    )


def verdict_values(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """The verdicts as plain values."""
    return [vars(each) | {"rows": list(each.rows), "rules": dict(each.rules)} for each in verdicts]
