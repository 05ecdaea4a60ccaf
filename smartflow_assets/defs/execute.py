"""Run a job for one source in this process, on the instance that the UI shows, and close it.

What `smartflow run`, `train` and `demo` call. The run has its partition, tags, logs and metadata like any other. A dry run is
kept out of the shared history: it works on a throw-away instance as it works on a throw-away copy of the warehouse.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from smartflow_assets.adapters.files.access import private
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.names import OPTIONS, PARTITION_SET, prefixed
from smartflow_assets.defs.partitions import DRY_RUN_TAG, REASON_TAG, SOURCE_TAG
from smartflow_assets.defs.resources import LISTENER, Listener, open_warehouse
from smartflow_assets.defs.run_closing import close_run, facts_of, failures_of, notes_of
from smartflow_assets.stages.alerting import Failure


@dataclass(frozen=True)
class Outcome:
    """How one run ended. `facts` are the numbers that the assets reported, `notes` what
    they have to tell, `seconds` its time on the wall with all that follows it."""

    source: str
    run_id: str
    is_success: bool
    failures: tuple[Failure, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def execute(
    instance: dg.DagsterInstance,
    settings: Settings,
    job: str,
    source: str,
    options: dict[str, Any],
    *,
    reason: str = "command line",
    on_stage: Listener | None = None,
) -> Outcome:
    """Run `job`, named without its prefix, for `source` and close the run.

    `options` are fields of RunOptions; `on_stage` is told each stage as it begins.
    """
    is_dry = bool(options.get("dry_run"))
    job = prefixed(job)
    tags = {SOURCE_TAG: source, REASON_TAG: reason} | ({DRY_RUN_TAG: "true"} if is_dry else {})
    begun, listening = time.monotonic(), LISTENER.set(on_stage)
    try:
        with private(), _throw_away(source) if is_dry else contextlib.nullcontext(instance) as home:
            result = (
                build_definitions()
                .resolve_job_def(job)
                .execute_in_process(
                    instance=home,
                    partition_key=source,
                    raise_on_error=False,
                    tags=tags,
                    run_config={"resources": {OPTIONS: {"config": options}}},
                )
            )
            facts, _ = facts_of(home, result.run_id)
            failures, notes = tuple(failures_of(home, result.run_id)), notes_of(home, result.run_id)
            close_run(home, result.run_id, settings=settings)
            facts |= {} if is_dry else _told(settings, result.run_id)
    finally:
        LISTENER.reset(listening)
    return Outcome(source, result.run_id, result.success, failures, facts, notes, time.monotonic() - begun)


def _told(settings: Settings, run_id: str) -> dict[str, float]:
    """What the run did to incidents and messages, with its closing: a failed run opens an incident of its own."""
    counts = open_warehouse(settings).read(
        """
        SELECT (SELECT count(*) FROM incident_events WHERE run_id = ? AND event IN ('opened', 'reopened')) AS incidents_opened,
               (SELECT count(*) FROM incident_events WHERE run_id = ? AND event = 'resolved') AS incidents_resolved,
               (SELECT count(*) FROM alert_sends WHERE run_id = ? AND status = 'sent') AS messages_sent
        """,
        [run_id] * 3,
    )
    return {str(name): float(count) for name, count in counts.iloc[0].items()}


@contextlib.contextmanager
def _throw_away(source: str) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(PARTITION_SET, [source])
        yield instance
