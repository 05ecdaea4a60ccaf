"""The ledger of models: which one of a group of metrics is current, how it became so, and how a person changes that.

`trained_models` is a ledger: a row for each time that a model got a status, so the newest row of a model says how it stands, and
the rows that made models current are the audit. Training, promoting and rolling back all go through `made_current`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from smartflow_assets.adapters.warehouse.vocabularies import ModelChange
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.core.detection import DetectionSettings, FittedModels, MetricGroup, Scoring
from smartflow_assets.core.errors import ModelError, SourceError
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.stages.metric_groups import fingerprint, metric_groups
from smartflow_assets.stages.run import SourceRun

FIRST, SETTINGS_CHANGED, UNUSABLE = "first training", "settings changed", "artefact unusable"


@dataclass(frozen=True)
class StoredModel:
    """A fitted model and the id under which it is stored."""

    model_id: str
    fitted: FittedModels


@dataclass(frozen=True)
class CurrentModel:
    """The model that judges a group of metrics, or why there is none that can."""

    model: StoredModel | None = None
    missing: str = ""


@dataclass(frozen=True)
class Switched:
    """What a promotion or a rollback did to one group of metrics."""

    label: str
    model_id: str
    replaced_model_id: str | None
    trained_at: datetime


def stored_models(warehouse: Warehouse, source: str) -> pd.DataFrame:
    """The newest row of each model of the source, and in trained_because why it was trained; in the order of training."""
    return warehouse.read(
        """
        SELECT *, first_value(reason) OVER (PARTITION BY model_id ORDER BY changed_at) AS trained_because
        FROM trained_models WHERE source = ?
        QUALIFY row_number() OVER (PARTITION BY model_id ORDER BY changed_at DESC) = 1
        ORDER BY trained_at, min(changed_at) OVER (PARTITION BY model_id), changed_at
        """,
        [source],
    )


def standing_models(warehouse: Warehouse, source: str) -> pd.DataFrame:
    """Rows of the source's models that are current."""
    models = stored_models(warehouse, source)
    return models[models["status"] == "current"]


def learnt_from_on(warehouse: Warehouse, source: str) -> datetime | None:
    """The first row that a model which stands has learnt from: its state is rebuilt from there on. None where none stands."""
    first = standing_models(warehouse, source)["trained_from"].min()
    return None if pd.isna(first) else first.to_pydatetime()


def current_model(run: SourceRun, group: MetricGroup) -> CurrentModel:
    """The current model, if it fits the configuration and its files are sound. One that cannot be trusted, or was written by
    another version, counts as none: it is trained anew, and the log says so."""
    return _judged(run, group, lambda row: _loaded(run, row, group))


def missing_model(run: SourceRun, group: MetricGroup) -> str:
    """Why there is no current model, as the ledger and the hash of its files tell it; empty when there is one.

    Where nothing is to be scored that is enough: `current_model` builds the model and tries it, for which it loads all kernels.
    """
    return _judged(run, group, lambda row: run.models.check(_artefact(row))).missing


def _judged(run: SourceRun, group: MetricGroup, take: Callable[[pd.Series], StoredModel | None]) -> CurrentModel:
    """What `take` makes of the newest current row of the group, or why there is nothing to take."""
    models = stored_models(run.warehouse, run.name)
    if models.empty:
        return CurrentModel(missing=FIRST)
    own = models[(models["status"] == "current") & (models["series"] == group.label)]
    rows = own[[_fits(run, group, row) for row in own.to_dict("records")]]
    if rows.empty:
        return CurrentModel(missing=SETTINGS_CHANGED)
    try:
        return CurrentModel(take(rows.sort_values("changed_at").iloc[-1]))
    except ModelError as error:
        run.warn(f"{error} It is trained anew.")
        return CurrentModel(missing=f"{UNUSABLE}: {error.what}")


