"""Looks: is there anything to do for a source that is due? Where there is not, a row of `source_looks` takes the place of a run.

A look rests on a run that found nothing to do: it has changed no table, so a second one would have changed none either. It keeps what the
source looked like before it read anything (`appearance`), and when the clock alone may ask for something else (`next_decision`). As long as
the one is the same and the other has not come, there is nothing to do. Whatever cannot be said is a reason to run.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from smartflow_assets.adapters.send_ledger import unsent_sources
from smartflow_assets.adapters.warehouse.vocabularies import LookOutcome
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.source import Source
from smartflow_assets.core.incidents.event_log import Row, row_dicts
from smartflow_assets.stages.next_decision import next_decision
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.scheduling.appearance import (
    NEWEST_WRITES,
    configuration_signature,
    newest_write,
    probe_context,
    probed,
)

COPIED_EACH = timedelta(minutes=10)
"""A copy costs as much as hundreds of looks, and nobody waits for one that says nothing new."""
NOTHING_NEW = "nothing new"
_RESTS_ON = ("run_id", "origin_signature", "configuration_signature", "asked_from", "written_at", "decision_at", "decision")
_STANDING = f"""
WITH newest AS (SELECT max(rowid) FILTER (WHERE outcome = 'nothing_new') AS basis, max(rowid) AS look FROM source_looks GROUP BY source),
     runs AS (SELECT source, arg_max(run_id, rowid) AS run_id, arg_max(status, rowid) AS status FROM run_log GROUP BY source),
     changes AS ({NEWEST_WRITES}),
     snoozes AS (SELECT source, min(snoozed_until) AS wakes_at FROM incidents GROUP BY source)
SELECT look.source AS source, {", ".join(f"basis.{name} AS {name}" for name in _RESTS_ON)}, basis.looked_at AS looked_at,
       CASE look.outcome WHEN 'run' THEN look.reason END AS asked_because,
       coalesce(runs.run_id = basis.run_id AND runs.status = 'success', FALSE) AS is_last_run,
       changes.written_at IS NOT DISTINCT FROM basis.written_at AS is_unchanged, snoozes.wakes_at AS wakes_at
FROM newest JOIN source_looks AS look ON look.rowid = newest.look
LEFT JOIN source_looks AS basis ON basis.rowid = newest.basis
LEFT JOIN runs ON runs.source = look.source LEFT JOIN changes ON changes.source = look.source
LEFT JOIN snoozes ON snoozes.source = look.source
"""
_OPEN = """
SELECT source, count(*) FILTER (coalesce(group_id, incident_id) = incident_id) AS n, bool_or(cause = 'freshness') AS is_silent,
       bool_or(starts_with(cause, 'load:')) AS is_blocked
