"""What keeps the platform going beside the schedules. All of them run by default: a first user should see things happen.

catalogue      the partitions are the YAML files
inbox          a dropped file is a run
training       a request for a training is a run
settle         every finished run is closed, whoever started it (`run_closing`)
outbox         messages that became due: retries, what a run left behind, and snoozes that are over
housekeeping   runs whose process is gone are failed, so that their source goes on
watch          schedules and sensors that fail or miss a tick; checks and runs of others, when somebody asks

Each tick is a beat of the heart that `smartflow run` listens for (`defs.ticking`).
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.carry_over import old_cursor
from smartflow_assets.defs.dead_runs import fail_dead_runs
from smartflow_assets.defs.jobs import monitor_source, train_source
from smartflow_assets.defs.many_sources import TOLD_EVERY
from smartflow_assets.defs.names import PARTITION_SET, TRAIN_JOB, prefixed
from smartflow_assets.defs.partitions import PARTITION_TAG, REASON_TAG, REQUEST_TAG, SOURCE_TAG
from smartflow_assets.defs.resources import open_warehouse, run_lock
from smartflow_assets.defs.run_closing import close_run
from smartflow_assets.defs.schedules import QUEUED_OR_RUNNING
from smartflow_assets.defs.settling_in import settle_in
from smartflow_assets.defs.source_partitions import match_partitions
from smartflow_assets.defs.ticking import note_tick
from smartflow_assets.defs.watch import watch
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.decisions import pass_time
from smartflow_assets.stages.scheduling.due_sources import RETRIES_AT_ONCE
from smartflow_assets.stages.scheduling.inbox import waiting_files
from smartflow_assets.stages.scheduling.training_requests import TrainingRequest, open_requests
from smartflow_assets.stages.source_groups import group_sources

RUNNING = dg.DefaultSensorStatus.RUNNING
QUIET_SECONDS, FILES_PER_TICK = 5, 50


def _settings(instance: dg.DagsterInstance) -> Settings:
    """The home, known to the instance by its prefix."""
    settings = Settings.from_environment(os.environ)
    note_tick(settings)
    settle_in(instance, settings)
    return settings


@dg.sensor(
    name=prefixed("catalogue_sensor"),
    minimum_interval_seconds=30,
    default_status=RUNNING,
    description="Keep one partition for each file in data/sources; a file that is gone for a minute closes its source's incidents.",
)
def catalogue_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Add and remove partitions; starts no run."""
    settings = _settings(context.instance)
    change = match_partitions(context.instance, Catalogue.load(settings), open_warehouse(settings), now=datetime.now(UTC))
    return dg.SkipReason(str(change))


@dg.sensor(
    name=prefixed("inbox_sensor"),
    job=monitor_source,
    minimum_interval_seconds=30,
    default_status=RUNNING,
    description="Start a run for a source whose inbox has a new or changed file, once the file has been quiet for five seconds.",
)
def inbox_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """The cursor is {file: [size, mtime_ns]} of what has been asked for."""
    settings = _settings(context.instance)
    known = set(context.instance.get_dynamic_partitions(PARTITION_SET))
    seen: dict[str, list[int]] = json.loads(context.cursor) if context.cursor else old_cursor(context.instance, "inbox_sensor")
    fresh: dict[str, dict[str, list[int]]] = {}
    present: dict[str, list[int]] = {}
    for source, path, size, mtime_ns in waiting_files(Catalogue.load(settings), settings):
        present[str(path)] = [size, mtime_ns]
        is_new = seen.get(str(path)) != [size, mtime_ns]
        is_quiet = time.time() - mtime_ns / 1e9 >= QUIET_SECONDS
        if is_new and is_quiet and source in known and sum(map(len, fresh.values())) < FILES_PER_TICK:
            fresh.setdefault(source, {})[str(path)] = [size, mtime_ns]
    requests = [
        dg.RunRequest(run_key=f"inbox:{source}:{_fingerprint(files)}", partition_key=source, tags={SOURCE_TAG: source, REASON_TAG: "inbox"})
        for source, files in fresh.items()
    ]
    asked = {path: mark for files in fresh.values() for path, mark in files.items()}
    cursor = {path: mark for path, mark in {**seen, **asked}.items() if path in present}
    if not requests:
        return dg.SkipReason("no new file in data/inbox")
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(cursor))


