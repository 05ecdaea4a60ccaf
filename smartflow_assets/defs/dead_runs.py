"""Runs that died without a word: a killed process leaves its run STARTED for ever, and its source waits behind it.

A living run holds `run-<id>.lock`; the kernel frees it when the process ends, however it ends. So a run that Dagster thinks is
under way, and whose lock nobody holds, is dead. Called by the housekeeping sensor, by `smartflow run` when it starts, and by
`smartflow doctor`.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.jobs import our_job
from smartflow_assets.defs.partitions import KILLED_TAG
from smartflow_assets.defs.resources import run_lock

GRACE = timedelta(seconds=30)  # a run takes its lock within two seconds of its start
START_GRACE = timedelta(minutes=2)  # until then a process may still be importing; Dagster's run monitoring has the same limit
HAS_STARTED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
LAUNCHED = [  # has left the queue, so it has a process or soon will
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    *HAS_STARTED,
]


def fail_dead_runs(instance: dg.DagsterInstance, settings: Settings, now: datetime) -> list[str]:
    """Mark as failed every run of ours under way for half a minute whose process is gone; free its pool slots. -> their ids.

    What counts is the time since the run left the queue: it may have waited there for long.
    """
    dead = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=LAUNCHED)):
        run = record.dagster_run
        begun = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else record.update_timestamp
        lock = run_lock(settings, run.run_id)
        is_young = now - begun < (GRACE if run.status in HAS_STARTED else START_GRACE)
        if is_young or lock.holder() is not None or our_job(run, instance, settings) is None:
            continue
        if _is_between_steps(instance, run.run_id, now):
            continue
        instance.add_run_tags(run.run_id, {KILLED_TAG: "true"})
        instance.report_run_failed(
            run,
            "The process of this run is gone: it was killed, or the machine went down. What it had committed "
            "stands; the next run goes on from there.",
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        lock.remove()
        dead.append(run.run_id)
    return dead


def _is_between_steps(instance: dg.DagsterInstance, run_id: str, now: datetime) -> bool:
    """Whether the steps of a run have processes of their own, as an executor of another project may give them, and one may be starting.

    Between two of them nobody holds the lock.
    """
    workers = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_WORKER_STARTING, limit=1).records
    if not workers:
        return False
    newest = instance.get_records_for_run(run_id, limit=1, ascending=False).records
    return now - datetime.fromtimestamp(newest[0].timestamp, UTC) < START_GRACE
