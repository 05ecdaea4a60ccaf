"""What a source looks like from outside, before a run or in the place of one: its origin, its settings, and how its tables stand.

Where all three are as they were before a run that found nothing to do, the next run would find nothing either, until the clock alone
asks for something else (`next_decision`). An origin is asked in a thread, since a server that does not answer must delay nobody.
"""

import hashlib
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import NamedTuple

import pandas as pd

from smartflow_assets.adapters.ingest import feed_state
from smartflow_assets.adapters.readers.feed import FeedReader
from smartflow_assets.adapters.readers.file_signature import signature_of_files
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext
from smartflow_assets.adapters.warehouse.tables import SCHEMA_VERSION
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.core.errors import SourceError

DECIDING_STAGES = frozenset(
    {
        "raw_records",
        "schema_checks",
        "drift_checks",
        "data_profile",
        "clean_series",
        "record_anomalies",
        "rule_violations",
        "series_features",
        "trained_models",
        "anomaly_scores",
        "anomalies",
        "detection_quality",
        "incidents",
        "alert_sends",
        "analyst_snapshot",
    }
)
"""A run that leaves one of them out has not found out whether there is anything to do."""
PATIENCE = timedelta(seconds=5)
"""So long an origin may take to say what it looks like; all are asked at once."""
_TELLS_NOTHING = ("run_log", "alert_sends", "source_looks", "configurations", "writes")
"""Ledgers that runs, sensors and looks write beside their work, and that decide nothing."""
BY_PEOPLE = "incidents"
"""The `run_id` of what people decide about incidents: it leaves a run nothing to do, so it costs none."""
NEWEST_WRITES = f"""
SELECT source, max(written_at) AS written_at FROM writes
WHERE table_name NOT IN ({", ".join(f"'{name}'" for name in _TELLS_NOTHING)}) AND run_id IS DISTINCT FROM '{BY_PEOPLE}' GROUP BY source
"""
_PLUG_INS = ("readers", "detectors", "rules", "channels", "actions")
_log = logging.getLogger("smartflow")
_asking: dict[str, threading.Thread] = {}


class Probed(NamedTuple):
    """What an origin says of itself, or why it says nothing; one of the two is empty."""

    signature: str
    silent_because: str = ""


@dataclass(frozen=True)
class Appearance:
    """A source as a run found it. `asked_from`: from when on a server is asked; `written_at`: the newest change of its tables."""

    origin: Probed
    configuration: str
    asked_from: datetime | None
    written_at: datetime | None


def appearance(source: Source, settings: Settings, warehouse: Warehouse, now: datetime) -> Appearance | None:
    """The source as it is now, before anything of it is read; None where that cannot be said. The caller holds the lock of the source."""
    try:
        with warehouse.reading():
            written_at, asked_from = newest_write(warehouse, source.name), _asked_from(source, settings, warehouse, now)
        context = probe_context(source, settings, now, asked_from)
        [origin] = probed({source.name: lambda: source.read.probe(context)}).values()
        return Appearance(origin, configuration_signature(source, settings), asked_from, written_at)
    except Exception:  # a run that nothing rests on is better than none; what is really wrong stops its stages
        _log.exception("%s: no look can rest on this run", source.name)
        return None


def newest_write(warehouse: Warehouse, source: str) -> datetime | None:
    """When the tables of a source were changed last; None where they never were."""
    found = warehouse.read(f"SELECT max(written_at) AS at FROM ({NEWEST_WRITES}) WHERE source = ?", [source])["at"].iloc[0]
    return None if pd.isna(found) else found.to_pydatetime()


def probe_context(source: Source, settings: Settings, now: datetime, asked_from: datetime | None) -> ProbeContext:
    """What the reader of a source is given to look at its origin."""
    return ProbeContext(source.name, settings.data, now, asked_from, source.calendar.timezone, PATIENCE.total_seconds())


def probed(asks: Mapping[str, Callable[[], str | None]], patience: timedelta = PATIENCE) -> dict[str, Probed]:
    """The answers of many origins by source, all asked at once; one that has not answered in time says nothing.

    What hangs cannot be ended. It is not asked a second time meanwhile, so that there is never more than one such thread of a source.
    """
    answers: queue.SimpleQueue[tuple[str, Probed]] = queue.SimpleQueue()
    found = dict[str, Probed]()

    def ask(name: str, probe: Callable[[], str | None]) -> None:
        answers.put((name, _answer(probe)))

    for name, probe in asks.items():
        if (before := _asking.get(name)) is not None and before.is_alive():
            found[name] = Probed("", "its origin has not answered yet since the last look")
            continue
        _asking[name] = threading.Thread(target=ask, args=(name, probe), name=f"look at {name}", daemon=True)
        _asking[name].start()
    deadline = time.monotonic() + patience.total_seconds()
    while len(found) < len(asks):
        try:
            name, answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[name] = answer
    late = Probed("", f"its origin did not answer within {patience.total_seconds():g} s")
    return {name: found.get(name, late) for name in asks}


def _answer(probe: Callable[[], str | None]) -> Probed:
    try:
        signature = probe()
    except SourceError as error:
        return Probed("", f"its origin cannot be looked at: {error.what}")
    except BaseException as error:  # whatever a reader of another package raises, an exit among it; its text may hold a secret
        return Probed("", f"its origin cannot be looked at ({type(error).__name__})")
    return Probed(str(signature)) if signature else Probed("", "its origin does not say whether anything is new")


def configuration_signature(source: Source, settings: Settings) -> str:
    """A hash of all that makes a run do something else with the same rows: settings, defaults, labels, our version and that of plug-ins."""
    labels = None
    if source.labels is not None:
        try:
            labels = signature_of_files([settings.data / source.labels]) or f"changed just now, {time.time_ns()}"
        except OSError as error:
            labels = type(error).__name__
    told = json.dumps([_versions(), source.resolved(), labels], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Of what judges the rows: a process keeps the code that it has imported."""
    try:
        ours = version("smartflow")
    except PackageNotFoundError:
        ours = ""
    added = [point.dist for kind in _PLUG_INS for point in entry_points(group=f"smartflow.{kind}")]
    return {"smartflow": f"{ours} {SCHEMA_VERSION}", **{package.name: package.version for package in added if package is not None}}


def _asked_from(source: Source, settings: Settings, warehouse: Warehouse, now: datetime) -> datetime | None:
    """From when on a run would ask the server of the source for rows; None for all, and for what is no server."""
    reader, zone = source.read, source.calendar.timezone
    if not isinstance(reader, FeedReader):
        return None
    reached = feed_state(warehouse, source.name, reader.prefix, reader.reading(source.wanted, zone)).reached
    return reader.asked_from(ReadContext(source.name, settings.data, settings.staging, now=now, reached=reached, timezone=zone))
