"""After every run, exactly once: failures become incidents, due messages go out, the copy is published, the run is logged.

A failed step skips everything below it, incidents, sends and snapshot included. So each run is closed from outside:
`smartflow run` calls this itself, two run-status sensors call it for all other runs. Whoever comes second finds the run in
`run_log` and does nothing. A run of several sources closes each of them when it has done it; here is closed what it died in,
and sent and published what it could not.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from smartflow_assets.adapters.files.access import private
from smartflow_assets.adapters.warehouse.vocabularies import RunStatus
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.incidents.watched import Matter
from smartflow_assets.core.severity import SEVERITIES, Severity
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.failed_partitions import report_failed
from smartflow_assets.defs.jobs import MONITOR_JOB, PRUNE_JOB, is_of_many, is_old_run, our_job, run_sources
from smartflow_assets.defs.metadata import INCIDENT, NOTE
from smartflow_assets.defs.names import OPTIONS, stage_of
from smartflow_assets.defs.old_names import OLD_OPTIONS
from smartflow_assets.defs.partitions import DRY_RUN_TAG, KILLED_TAG, PARTITION_TAG, REASON_TAG
from smartflow_assets.defs.resources import closing_lock, given_clock, open_warehouse, run_lock
from smartflow_assets.defs.unmade import report_unmade
from smartflow_assets.stages.alerting import Failure
from smartflow_assets.stages.run_closing import RunRecord, close, closed_sources, conclude, deliver
from smartflow_assets.stages.watched_incidents import record as record_watched

CLOSING_PATIENCE = timedelta(minutes=2)
BEGUN = "source"  # metadata of the event by which a run of several says which source it has begun


@dataclass(frozen=True)
class Closed:
    """What closing a run did; `is_new` is False when somebody else had closed it before."""

    is_new: bool
    failures: tuple[Failure, ...] = ()


def close_run(instance: dg.DagsterInstance, run_id: str, *, settings: Settings | None = None) -> Closed:
    """Close one finished run of ours; idempotent. Dry runs and runs of other jobs are left alone."""
    run = instance.get_run_by_id(run_id)
    if run is None or not run.is_finished or run.tags.get(DRY_RUN_TAG) or _options(run).get("dry_run"):
        return Closed(is_new=False)
    settings = settings or Settings.from_environment(os.environ)
    job = our_job(run, instance, settings)
    if job is None:
        return Closed(is_new=False)
    if job == PRUNE_JOB:  # of no source: its page and `prunings` say what it did
        run_lock(settings, run_id).remove()
        _tell_of_pruning(instance, run, settings)
        return Closed(is_new=False)
    run = _with_death_noted(instance, run)
    run_lock(settings, run_id).remove()
    with private(), closing_lock(settings).exclusive(CLOSING_PATIENCE, holder=run_id):
        warehouse, catalogue = open_warehouse(settings), Catalogue.load(settings)
        closed = closed_sources(warehouse, run_id)
        records = _unclosed(instance, run, closed, settings, catalogue)
        for record in records:
            close(record, warehouse=warehouse, settings=settings, catalogue=catalogue)
            report_failed(instance, record)
        if records or _is_unfinished(instance, run):
            now = max((record.now for record in records), default=_clock(_options(run), datetime.now(UTC)) or datetime.now(UTC))
            if _options(run).get("send", True):
                deliver(
                    run_id,
                    {*closed, *(record.source for record in records)},
                    now=now,
                    warehouse=warehouse,
                    settings=settings,
                    catalogue=catalogue,
                    environment=os.environ,
                    is_of_many=is_of_many(run),
                )
            is_forced = any(record.status != "success" for record in records)
            conclude(run_id, now=now, warehouse=warehouse, settings=settings, catalogue=catalogue, is_publishing_forced=is_forced)
    return Closed(is_new=bool(records), failures=tuple(failure for record in records for failure in record.failures))


def _is_unfinished(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run of several may have ended before it sent and published what it had closed: it was killed, or failed by something else
    than its sources, of which it speaks when all else is done."""
    if not is_of_many(run) or run.tags.get(KILLED_TAG):
        return is_of_many(run)
    failed = (entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE))
    return any(event is not None and event.step_failure_data.user_failure_data is None for event in failed)


