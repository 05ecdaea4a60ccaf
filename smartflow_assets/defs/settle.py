"""After every run, exactly once: failures become incidents, due messages go out, the copy is published, the run is logged.

A failed step skips everything below it, incidents, sends and snapshot included. So each run is settled from outside:
`smartflow run` calls this itself, two run-status sensors call it for all other runs. Whoever comes second finds the run in
`run_log` and does nothing.
"""
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from smartflow_assets.adapters.locks import AdvisoryLock
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.jobs import MONITOR_JOB, TRAIN_JOB
from smartflow_assets.defs.partitions import DRY_RUN_TAG, KILLED_TAG, PARTITION_TAG, REASON_TAG
from smartflow_assets.defs.resources import open_warehouse, parse_time
from smartflow_assets.stages.alerting import Failure
from smartflow_assets.stages.settling import RunRecord, is_settled, settle

SETTLE_PATIENCE = timedelta(minutes=2)
OUR_JOBS = (MONITOR_JOB, TRAIN_JOB)


@dataclass(frozen=True)
class Settled:
    """What settling did; `is_new` is False when somebody else had settled the run before."""

    is_new: bool
    failures: tuple[Failure, ...] = ()


def settle_run(instance: dg.DagsterInstance, run_id: str, *, settings: Settings | None = None) -> Settled:
    """Settle one finished run of ours; idempotent. Dry runs and runs of other jobs are left alone."""
    run = instance.get_run_by_id(run_id)
    if run is None or not run.is_finished or run.tags.get(DRY_RUN_TAG) or _options(run).get("dry_run") or _job(run) not in OUR_JOBS:
        return Settled(is_new=False)
    settings = settings or Settings.from_environment(os.environ)
    with AdvisoryLock(settings.locks / "settle.lock").exclusive(SETTLE_PATIENCE, holder=run_id):
        warehouse = open_warehouse(settings)
        if is_settled(warehouse, run_id):
            return Settled(is_new=False)
        record = _record(instance, run)
        settle(record, warehouse=warehouse, settings=settings, catalogue=Catalogue.load(settings), environment=os.environ)
        return Settled(is_new=True, failures=record.failures)


def _record(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunRecord:
    """The run as the event log tells it."""
    stats = instance.get_run_record_by_id(run.run_id)
    options = _options(run)
    started = datetime.fromtimestamp(stats.start_time, UTC) if stats and stats.start_time else datetime.now(UTC)
    ended = datetime.fromtimestamp(stats.end_time, UTC) if stats and stats.end_time else started
    as_of = parse_time(options.get("as_of"), "as_of")
    facts, seconds = facts_of(instance, run.run_id)
    failures = tuple(failures_of(instance, run.run_id))
    return RunRecord(
        run_id=run.run_id, job=_job(run), source=run.tags.get(PARTITION_TAG, "*"), status=_status(run, failures), started_at=started, ended_at=ended,
        as_of=as_of, reason=run.tags.get(REASON_TAG, "manual"), failures=failures, facts=facts, seconds=seconds,
        succeeded_steps=frozenset(seconds), is_sending=bool(options.get("send", True)),
    )


def _status(run: dg.DagsterRun, failures: tuple[Failure, ...]) -> str:
    """success, failed, killed, or canceled: ended by somebody who wanted it."""
    if run.status == dg.DagsterRunStatus.SUCCESS:
        return "success"
    if run.tags.get(KILLED_TAG):
        return "killed"
    return "failed" if failures else "canceled"


def _job(run: dg.DagsterRun) -> str:
    """Backfills and "Materialize" in the UI run as an implicit job; they watch a source as monitor_source does."""
    return MONITOR_JOB if run.job_name.startswith("__ASSET_JOB") else run.job_name


def _options(run: dg.DagsterRun) -> dict[str, Any]:
    return dict(run.run_config.get("resources", {}).get("options", {}).get("config", {}) or {})


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
                checks.append(Failure(cause=f"check:{check.check_name}", message=check.description or f"the check {check.check_name} failed"))
    return steps + checks or ([] if is_interrupted or run.tags.get(KILLED_TAG) else whole)


def _is_interrupt(error: Any) -> bool:
    """Ctrl-C or a termination from the UI: somebody wanted it, so it is no failure that others must hear of."""
    while error is not None:
        if error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt"):
            return True
        error = error.cause
    return False


def _reason(error: Any) -> str:
    """The innermost cause as one line: our own errors without their class name."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "unknown"
    text = " ".join(error.message.split())
    prefix, _, rest = text.partition(": ")
    return rest if prefix.startswith("smartflow_assets.") and rest else text
