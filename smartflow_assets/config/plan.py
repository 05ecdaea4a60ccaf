"""What a changed YAML will do: rows rebuilt, models trained anew, or nothing but the next run.

The warehouse keeps, with the clean rows of a source, the configuration that they were made under (`Source.fingerprint`, JSON
that people can read), with its models the settings that they were trained under, and in `configurations` all that the YAML said when a
run last came through; here it is compared with what the file says now. Acting on it is the stages' work.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from smartflow_assets.config.configuration_record import by_name, configuration_of, is_default
from smartflow_assets.config.metric import DETECTION_KEYS
from smartflow_assets.config.source import Source

Effect = Literal["first_run", "nothing", "replace", "retrain", "rebuild", "removal"]
KeyEffect = Literal["rows", "models", "anew", "reading", "coming", "channels", "kept", "nothing"]

_SENTENCES: dict[Effect, str] = {
    "first_run": "the source is new: its rows are read, its models trained",
    "nothing": "nothing is made anew; detection, rules, alerts and schedule hold from the next run on",
    "replace": "stored rows give way to those that are read now, and what was made of them is made anew where they differ",
    "retrain": "models are trained anew; rows that have a score keep it",
    "rebuild": "clean rows, features, scores and anomalies are made anew from the raw records, and models are trained anew; "
    "nobody is alerted again for the past",
    "removal": "its partition goes and its open incidents are closed; its rows stay until they are pruned",
}
_EFFECTS: dict[KeyEffect, str] = {
    "rows": "rows are made anew",
    "models": "models are trained anew",
    "anew": "all is read anew, and rows replaced where they differ",
    "reading": "what is read from now on",
    "coming": "only what comes",
    "channels": "only who is told",
    "kept": "only how long rows stay",
    "nothing": "changes no result",
}
_OF_ROWS = (  # what `Source.fingerprint` holds
    ("read", "time"),
    ("time_bucket", "every"),
    ("time_bucket", "fill"),
    ("time_bucket", "max_gap"),
    ("calendar", "timezone"),
    ("dimensions",),
    ("encode",),
    ("retire_after",),
)
_OF_METRIC = ("name", "column", "aggregate", "transform", "without_rows", "where", "dimensions")
ZONE_OF_TIMES = ("read", "time", "timezone")  # makes rows anew where it moves some, which their values say
_OF_KEYS: tuple[tuple[tuple[str, ...], KeyEffect], ...] = (  # the first that fits; what is not here holds for what comes
    (("calendar", "holidays"), "models"),
    (("calendar", "events"), "models"),
    (("records", "false_alerts"), "coming"),
    (("records",), "models"),
    (("alerts", "to"), "channels"),
    (("alerts", "min_severity"), "channels"),
    *((("alerts", key), "channels") for key in ("max_age", "routes", "min_points", "suppress_for", "remind_every", "maintenance")),
    (("retention",), "kept"),
    (ZONE_OF_TIMES, "nothing"),
    (("read", "type"), "anew"),
    (("read", "path"), "reading"),
    (("read", "pattern"), "reading"),
    (("on_bad_rows", "do"), "anew"),
    (("description",), "nothing"),
    (("owner",), "nothing"),
    (("tags",), "nothing"),
)
_NONE = "none"  # a metric, a rule or another member of a list that is not there


@dataclass(frozen=True)
class KeyChange:
    """One key of the configuration, before and after, and what comes of it; None is a key without a value."""

    key: str
    before: Any
    after: Any
    effect: KeyEffect = "rows"

    def __str__(self) -> str:
        return f"{self.key}: {_shown(self.before)} -> {_shown(self.after)} ({_EFFECTS[self.effect]})"


@dataclass(frozen=True)
class Plan:
    """What the next run of a source will do because of its configuration."""

    source: str
    effect: Effect
    changes: tuple[KeyChange, ...] = ()
    notes: tuple[str, ...] = ()
    is_all_known: bool = True
    """Whether it is stored what the YAML said before; without, `changes` are those of clean rows alone."""

    def __str__(self) -> str:
        said = [*map(str, self.changes), *self.notes]
        is_same = self.effect == "nothing" and self.is_all_known and not said
        sentence = "nothing has changed since the last run" if is_same else _SENTENCES[self.effect]
        return "\n".join([f"{self.source}: {sentence}", *(f"  {each}" for each in said)])


def compare(
    source: Source,
    *,
    rows_made_under: str | None,
    models: Collection[str] = (),
    models_wanted: Collection[str] = (),
    configuration: Mapping[str, Any] | None = None,
) -> Plan:
    """Compare a source with what is stored of it.

    `rows_made_under`: the fingerprint of its clean rows, None when it has none. `models`: fingerprints of its current models,
    `models_wanted`: those that its settings ask for now. `configuration`: what its YAML said in the last run that came through
    (`configuration_record`), None where that is not known.
    """
    if rows_made_under is None and configuration is None:
        return Plan(source.name, "first_run")
    if rows_made_under is None:  # it has run, and its rows have made no bucket yet: all are in the future, or none holds a number
        return Plan(source.name, "nothing", tuple(_others(configuration or {}, source, is_fitting=False)))
    of_rows = changes_between(rows_made_under, source.fingerprint)
    is_fitting = set(models_wanted) <= set(models)
    effect: Effect = "rebuild" if of_rows else "nothing" if is_fitting else "retrain"
    if configuration is None:
        return Plan(source.name, effect, of_rows, is_all_known=False)
    changes = (*of_rows, *_others(configuration, source, is_fitting=is_fitting))
    if effect == "nothing" and any(change.effect == "anew" for change in changes):
        effect = "replace"
    return Plan(source.name, effect, tuple(sorted(changes, key=lambda change: list(_EFFECTS).index(change.effect))))


def removal(name: str) -> Plan:
    """What it means that a source's file is gone."""
    return Plan(name, "removal")


