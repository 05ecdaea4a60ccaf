"""Two schedules for all sources: each minute, ask which sources are due.

The schedule of a source stands in its YAML file and may change while Dagster runs, so it is data here, not a definition. A tick
asks only for keys that exist as partitions (one unknown key fails the tick for all) and leaves out sources that still have a
run queued or under way, and says so. A source in which a look finds nothing to do is not run: the look is written down in its place
(`stages.scheduling.looks`). A source whose run was killed is due again at once, three times; then at its next slot.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import dagster as dg

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.defs.jobs import monitor_source, train_source
from smartflow_assets.defs.names import MONITOR_JOB, TRAIN_JOB, prefixed
from smartflow_assets.defs.partitions import PARTITION_TAG, REASON_TAG, SOURCE_TAG
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.defs.settling_in import CARRIED_OVER, settle_in
from smartflow_assets.defs.source_partitions import add_partitions
from smartflow_assets.stages.scheduling.due_sources import last_runs, last_trainings, monitoring_due, training_due
from smartflow_assets.stages.scheduling.looks import Looked, look, publish_looks

Answer = TypeVar("Answer")
_log = logging.getLogger("smartflow")
QUEUED_OR_RUNNING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def _requests(context: dg.ScheduleEvaluationContext, job: str, due: Iterable[str], reason: str) -> list[dg.RunRequest] | dg.SkipReason:
    due = sorted(due)
    busy = {
        record.dagster_run.tags.get(PARTITION_TAG, "")
        for record in context.instance.get_run_records(dg.RunsFilter(statuses=QUEUED_OR_RUNNING, job_name=prefixed(job)))
    }
    waiting = sorted(set(due) & busy)
    if waiting:
        context.log.info(f"left out, because a run is queued or under way: {', '.join(waiting)}")
    requests = [  # Dagster refuses several requests without a key; with one, a tick that is tried again starts nothing twice
        dg.RunRequest(
            run_key=f"{name}:{context.scheduled_execution_time.isoformat()}",
            partition_key=name,
            tags={SOURCE_TAG: name, REASON_TAG: reason},
        )
        for name in due
        if name not in busy
    ]
    if requests:
        return requests
    return dg.SkipReason(f"still queued or under way: {', '.join(waiting)}" if waiting else "no source is due")


def _asked(read: Callable[[Warehouse, datetime], Mapping[str, Answer]], settings: Settings, now: datetime) -> Mapping[str, Answer]:
    """What the warehouse says; nothing while there is none: then every source is new."""
    return read(open_warehouse(settings), now) if settings.warehouse_file.exists() else {}


@dg.schedule(
    name=prefixed("monitor_schedule"),
    cron_schedule="* * * * *",
    job=monitor_source,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Each minute: a run for every source that is due by the `schedule` of its YAML file and has something new to work on; "
    "not while a run of it is under way.",
)
def monitor_schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """Due: the newest slot is later than the last run that was not killed, and than the last look that found nothing to do."""
    settings, now = Settings.from_environment(os.environ), datetime.now(UTC)
    if settle_in(context.instance, settings):
        return dg.SkipReason(CARRIED_OVER)
    catalogue = Catalogue.load(settings)
    add_partitions(context.instance, catalogue)
    due = monitoring_due(catalogue, _asked(last_runs, settings, now), now)
    looked = _looked(catalogue, due, settings, now)
    answer = _requests(context, MONITOR_JOB, looked.worth, "schedule")
    if looked.worth:
        context.log.info(f"worth a run: {looked.reasons()}")
    if not looked.nothing_new:
        return answer
    if isinstance(answer, dg.SkipReason):
        return dg.SkipReason(f"{looked}; {answer.skip_message}" if looked.worth else str(looked))
    context.log.info(str(looked))
    return answer


def _looked(catalogue: Catalogue, due: list[str], settings: Settings, now: datetime) -> Looked:
    """Which of the sources that are due are worth a run; all of them while there is no warehouse, or where the look itself fails."""
    everything = dict.fromkeys(due, "no run has found nothing to do yet")
    if not settings.warehouse_file.exists():
        return Looked(everything)
    try:
        warehouse = open_warehouse(settings)
        looked = look(catalogue, due, warehouse, now)
        if looked.nothing_new:
            publish_looks(warehouse)
        return looked
    except SmartflowError:
        _log.exception("nobody could look whether there is anything new, so all that is due is run")
        return Looked(dict.fromkeys(due, "nobody could look whether there is anything new"))


@dg.schedule(
    name=prefixed("train_schedule"),
    cron_schedule="*/10 * * * *",
    job=train_source,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every ten minutes: a training for every source whose newest model is older than `training.every`.",
)
def train_schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """Only sources that have a model: the first one is trained by monitor_source."""
    settings, now = Settings.from_environment(os.environ), datetime.now(UTC)
    if settle_in(context.instance, settings):
        return dg.SkipReason(CARRIED_OVER)
    catalogue = Catalogue.load(settings)
    add_partitions(context.instance, catalogue)
    return _requests(context, TRAIN_JOB, training_due(catalogue, _asked(last_trainings, settings, now), now), "training schedule")