def _fits(run: SourceRun, group: MetricGroup, row: Mapping[Any, Any]) -> bool:
    """Whether a model was trained under the settings of the group, or under some that only flag otherwise."""
    if row["fingerprint"] == fingerprint(run, group):
        return True
    try:
        trained = DetectionSettings.model_validate(json.loads(row["parameters"]))
    except ValueError:  # of a version, or with a detector, that is not here any more
        return False
    return group.settings.learns_like(trained) and row["fingerprint"] == fingerprint(run, replace(group, settings=trained))


def wanted_fingerprints(run: SourceRun, groups: Sequence[MetricGroup], models: pd.DataFrame) -> set[str]:
    """The fingerprints of models that the groups ask for: of one of these models that fits, else of one that is to be trained."""
    rows = models.to_dict("records")
    fitting = ((group, next((row for row in rows if _fits(run, group, row)), None)) for group in groups)
    return {fingerprint(run, group) if row is None else str(row["fingerprint"]) for group, row in fitting}


def unusable_because(run: SourceRun, row: pd.Series, groups: Sequence[MetricGroup]) -> str:
    """Why this stored model cannot judge what the YAML says now; empty when it can."""
    if not any(row["series"] == group.label and _fits(run, group, row.to_dict()) for group in groups):
        return "trained under other settings than the YAML's"
    try:
        context_from = _loaded(run, row).fitted.context_from
    except ModelError as error:
        return error.what
    pruned_to = run.warehouse.read(
        "SELECT max(to_at) AS at FROM writes WHERE source = ? AND table_name = 'clean_series' AND operation = 'prune'", [run.name]
    )["at"][0]
    return "rows that its state is rebuilt from were pruned" if pruned_to > context_from else ""  # NaT is not


def _loaded(run: SourceRun, row: pd.Series, group: MetricGroup | None = None) -> StoredModel:
    """The model, which flags as the settings of its group say today."""
    fitted = run.models.restore(_artefact(row), _usable)
    return StoredModel(row["model_id"], fitted if group is None else replace(fitted, settings=group.settings))


def _artefact(row: pd.Series) -> Mapping[str, Any]:
    return {str(name): value for name, value in row.items()}


def _usable(parts: ModelParts) -> FittedModels:
    fitted = FittedModels.from_parts(parts)
    Scoring(fitted).check()
    return fitted


def made_current(run: SourceRun, row: Mapping[str, Any], *, change: ModelChange, reason: str, by_whom: str = "") -> list[Append]:
    """The writes that make a model of a group of metrics the current one and retire the one before it."""
    models = stored_models(run.warehouse, run.name)
    retired = models[(models["status"] == "current") & (models["series"] == row["series"]) & (models["model_id"] != row["model_id"])]
    said = {"changed_at": _later(run, models), "changed_by": by_whom or None}
    before = retired.sort_values("changed_at")["model_id"].iloc[-1] if len(retired) else None
    made = pd.DataFrame([{**row, **said, "status": "current", "change": change, "reason": reason, "replaced_model_id": before}])
    gone = retired.assign(**said, status="retired", change="replaced", reason=f"replaced by {row['model_id']}", replaced_model_id=None)
    return [Append("trained_models", frame.drop(columns="trained_because", errors="ignore")) for frame in (made, gone)]


def made_candidate(run: SourceRun, row: Mapping[str, Any], *, change: ModelChange, reason: str, by_whom: str = "") -> list[Append]:
    """The write that stores a model beside the current one, which goes on judging."""
    said = {"changed_at": _later(run, stored_models(run.warehouse, run.name)), "changed_by": by_whom or None}
    return [Append("trained_models", pd.DataFrame([{**row, **said, "status": "candidate", "change": change, "reason": reason}]))]


def _later(run: SourceRun, models: pd.DataFrame) -> pd.Timestamp:
    """The run's clock, or just after the newest change: replays have older clocks, and the newest row must be the last written."""
    now = pd.Timestamp(run.now)
    return max(now, models["changed_at"].max() + timedelta(microseconds=1)) if len(models) else now