def _fingerprint(files: Mapping[str, Sequence[int]]) -> str:
    """By name, size and time: files that were unpacked or copied together may all have one time."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()[:16]


@dg.sensor(
    name=prefixed("training_sensor"),
    job=train_source,
    minimum_interval_seconds=30,
    default_status=RUNNING,
    description="Start a training, once for each request, for sources that somebody or a check wants to be learnt anew.",
)
def training_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """A request stays open until a training has answered it, so one that was made while no daemon ran is found here. A run that was
    killed or failed is started again, three in all; what is open after that, or after a training that found too little history, is
    for the trainings of the schedule."""
    settings = _settings(context.instance)
    if not settings.warehouse_file.exists():
        return dg.SkipReason("no training is asked for")
    catalogue, known = Catalogue.load(settings), set(context.instance.get_dynamic_partitions(PARTITION_SET))
    newest: dict[str, TrainingRequest] = {  # it is answered together with those before it
        request.source: request
        for request in open_requests(open_warehouse(settings))
        if request.source in known and request.source in catalogue.sources
    }
    runs = {source: number for source, request in newest.items() if (number := _next_attempt(context.instance, request)) is not None}
    requests = [
        dg.RunRequest(
            run_key=f"training:{newest[source].request_id}:{number}",
            partition_key=source,
            tags={SOURCE_TAG: source, REASON_TAG: "training request", REQUEST_TAG: newest[source].request_id},
        )
        for source, number in runs.items()
    ]
    return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason("no training is asked for")


def _next_attempt(instance: dg.DagsterInstance, request: TrainingRequest) -> int | None:
    """The number of the run to be started, from 0; None when there is one under way, one has succeeded, or too many have not."""
    under_way = dg.RunsFilter(job_name=prefixed(TRAIN_JOB), statuses=QUEUED_OR_RUNNING, tags={PARTITION_TAG: request.source})
    if instance.get_run_records(under_way, limit=1):
        return None
    tried = [record.dagster_run.status for record in instance.get_run_records(dg.RunsFilter(tags={REQUEST_TAG: request.request_id}))]
    return None if dg.DagsterRunStatus.SUCCESS in tried or len(tried) >= RETRIES_AT_ONCE else len(tried)


@dg.run_status_sensor(
    name=prefixed("settle_success_sensor"),
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitor_all_code_locations=True,
    default_status=RUNNING,
    minimum_interval_seconds=10,
    description="Close runs that succeeded: due messages, published copy, run log.",
)
def settle_success_sensor(context: dg.RunStatusSensorContext) -> None:
    """Idempotent: a run that the CLI has closed is left alone."""
    close_run(context.instance, context.dagster_run.run_id, settings=_settings(context.instance))


@dg.run_failure_sensor(
    name=prefixed("settle_failure_sensor"),
    monitor_all_code_locations=True,
    default_status=RUNNING,
    minimum_interval_seconds=10,
    description="Close runs that failed: what failed becomes an incident and a message, the copy is published.",
)
def settle_failure_sensor(context: dg.RunFailureSensorContext) -> None:
    """Idempotent: a run that the CLI has closed is left alone."""
    close_run(context.instance, context.dagster_run.run_id, settings=_settings(context.instance))


@dg.sensor(
    name=prefixed("outbox_sensor"),
    minimum_interval_seconds=30,
    default_status=RUNNING,
    description="Deliver messages that became due: first attempts that a run left behind, retries of dead channels, snoozes that are over; "
    "and tell together what broke together.",
)
def outbox_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Starts no run: draining takes seconds and must not wait in the run queue."""
    settings = _settings(context.instance)
    warehouse, catalogue, now = open_warehouse(settings), Catalogue.load(settings), datetime.now(UTC)
    pass_time(warehouse, catalogue, now=now, run_id="outbox")
    theirs = runs_about_to_send(settings, warehouse, now)
    group_sources(warehouse, catalogue, now=now, run_id="outbox", leaving=theirs)
    drained = drain_outbox(warehouse, catalogue, settings, now=now, run_id="outbox", environment=os.environ, leaving=theirs)
    return dg.SkipReason(str(drained))


def runs_about_to_send(settings: Settings, warehouse: Warehouse, now: datetime) -> frozenset[str]:
    """Runs whose process lives and which have planned messages within two minutes: they send them when they have looked at all of their
    sources, each minute at the latest."""
    recent = warehouse.read("SELECT DISTINCT run_id FROM alert_sends WHERE status = 'planned' AND happened_at > ?", [now - 2 * TOLD_EVERY])
    return frozenset(run_id for run_id in recent["run_id"] if run_lock(settings, run_id).holder() is not None)


@dg.sensor(
    name=prefixed("housekeeping_sensor"),
    minimum_interval_seconds=15,
    default_status=RUNNING,
    description="Fail runs whose process is gone, so that their source goes on by itself.",
)
def housekeeping_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Starts no run. Closes them at once, so that the next tick of the schedule, a minute away at most, finds the source due."""
    settings = _settings(context.instance)
    dead = fail_dead_runs(context.instance, settings, datetime.now(UTC))
    for run_id in dead:
        try:
            close_run(context.instance, run_id, settings=settings)
        except Exception:  # the sensor of failed runs comes to it as well
            context.log.exception(f"run {run_id} is marked as failed and could not be closed, the others are")
    return dg.SkipReason(f"failed {len(dead)} dead runs: {', '.join(dead)}" if dead else "no dead run")


@dg.sensor(
    name=prefixed("watch_sensor"),
    minimum_interval_seconds=30,
    default_status=RUNNING,
    description="Make an incident of schedules that missed a tick and sensors that fail in a row, and of failed checks and runs of other "
    "projects on this instance, where data/home.yaml asks for them (alerts_for).",
)
def watch_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Starts no run. The cursor says how far the event log was read; the first tick begins at its end."""
    settings = _settings(context.instance)
    told = context.log.exception
    cursor, said = watch(context.instance, settings, context.cursor, repository=context.repository_def, log=told)
    context.update_cursor(cursor)
    return dg.SkipReason(said)


def all_sensors() -> Iterator[dg.SensorDefinition]:
    """Every sensor, in the order of this module's charter."""
    yield from (
        catalogue_sensor,
        inbox_sensor,
        training_sensor,
        settle_success_sensor,
        settle_failure_sensor,
        outbox_sensor,
        housekeeping_sensor,
        watch_sensor,
    )
