"""Schedules for all sources: each minute, ask which sources are due.

The schedule of a source stands in its YAML file and may change while Dagster runs, so it is data here, not a definition. A tick
asks only for keys that exist as partitions (one unknown key fails the tick for all) and leaves out sources that still have a
run queued or under way, and says so. A source in which a look finds nothing to do is not run: the look is written down in its place
(`stages.scheduling.looks`). Sources that are due together have one run. A source whose run was killed is due again at once, three times;
then at its next slot. It is watched by itself then, and so is one that failed: what went wrong with it keeps no other waiting.

A schedule of Dagster starts one job only, so there are two for the two jobs that watch. They share what a tick has found.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.defs.jobs import is_of_many, monitor_source, run_sources, train_source
from smartflow_assets.defs.many_sources import config_of_many, monitor_sources, told_names
from smartflow_assets.defs.names import MONITOR_JOB, MONITOR_MANY_JOB, TRAIN_JOB, prefixed
from smartflow_assets.defs.partitions import REASON_TAG, SOURCE_TAG, SOURCES_TAG
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.defs.settling_in import CARRIED_OVER, settle_in
from smartflow_assets.defs.source_partitions import add_partitions
from smartflow_assets.defs.ticking import note_tick
from smartflow_assets.stages.run_closing import closed_sources
from smartflow_assets.stages.scheduling.due_sources import last_runs, last_trainings, monitoring_due, training_due
from smartflow_assets.stages.scheduling.interventions import Interventions, interventions
from smartflow_assets.stages.scheduling.looks import Looked, look, publish_looks

Answer = TypeVar("Answer")
_log = logging.getLogger("smartflow")
QUEUED_OR_RUNNING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
_NEWEST: dict[str, Any] = {}  # the newest tick and its plan; both schedules are asked in one process, of the same minute


@dataclass(frozen=True)
class _Plan:
    """What a tick has found: sources that have a run of their own, those that share one, and what to say where there is neither."""

    alone: tuple[str, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    otherwise: str = "no source is due"


def _free(
    context: dg.ScheduleEvaluationContext, jobs: Iterable[str], due: Iterable[str], done: Callable[[str], frozenset[str]]
) -> tuple[list[str], str]:
    """The sources that are due and of which none of the `jobs` has a run queued or under way; and what to say where there is none.

    `done`: the sources that a run has done with. A run of several may wait for the last of them for minutes.
    """
    due = sorted(due)
    waiting = sorted(set(due) & {source for job in jobs for source in _under_way(context.instance, job, due, done)})
    if waiting:
        context.log.info(f"left out, because a run is queued or under way: {', '.join(waiting)}")
    return [name for name in due if name not in waiting], f"still queued or under way: {', '.join(waiting)}" if waiting else _Plan.otherwise


def _under_way(instance: dg.DagsterInstance, job: str, known: Sequence[str], done: Callable[[str], frozenset[str]]) -> set[str]:
    runs = [record.dagster_run for record in instance.get_run_records(dg.RunsFilter(statuses=QUEUED_OR_RUNNING, job_name=prefixed(job)))]
    return {source for run in runs for source in set(run_sources(run, known)) - (done(run.run_id) if is_of_many(run) else frozenset())}


def _done(settings: Settings) -> Callable[[str], frozenset[str]]:
    """What asks the warehouse for the sources of a run that are closed; none while there is no warehouse."""
    return lambda run_id: closed_sources(open_warehouse(settings), run_id) if settings.warehouse_file.exists() else frozenset()


def _each(context: dg.ScheduleEvaluationContext, names: Iterable[str], reason: str) -> list[dg.RunRequest]:
    """A run for each. Dagster refuses several requests without a key; with one, a tick that is tried again starts nothing twice."""
    at = context.scheduled_execution_time.isoformat()
    return [dg.RunRequest(run_key=f"{name}:{at}", partition_key=name, tags={SOURCE_TAG: name, REASON_TAG: reason}) for name in names]


def _all_in_one(context: dg.ScheduleEvaluationContext, names: Sequence[str], reason: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{','.join(names)}:{context.scheduled_execution_time.isoformat()}",
        run_config=config_of_many(names, {}),
        tags={SOURCES_TAG: told_names(names), REASON_TAG: reason},
    )


def _asked(read: Callable[[Warehouse, datetime], Mapping[str, Answer]], settings: Settings, now: datetime) -> Mapping[str, Answer]:
    """What the warehouse says; nothing while there is none: then every source is new."""
    return read(open_warehouse(settings), now) if settings.warehouse_file.exists() else {}


def _plan(context: dg.ScheduleEvaluationContext) -> _Plan:
    """What this tick comes to; the schedule that asks second is given what the first has found."""
    settings, now = Settings.from_environment(os.environ), datetime.now(UTC)
    note_tick(settings)
    tick = (settings.home, context.scheduled_execution_time)
    if _NEWEST.get("tick") == tick:
        return _NEWEST["plan"]
    if settle_in(context.instance, settings):
        return _Plan(otherwise=CARRIED_OVER)
    catalogue = Catalogue.load(settings)
    add_partitions(context.instance, catalogue)
    runs = _asked(last_runs, settings, now)
    said = interventions(open_warehouse(settings), now) if settings.warehouse_file.exists() else Interventions()
    due = {*monitoring_due(catalogue, runs, now), *(name for name in said.asked if name in catalogue.names)}
    free, otherwise = _free(context, (MONITOR_JOB, MONITOR_MANY_JOB), due - said.paused.keys(), _done(settings))
    if paused := said.told(sorted(due)):
        context.log.info(f"left out, {paused}")
        otherwise = paused if otherwise == _Plan.otherwise else f"{otherwise}; {paused}"
    asked = {name: f"a remedy of {said.asked[name]} asked for it" for name in free if name in said.asked}
    looked = _looked(catalogue, [name for name in free if name not in asked], settings, now)
    looked = replace(looked, worth={**looked.worth, **asked})
    names = sorted(looked.worth)
    if names:
        context.log.info(f"worth a run: {looked.reasons()}")
    if looked.nothing_new:
        context.log.info(str(looked))
        otherwise = str(looked) if otherwise == _Plan.otherwise else f"{looked}; {otherwise}"
    ended = {name: runs[name].status if name in runs else "success" for name in names}
    alone = [name for name in names if ended[name] == "killed"]
    failed = [name for name in names if ended[name] == "failed"]
    groups = [failed, [name for name in names if ended[name] not in ("killed", "failed")]]
    alone += [name for group in groups for name in group if len(group) == 1]
    plan = _Plan(tuple(sorted(alone)), tuple(tuple(group) for group in groups if len(group) > 1), otherwise)
    _NEWEST.update(tick=tick, plan=plan)
    return plan


@dg.schedule(
    name=prefixed("monitor_schedule"),
    cron_schedule="* * * * *",
    job=monitor_source,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Each minute: a run for a source that is due by the `schedule` of its YAML file and has something new to work on, if it is "
    "the only one, or its last run did not succeed. None that has a run under way.",
)
def monitor_schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """Due: the newest slot is later than the last run that was not killed, and than the last look that found nothing to do."""
    plan = _plan(context)
    if plan.alone:
        return _each(context, plan.alone, "schedule")
    return dg.SkipReason("all that are due have one run together" if plan.together else plan.otherwise)


@dg.schedule(
    name=prefixed("monitor_many_schedule"),
    cron_schedule="* * * * *",
    job=monitor_sources,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Each minute: one run for all sources that are due and have something new to work on, from two on. Goes with "
    "monitor_schedule: off when that one is off.",
)
def monitor_many_schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """Those that failed have one of their own."""
    if _is_switched_off(context.instance, prefixed("monitor_schedule")):
        return dg.SkipReason(f"{prefixed('monitor_schedule')} is switched off")
    plan = _plan(context)
    if plan.together:
        return [_all_in_one(context, names, "schedule") for names in plan.together]
    return dg.SkipReason("what is due has runs of its own" if plan.alone else plan.otherwise)


def _is_switched_off(instance: dg.DagsterInstance, schedule: str) -> bool:
    """Somebody who switched it off, before there was a second one, wanted nothing to be watched."""
    states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    return any(state.instigator_name == schedule and state.status == InstigatorStatus.STOPPED for state in states)


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
    note_tick(settings)
    if settle_in(context.instance, settings):
        return dg.SkipReason(CARRIED_OVER)
    catalogue = Catalogue.load(settings)
    add_partitions(context.instance, catalogue)
    due = training_due(catalogue, _asked(last_trainings, settings, now), now)
    names, otherwise = _free(context, [TRAIN_JOB], due, _done(settings))
    return _each(context, names, "training schedule") or dg.SkipReason(otherwise)