def promote(run: SourceRun, model_id: str, *, reason: str, by_whom: str) -> Switched:
    """Make a stored model the current one of its metrics. SourceError when it is not there, is current, or cannot be used."""
    models = stored_models(run.warehouse, run.name)
    found = models[models["model_id"] == model_id]
    if found.empty:
        raise SourceError(f"there is no model {model_id!r}", source=run.name, remedy=f"`smartflow models list {run.name}` shows them.")
    row = found.iloc[0]
    if row["status"] == "current":
        raise SourceError(f"the model {model_id} is the current one already", source=run.name, remedy="Nothing was changed.")
    return _switch(run, [row], change="promoted", reason=reason, by_whom=by_whom)[0]


def rollback(run: SourceRun, label: str | None, *, reason: str, by_whom: str) -> list[Switched]:
    """Back to the model that was current before, for one group of metrics or, all or none, for each. SourceError when there is none,
    or when it cannot be used."""
    models, remedy = stored_models(run.warehouse, run.name), f"`smartflow models list {run.name}` shows what is stored."
    labels = [group.label for group in metric_groups(run) if group.label in set(models["series"])]
    if not labels:
        raise SourceError("it has no model", source=run.name, remedy="The first one is trained when there is enough history.")
    if label is not None and label not in labels:
        raise SourceError(f"no model judges {label!r}", source=run.name, remedy=f"--series takes {' or '.join(map(repr, labels))}.")
    rows = []
    for each in labels if label is None else [label]:
        before = model_before(changes_of(run.warehouse, run.name, each))
        found = models[models["model_id"] == before]
        if found.empty:
            what = "no model was current before this one" + (f" for {each}" if len(labels) > 1 else "")
            others = f" --series rolls back {' or '.join(map(repr, labels))} alone." if label is None and len(labels) > 1 else ""
            raise SourceError(what, source=run.name, remedy=remedy + others)
        rows.append(found.iloc[0])
    return _switch(run, rows, change="rolled_back", reason=reason, by_whom=by_whom)


def _switch(run: SourceRun, rows: Sequence[pd.Series], *, change: ModelChange, reason: str, by_whom: str) -> list[Switched]:
    groups, writes, done = metric_groups(run), [], []
    for row in rows:
        if why := unusable_because(run, row, groups):
            raise SourceError(
                f"the model {row['model_id']} of {row['trained_at']:%Y-%m-%d %H:%M} cannot be used: {why}",
                source=run.name,
                remedy=f"Nothing was changed. `smartflow models list {run.name}` shows the others, `smartflow models promote` takes one.",
            )
        made, gone = made_current(run, {str(name): value for name, value in row.items()}, change=change, reason=reason, by_whom=by_whom)
        writes += [made, gone]
        done.append(Switched(row["series"], row["model_id"], made.frame["replaced_model_id"].iloc[0], row["trained_at"].to_pydatetime()))
    run.warehouse.commit(run.run_id, writes)
    return done


def changes_of(warehouse: Warehouse, source: str, label: str) -> pd.DataFrame:
    """model_id and change of each time that a model became current for a group of metrics, in order."""
    return warehouse.read(
        "SELECT model_id, change FROM trained_models WHERE source = ? AND series = ? AND status = 'current' ORDER BY changed_at",
        [source, label],
    )


def model_before(changes: pd.DataFrame) -> str | None:
    """The model that a rollback goes back to: trainings and promotions are undone one by one, the newest first.

    >>> changes = pd.DataFrame([("a", "trained"), ("b", "trained"), ("c", "trained"), ("b", "rolled_back")], columns=["model_id", "change"])
    >>> model_before(changes[:3]), model_before(changes)
    ('b', 'a')
    """
    stack: list[str] = []
    for model_id, change in changes.itertuples(index=False):
        if change == "rolled_back" and model_id in stack:
            while stack[-1] != model_id:
                stack.pop()
        else:
            stack.append(model_id)
    return stack[-2] if len(stack) > 1 else None


def kept_models(warehouse: Warehouse, source: str) -> set[str]:
    """Models whose files must stay: those that are current, and those that a rollback goes back to."""
    standing = standing_models(warehouse, source)
    before = (model_before(changes_of(warehouse, source, label)) for label in standing["series"].unique())
    return set(standing["model_id"]) | {model_id for model_id in before if model_id is not None}
