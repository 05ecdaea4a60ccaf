"""What a changed YAML will do: rows rebuilt, models trained anew, or nothing but the next run.

The warehouse keeps, with the clean rows of a source, the configuration that they were made under (`Source.fingerprint`, JSON
that people can read); here it is compared with what the file says now. Acting on it is the stages' work.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from smartflow_assets.config.source import Source
from smartflow_assets.core.temporal.notation import format_duration

Effect = Literal["first_run", "nothing", "replace", "retrain", "rebuild", "removal"]

_SENTENCES: dict[Effect, str] = {
    "first_run": "the source is new: its rows are read, its models trained",
    "nothing": "nothing is made anew; detection, rules, alerts and schedule hold from the next run on",
    "replace": "stored rows give way to those that are read now, and what was made of them is made anew where they differ",
    "retrain": "models are trained anew; rows that have a score keep it",
    "rebuild": "clean rows, features, scores and anomalies are made anew from the raw records, and models are trained anew; "
    "nobody is alerted again for the past",
    "removal": "its partition goes and its open incidents are closed; its rows stay until they are pruned",
}


@dataclass(frozen=True)
class KeyChange:
    """One key of the configuration that rows were made under, before and after; None is a key without a value."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key}: {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True)
class Plan:
    """What the next run of a source will do because of its configuration."""

    source: str
    effect: Effect
    changes: tuple[KeyChange, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = [*map(str, self.changes), *self.notes]
        return "\n".join([f"{self.source}: {_SENTENCES[self.effect]}", *(f"  {each}" for each in said)])


def compare(
    source: Source,
    *,
    rows_made_under: str | None,
    models: Collection[str] = (),
    models_wanted: Collection[str] = (),
) -> Plan:
    """Compare a source with what is stored of it.

    `rows_made_under`: the fingerprint of its clean rows, None when it has none. `models`: fingerprints of its current models,
    `models_wanted`: those that its settings ask for now.
    """
    if rows_made_under is None:
        return Plan(source.name, "first_run")
    changes = changes_between(rows_made_under, source.fingerprint)
    if changes:
        return Plan(source.name, "rebuild", changes)
    return Plan(source.name, "nothing" if set(models_wanted) <= set(models) else "retrain")


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
    differing = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return tuple(KeyChange(key, before.get(key), after.get(key)) for key in differing)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _shown(value: Any) -> str:
    if value in (None, [], ""):
        return "by default"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, list):
        return ", ".join(" ".join(map(str, filter(None, item))) if isinstance(item, list) else str(item) for item in value)
    return str(value)