def changes_between(stored: str, current: str) -> tuple[KeyChange, ...]:
    """The keys in which two fingerprints differ. A bucket that the YAML leaves open differs from none, nor does a zone of times: whether
    rows move by that their values say, and those that did say so themselves (stages.moved_times)."""
    before, after = _flat(json.loads(stored)), _flat(json.loads(current))
    if after.get("time_bucket.every") is None:
        before.pop("time_bucket.every", None)
        after.pop("time_bucket.every", None)
    if before.get("read.time.timezone") is None or after.get("read.time.timezone") is None:
        before.pop("read.time.timezone", None)
        after.pop("read.time.timezone", None)
    changes: list[KeyChange] = []
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            changes += _of_metrics(before[key], after[key]) if key == "metrics" else [KeyChange(key, before.get(key), after.get(key))]
    return tuple(changes)


def said_differences(before: Any, after: Any) -> list[str]:
    """The keys in which two configurations differ, each in words.

    >>> said_differences({"time_bucket": {"every": "5min"}}, {"time_bucket": {"every": "1h"}})
    ['time_bucket.every: 5min -> 1h']
    """
    return [f"{_dotted(at)}: {_shown(old)} -> {_shown(new)}" for at, old, new in _differences(before, after)]


def _of_metrics(before: Sequence[Sequence[str | None]], after: Sequence[Sequence[str | None]]) -> list[KeyChange]:
    """The keys in which metrics differ, as fingerprints hold them (`Metric.made_under`)."""
    old, new = ([_metric(metric) for metric in metrics] for metrics in (before, after))
    changes = [KeyChange(_dotted(at), *values) for at, *values in _differences(old, new, ("metrics",))] if old and new else []
    return changes or [KeyChange("metrics", old, new)]  # all of them, or their order


def _metric(made_under: Sequence[str | None]) -> dict[str, Any]:
    """A metric of a fingerprint with its keys as the YAML has them."""
    name, column, aggregate, *others = made_under
    keys: dict[str, Any] = {"name": name, "column": column, "aggregate": aggregate}
    for other in filter(None, others):
        if other.startswith("where "):
            keys["where"] = other.removeprefix("where ")
        elif other.startswith("by "):
            keys["dimensions"] = [] if other == "by nothing" else other.removeprefix("by ").split(", ")
        elif other == "without rows zero":
            keys["without_rows"] = "zero"
        else:
            keys["transform"] = other
    return keys


def _others(configuration: Mapping[str, Any], source: Source, *, is_fitting: bool) -> Iterator[KeyChange]:
    """The keys that have changed since the last run and are in no fingerprint of clean rows."""
    for at, before, after in _differences(configuration, configuration_of(source)):
        if not _is_of_rows(at) and not (before is None and is_default(source, at)):
            effect = _effect(at, source)
            is_kept = is_fitting and effect == "models" and at[0] != "records"  # no model has been trained, or each says it otherwise
            yield KeyChange(_dotted(at), before, after, "coming" if is_kept else effect)


def _is_of_rows(at: Sequence[str]) -> bool:
    """Does a fingerprint of clean rows say it? All of a metric that comes or goes, and the keys that make its values."""
    if at[0] == "metrics":
        return len(at) < 3 or at[2] in _OF_METRIC
    return tuple(at) != ZONE_OF_TIMES and any(tuple(at[: len(key)]) == key for key in _OF_ROWS)


def _effect(at: Sequence[str], source: Source) -> KeyEffect:
    if at[0] == "read" and any(map(source.read.is_read_anew_after, at[1:2])):
        return "anew"
    if at[0] in DETECTION_KEYS or (at[0] == "metrics" and at[2] in DETECTION_KEYS):
        return "models"
    for key, effect in _OF_KEYS:
        if tuple(at[: len(key)]) == key:
            return effect
    return "coming"


def _differences(before: Any, after: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where two nested values differ: the place, and what stands there. Members of lists are told apart by name."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from _differences(before.get(key), after.get(key), (*at, key))
    elif (old := by_name(before)) is not None and (new := by_name(after)) is not None:
        for name in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(name, _NONE), new.get(name, _NONE), (*at, name))
    elif before != after:
        yield at, before, after


def _dotted(at: Sequence[str]) -> str:
    return ".".join(at)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _shown(value: Any) -> str:
    if value in (None, [], {}, ""):
        return "by default"
    if isinstance(value, Mapping):
        said = {key: _shown(item) for key, item in value.items() if item not in (None, [], {}, "") and key != "name"}
        kind = [said.pop("type")] if "type" in said else []
        return ", ".join([*kind, *(f"{key} {text}" for key, text in said.items())])
    if isinstance(value, list):
        return ", ".join(
            str(item.get("name") or item.get("type") or _shown(item)) if isinstance(item, Mapping) else str(item) for item in value
        )
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)