FROM incidents WHERE state IN ('open', 'acknowledged') GROUP BY source
"""


@dataclass(frozen=True)
class Looked:
    """What a look at some sources came to: why each is worth a run, and which are not."""

    worth: Mapping[str, str] = field(default_factory=dict)
    nothing_new: Sequence[str] = ()

    def __str__(self) -> str:
        count = len(self.nothing_new)
        return f"{NOTHING_NEW}: {count} source{'s' if count != 1 else ''}" if count else ""

    def reasons(self) -> str:
        """The sources that are worth a run, together where they are so for one reason."""
        by_reason = dict[str, list[str]]()
        for name, reason in self.worth.items():
            by_reason.setdefault(reason, []).append(name)
        return "; ".join(f"{', '.join(sorted(names))}: {reason}" for reason, names in by_reason.items())


def look(catalogue: Catalogue, due: Iterable[str], warehouse: Warehouse, now: datetime) -> Looked:
    """Look at the sources that are due, and write down what was found: one read and one commit for all of them."""
    due = sorted(due)
    known = {str(row["source"]): row for row in row_dicts(warehouse.read(_STANDING))} if due else {}
    worth, asked = dict[str, str](), dict[str, Source]()
    for name in due:
        source = catalogue.sources.get(name)
        if source is None:
            worth[name] = "its file cannot be used"
        elif reason := _settled_by(source, known.get(name, {}), catalogue, now):
            worth[name] = reason
        else:
            asked[name] = source
    for name, found in probed({name: _probe(source, known[name], catalogue, now) for name, source in asked.items()}).items():
        if found.silent_because or found.signature != known[name]["origin_signature"]:
            worth[name] = found.silent_because or "its origin has changed"
    looked = Looked(dict(sorted(worth.items())), [name for name in due if name not in worth])
    rows = [_row(name, now, "nothing_new", NOTHING_NEW, known[name]) for name in looked.nothing_new]
    rows += [_row(name, now, "run", why) for name, why in looked.worth.items() if known.get(name, {}).get("asked_because") != why]
    if rows:
        warehouse.commit("look", [Append("source_looks", pd.DataFrame(rows))])
    return looked


def look_at_all(catalogue: Catalogue, warehouse: Warehouse, now: datetime) -> Looked:
    """Look at every source, due or not, where nobody but the caller sees to it that messages go out: one with a message that has not, and
    does not wait for a digest or a limit, is worth a run."""
    unsent = unsent_sources(warehouse, catalogue.channels, now) & set(catalogue.names)
    looked = look(catalogue, set(catalogue.names) - unsent, warehouse, now)
    return Looked({**looked.worth, **dict.fromkeys(sorted(unsent), "a message has not gone out")}, looked.nothing_new)


@dataclass(frozen=True)
class Standing:
    """What is open of a source though nothing is new: how many incidents, and whether it is silent, or a load of it blocked."""

    open_incidents: int = 0
    is_silent: bool = False
    is_blocked: bool = False


def standing(warehouse: Warehouse) -> dict[str, Standing]:
    """Each source of which something is open."""
    rows = row_dicts(warehouse.read(_OPEN))
    return {str(row["source"]): Standing(int(row["n"]), bool(row["is_silent"]), bool(row["is_blocked"])) for row in rows}


def publish_looks(warehouse: Warehouse) -> bool:
    """Let the published copy tell of looks as well; every run publishes it, so only where the last one is long ago, or is gone or damaged.
    Whether it did."""
    copy = warehouse.published
    is_old = copy.exists() and time.time() - copy.stat().st_mtime >= COPIED_EACH.total_seconds()
    return (is_old or not warehouse.has_sound_copy()) and warehouse.publish("look")


def note_nothing_new(run: SourceRun) -> bool:
    """At the end of a run: if it has changed no table, and its origin can be looked at, the next looks rest on it. Whether they do."""
    seen = run.appearance
    if seen is None or not seen.origin.signature:
        return False
    with run.warehouse.reading():
        if newest_write(run.warehouse, run.name) != seen.written_at:
            return False
        decision = next_decision(run)
    basis = {
        "run_id": run.run_id,
        "origin_signature": seen.origin.signature,
        "configuration_signature": seen.configuration,
        "asked_from": seen.asked_from,
        "written_at": seen.written_at,
        "decision_at": decision.at,
        "decision": decision.reason,
    }
    rows = pd.DataFrame([_row(run.name, run.now, "nothing_new", "a run found nothing to do", basis)])
    run.warehouse.commit(run.run_id, [Append("source_looks", rows)])
    return True


def _settled_by(source: Source, known: Row, catalogue: Catalogue, now: datetime) -> str:
    """Why a run is due without a look at the origin; empty where that decides."""
    if known.get("run_id") is None:
        return "no run has found nothing to do yet"
    if not known["is_last_run"]:
        return "its last run has not ended with success, or found something to do"
    if not known["is_unchanged"]:
        return "its tables have changed"
    if known["looked_at"] > now:
        return "the clock was ahead at the last look"
    if known["decision_at"] <= now:
        return str(known["decision"])
    if known["wakes_at"] is not None and known["wakes_at"] <= now:
        return "a snooze is over"
    try:
        is_as_it_was = configuration_signature(source, catalogue.settings) == known["configuration_signature"]
    except Exception as error:  # of this source alone: its run says what is wrong
        return f"its settings cannot be looked at ({type(error).__name__})"
    return "" if is_as_it_was else "its settings have changed"


def _probe(source: Source, known: Row, catalogue: Catalogue, now: datetime) -> Callable[[], str | None]:
    context = probe_context(source, catalogue.settings, now, known["asked_from"])
    return lambda: source.read.probe(context)


def _row(name: str, now: datetime, outcome: LookOutcome, reason: str, basis: Mapping[str, Any] | None = None) -> Row:
    known = basis or {}
    return {"source": name, "looked_at": now, "outcome": outcome, "reason": reason} | {key: known.get(key) for key in _RESTS_ON}