def _tell_of_pruning(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: Settings) -> None:
    """One that fails night by night fills the disk, so it is an incident until one succeeds."""
    matter, now = Matter("run", run.job_name), datetime.now(UTC)
    failures, ended = list[Failure](), dict[str, str]()
    if run.status == dg.DagsterRunStatus.SUCCESS:
        ended[matter.cause] = "the job succeeded again"
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        error = entry.dagster_event.step_failure_data.error if entry.dagster_event else None
        if not _is_interrupt(error):
            reason = reason_of(error)
            failures.append(Failure(matter.cause, reason, title=f"{matter} failed: {reason}", next_step="Run: smartflow prune"))
    if not settings.warehouse_file.exists():
        return
    with private():
        record_watched(open_warehouse(settings), Catalogue.load(settings), failures, ended, now=now, run_id=run.run_id)


def _unclosed(
    instance: dg.DagsterInstance, run: dg.DagsterRun, closed: frozenset[str], settings: Settings, catalogue: Catalogue
) -> list[RunRecord]:
    if is_of_many(run):
        return _left_by(instance, run, closed, catalogue)
    return [] if closed else [_record(instance, run, settings)]


def close_source(instance: dg.DagsterInstance, record: RunRecord, settings: Settings, catalogue: Catalogue) -> None:
    """Close one source of a run of several that goes on."""
    with private(), closing_lock(settings).exclusive(CLOSING_PATIENCE, holder=record.run_id):
        close(record, warehouse=open_warehouse(settings), settings=settings, catalogue=catalogue)
        report_failed(instance, record)


def _left_by(instance: dg.DagsterInstance, run: dg.DagsterRun, closed: frozenset[str], catalogue: Catalogue) -> list[RunRecord]:
    """What a run of several sources has not closed: the one that it was at when it ended.

    Those that it never came to have no run behind them: they stay due, and get no row. A run that ended before it came to any is one of
    all its sources if it failed, for a reason that all must hear, and one of the first if it was killed, so that three such wake somebody.
    """
    left = [name for name in run_sources(run, catalogue.names) if name in catalogue.names and name not in closed]
    begun = _begun(instance, run.run_id)
    failures = () if run.tags.get(KILLED_TAG) else failures_of_many(instance, run.run_id) or ()
    status = _status(run, failures)
    concerned = [name for name in left if name in begun]
    if not concerned and not closed and status in ("failed", "killed"):
        concerned = left if status == "failed" else left[:1]
    whole, reported = _outline(instance, run, MONITOR_JOB, failures), _reported(instance, run.run_id)
    records = []
    for name in concerned:
        facts, succeeded = reported.get(name, ({}, frozenset()))
        if name in begun:
            report_unmade(instance, run, name, [asset for asset in ASSETS if asset.key.path[-1] not in succeeded])
        started = begun.get(name, whole.started_at)
        records.append(replace(whole, source=name, started_at=started, facts=facts, succeeded_steps=succeeded))
    return records


def _begun(instance: dg.DagsterInstance, run_id: str) -> dict[str, datetime]:
    """When a run of several sources began each of those that it has come to."""
    begun = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        told = entry.dagster_event.engine_event_data.metadata.get(BEGUN) if entry.dagster_event else None
        if told is not None:
            begun[str(told.value)] = datetime.fromtimestamp(entry.timestamp, UTC)
    return begun


