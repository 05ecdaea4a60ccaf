"""After every run, exactly once: failures become incidents, due messages go out, the copy is published, the run is logged.

A failed step skips everything below it, incidents, sends and snapshot included. So each run is closed from outside:
`smartflow run` calls this itself, two run-status sensors call it for all other runs. Whoever comes second finds the run in
`run_log` and does nothing.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from smartflow_assets.adapters.warehouse.vocabularies import RunStatus
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SourceError
from smartflow_assets.defs.jobs import our_job
from smartflow_assets.defs.metadata import NOTE
from smartflow_assets.defs.partitions import DRY_RUN_TAG, KILLED_TAG, PARTITION_TAG, REASON_TAG
from smartflow_assets.defs.resources import closing_lock, given_clock, open_warehouse
from smartflow_assets.stages.alerting import Failure
from smartflow_assets.stages.run_closing import RunRecord, close, is_closed

CLOSING_PATIENCE = timedelta(minutes=2)


@dataclass(frozen=True)
class Closed:
    """What closing a run did; `is_new` is False when somebody else had closed it before."""

    is_new: bool
    failures: tuple[Failure, ...] = ()


def close_run(instance: dg.DagsterInstance, run_id: str, *, settings: Settings | None = None) -> Closed:
    """Close one finished run of ours; idempotent. Dry runs and runs of other jobs are left alone."""
    run = instance.get_run_by_id(run_id)
    if run is None or not run.is_finished or run.tags.get(DRY_RUN_TAG) or _options(run).get("dry_run") or our_job(run) is None:
        return Closed(is_new=False)
    run = _with_death_noted(instance, run)
    settings = settings or Settings.from_environment(os.environ)
    with closing_lock(settings).exclusive(CLOSING_PATIENCE, holder=run_id):
        warehouse = open_warehouse(settings)
        if is_closed(warehouse, run_id):
            return Closed(is_new=False)
        record = _record(instance, run)
        close(record, warehouse=warehouse, settings=settings, catalogue=Catalogue.load(settings), environment=os.environ)
        return Closed(is_new=True, failures=record.failures)


def _record(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunRecord:
    """The run as the event log tells it."""
    stats = instance.get_run_record_by_id(run.run_id)
    options = _options(run)
    started = datetime.fromtimestamp(stats.start_time, UTC) if stats and stats.start_time else datetime.now(UTC)
    ended = datetime.fromtimestamp(stats.end_time, UTC) if stats and stats.end_time else started
    facts, seconds = facts_of(instance, run.run_id)
    failures = tuple(failures_of(instance, run.run_id))
    return RunRecord(
        run_id=run.run_id,
        job=our_job(run) or run.job_name,
        source=run.tags.get(PARTITION_TAG, "*"),
        status=_status(run, failures),
        started_at=started,
        ended_at=ended,
        as_of=_clock(options, started),
        reason=run.tags.get(REASON_TAG, "manual"),
        failures=failures,
        facts=facts,
        seconds=seconds,
        succeeded_steps=frozenset(seconds),
        is_sending=bool(options.get("send", True)),
    )


def _clock(options: dict[str, Any], started_at: datetime) -> datetime | None:
    """The clock that the run was given. One that was refused has failed the run, and that run must be closed too."""
    try:
        return given_clock(options.get("as_of"), started_at)
    except SourceError:
        return None


def _with_death_noted(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    """The run, with the tag of a killed one if its process ended without a word.

    Dagster's code server fails the runs that it started within a second of their death, long before housekeeping sees them,
    and says nothing but that: a run that failed by itself has left an error or a reason.
    """
    if run.status != dg.DagsterRunStatus.FAILURE or run.tags.get(KILLED_TAG):
        return run
    ends = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    if not ends or any(entry.dagster_event and entry.dagster_event.event_specific_data for entry in ends):
        return run
    instance.add_run_tags(run.run_id, {KILLED_TAG: "true"})
    return instance.get_run_by_id(run.run_id) or run


def _status(run: dg.DagsterRun, failures: tuple[Failure, ...]) -> RunStatus:
    """success, failed, killed, or canceled: ended by somebody who wanted it."""
    if run.status == dg.DagsterRunStatus.SUCCESS:
        return "success"
    if run.tags.get(KILLED_TAG):
        return "killed"
    return "failed" if failures else "canceled"


def _options(run: dg.DagsterRun) -> dict[str, Any]:
    resources: Any = run.run_config.get("resources") or {}
    return dict(resources.get("options", {}).get("config") or {})


def facts_of(instance: dg.DagsterInstance, run_id: str) -> tuple[dict[str, float], dict[str, float]]:
    """Numbers that the assets reported, by name, and seconds of each step that succeeded."""
    facts: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for entry in instance.all_logs(run_id, of_type={dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.STEP_SUCCESS}):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS:
            seconds[str(event.step_key)] = round(event.step_success_data.duration_ms / 1000, 3)
        else:
            for name, value in event.step_materialization_data.materialization.metadata.items():
                if isinstance(value.value, int | float):
                    facts[name] = float(value.value)
    return facts, seconds


def notes_of(instance: dg.DagsterInstance, run_id: str) -> tuple[str, ...]:
    """What the assets have to tell whoever started the run."""
    events = (entry.dagster_event for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION))
    told = (event.step_materialization_data.materialization.metadata.get(NOTE) for event in events if event is not None)
    return tuple(str(note.value) for note in told if note is not None)


def failures_of(instance: dg.DagsterInstance, run_id: str) -> list[Failure]:
    """Failed steps, failed blocking checks, and a run that failed outside any step, each with the innermost reason. A killed or
    interrupted run has none of its own: the next one goes on by itself, and nobody needs to be woken."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return []
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
    steps, checks, whole, is_interrupted = [], [], [], False
    for entry in instance.all_logs(run_id, of_type=kinds):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            if _is_interrupt(event.step_failure_data.error):
                is_interrupted = True
                continue
            steps.append(Failure(cause=str(event.step_key), message=_reason(event.step_failure_data.error)))
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
            error = event.job_failure_data.error if event.event_specific_data else None  # failed from outside: no data
            whole.append(Failure(cause="run", message=_reason(error) if error else event.message or "the run failed"))
        else:
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                message = check.description or f"the check {check.check_name} failed"
                checks.append(Failure(cause=f"check:{check.check_name}", message=message))
    return steps + checks or ([] if is_interrupted or run.tags.get(KILLED_TAG) else whole)


def _is_interrupt(error: Any) -> bool:
    """Ctrl-C or a termination from the UI: somebody wanted it, so it is no failure that others must hear of."""
    while error is not None:
        if error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt"):
            return True
        error = error.cause
    return False


def _reason(error: Any) -> str:
    """One line: the outermost error of ours without its class name, since it knows source and remedy; else the innermost cause."""
    while error is not None and error.cause is not None and not error.message.startswith("smartflow_assets."):
        error = error.cause
    if error is None:
        return "unknown"
    text = " ".join(error.message.split())
    prefix, _, rest = text.partition(": ")
    return rest if prefix.startswith("smartflow_assets.") and rest else text