def _reported(instance: dg.DagsterInstance, run_id: str) -> dict[str, tuple[dict[str, float], frozenset[str]]]:
    """Of each source of a run of several: the numbers that it reported, and its stages and checks that went well."""
    found: dict[str, tuple[dict[str, float], frozenset[str]]] = {}
    for entry in instance.all_logs(run_id, of_type={dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION}):
        event = entry.dagster_event
        if event is None or event.partition is None:
            continue
        facts, succeeded = found.get(event.partition, ({}, frozenset()))
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            found[event.partition] = facts | numbers_of(made.metadata), succeeded | {made.asset_key.path[-1]}
        elif event.asset_check_evaluation_data.passed:
            found[event.partition] = facts, succeeded | {f"check:{event.asset_check_evaluation_data.check_name}"}
    return found


def failures_of_many(instance: dg.DagsterInstance, run_id: str) -> tuple[Failure, ...] | None:
    """Why a run of several failed as a whole; None where somebody ended it."""
    if was_interrupted(instance, run_id):
        return None
    return next(((Failure("run", reason_of(error)),) for error in _errors_of(instance, run_id)), ())


def was_interrupted(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether somebody ended the run: in a stage, before the first one while it waited for its turn, or from the UI."""
    run = instance.get_run_by_id(run_id)
    is_canceled = run is not None and run.status in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.CANCELING)
    return is_canceled or any(map(_is_interrupt, _errors_of(instance, run_id)))


def _errors_of(instance: dg.DagsterInstance, run_id: str) -> Iterator[Any]:
    """What steps of the run, and the run as a whole, failed by; nothing of one that was failed from outside."""
    for entry in instance.all_logs(run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}):
        event = entry.dagster_event
        if event is None or not event.event_specific_data:
            continue
        is_step = event.event_type == dg.DagsterEventType.STEP_FAILURE
        error = event.step_failure_data.error if is_step else event.job_failure_data.error
        if error is not None:
            yield error


def _record(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: Settings) -> RunRecord:
    """The run as the event log tells it."""
    facts, seconds = facts_of(instance, run.run_id)
    whole = _outline(instance, run, our_job(run, instance, settings) or run.job_name, tuple(failures_of(instance, run.run_id)))
    return replace(whole, facts=facts, seconds=seconds, succeeded_steps=frozenset(seconds) | _passed_checks(instance, run.run_id))


def _outline(instance: dg.DagsterInstance, run: dg.DagsterRun, job: str, failures: tuple[Failure, ...]) -> RunRecord:
    """What is known of the run as a whole, whatever it did."""
    stats, options = instance.get_run_record_by_id(run.run_id), _options(run)
    started = datetime.fromtimestamp(stats.start_time, UTC) if stats and stats.start_time else datetime.now(UTC)
    return RunRecord(
        run_id=run.run_id,
        job=job,
        source=run.tags.get(PARTITION_TAG, "*"),
        status=_status(run, failures),
        started_at=started,
        ended_at=datetime.fromtimestamp(stats.end_time, UTC) if stats and stats.end_time else started,
        as_of=_clock(options, started),
        reason=run.tags.get(REASON_TAG, "manual"),
        failures=failures,
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
    return dict(resources.get(OLD_OPTIONS if is_old_run(run) else OPTIONS, {}).get("config") or {})


def facts_of(instance: dg.DagsterInstance, run_id: str) -> tuple[dict[str, float], dict[str, float]]:
    """Numbers that the assets reported, by name, and seconds of each step that succeeded, by its asset."""
    facts: dict[str, float] = {}
    seconds: dict[str, float] = {}
    named = _stages(instance.get_run_by_id(run_id))
    for entry in instance.all_logs(run_id, of_type={dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.STEP_SUCCESS}):
        event = entry.dagster_event
        if event is None or (stage := named(event.step_key)) is None:
            continue
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS:
            seconds[stage] = round(event.step_success_data.duration_ms / 1000, 3)
        else:
            facts |= numbers_of(event.step_materialization_data.materialization.metadata)
    return facts, seconds


def numbers_of(metadata: Mapping[str, dg.MetadataValue]) -> dict[str, float]:
    """The numbers among what an asset reported, by name."""
    return {name: float(value.value) for name, value in metadata.items() if isinstance(value.value, int | float)}


def notes_of(instance: dg.DagsterInstance, run_id: str) -> tuple[str, ...]:
    """What the assets have to tell whoever started the run."""
    named = _stages(instance.get_run_by_id(run_id))
    events = (entry.dagster_event for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION))
    told = (event.step_materialization_data.materialization.metadata.get(NOTE) for event in events if event and named(event.step_key))
    return tuple(str(note.value) for note in told if note is not None)


def failures_of(instance: dg.DagsterInstance, run_id: str) -> list[Failure]:
    """Failed steps, failed blocking checks, and a run that failed outside any step, each with the innermost reason. A killed or
    interrupted run has none of its own: the next one goes on by itself, and nobody needs to be woken."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return []
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
    steps, checks, whole, is_interrupted, is_theirs = [], [], [], False, False
    named = _stages(run)
    for entry in instance.all_logs(run_id, of_type=kinds):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type != dg.DagsterEventType.RUN_FAILURE and named(event.step_key) is None:
            is_theirs = is_theirs or event.event_type == dg.DagsterEventType.STEP_FAILURE
            continue
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            if _is_interrupt(event.step_failure_data.error):
                is_interrupted = True
                continue
            steps.append(Failure(cause=str(named(event.step_key)), message=reason_of(event.step_failure_data.error)))
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
            error = event.job_failure_data.error if event.event_specific_data else None  # failed from outside: no data
            is_interrupted = is_interrupted or _is_interrupt(error)
            whole.append(Failure(cause="run", message=reason_of(error) if error else event.message or "the run failed"))
        else:
            checks += check_failure(event.asset_check_evaluation_data)
    return steps + checks or ([] if is_interrupted or is_theirs or run.tags.get(KILLED_TAG) else whole)


def _stages(run: dg.DagsterRun | None) -> Callable[[str | None], str | None]:
    """What says which of our assets a step of the run makes; None for a step of somebody else, of whom a run by a click may have some.

    Steps of a run from before names had a prefix are called as their assets.
    """
    is_old = run is not None and is_old_run(run)
    return lambda step: None if step is None else step if is_old else stage_of(step)


def check_failure(check: Any) -> list[Failure]:
    """What the evaluation of a check says of the machinery: one failure, or none."""
    severity = _incident_of(check)
    if check.passed or severity is None:
        return []
    return [Failure(f"check:{check.check_name}", check.description or f"the check {check.check_name} failed", severity)]


def _incident_of(check: Any) -> Severity | None:
    """How bad it is when the check fails; None for one that only colours the page of its asset."""
    told = check.metadata.get(INCIDENT)
    if told is not None:
        return told.value if told.value in SEVERITIES else None
    return "critical" if check.severity == dg.AssetCheckSeverity.ERROR else None


def _passed_checks(instance: dg.DagsterInstance, run_id: str) -> frozenset[str]:
    """The causes of incidents that checks of the run say are over."""
    events = (entry.dagster_event for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION))
    checks = [event.asset_check_evaluation_data for event in events if event is not None]
    return frozenset(f"check:{check.check_name}" for check in checks if check.passed)


def _is_interrupt(error: Any) -> bool:
    """Ctrl-C or a termination from the UI: somebody wanted it, so it is no failure that others must hear of."""
    while error is not None:
        if error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt"):
            return True
        error = error.cause
    return False


def reason_of(error: Any) -> str:
    """One line: the outermost error of ours without its class name, since it knows source and remedy; else the innermost cause."""
    while error is not None and error.cause is not None and not error.message.startswith("smartflow_assets."):
        error = error.cause
    if error is None:
        return "unknown"
    text = " ".join(error.message.split())
    prefix, _, rest = text.partition(": ")
    return rest if prefix.startswith("smartflow_assets.") and rest else text
