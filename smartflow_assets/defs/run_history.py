"""Dagster's history, which grows with every run and which nobody else shortens."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import dagster as dg

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.jobs import our_job, run_sources

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
BATCH = 200


def prune_runs(instance: dg.DagsterInstance, settings: Settings, *, before: datetime, told: Callable[[str], None]) -> int:
    """Delete finished runs of this home created before that time, with their events and logs; -> how many.

    The newest run of each job and source stays: the asset pages show what it made. Runs of others stay: an instance may be shared.
    """
    kept, gone, cursor = _newest(instance, settings), 0, None
    while True:
        records = instance.get_run_records(dg.RunsFilter(statuses=FINISHED, created_before=before), limit=BATCH, cursor=cursor)
        if not records:
            return gone
        old = {record.dagster_run.run_id for record in records if our_job(record.dagster_run, instance, settings)} - kept
        survivors = [record.dagster_run.run_id for record in records if record.dagster_run.run_id not in old]
        for record in records:
            run_id = record.dagster_run.run_id
            if run_id in old:
                instance.delete_run(run_id)
                _remove_files(instance, run_id)
                told(run_id)
                gone += 1
        cursor = survivors[-1] if survivors else None  # a deleted run is no place to go on from


def _newest(instance: dg.DagsterInstance, settings: Settings) -> set[str]:
    found: dict[tuple[str, str], str] = {}
    cursor, known = None, Catalogue.load(settings).names
    while records := instance.get_run_records(dg.RunsFilter(statuses=FINISHED), limit=BATCH, cursor=cursor):  # newest first
        for record in records:
            run = record.dagster_run
            for source in run_sources(run, known) or ("",):
                found.setdefault((our_job(run, instance, settings) or run.job_name, source), run.run_id)
        cursor = records[-1].dagster_run.run_id
    return set(found.values())


def _remove_files(instance: dg.DagsterInstance, run_id: str) -> None:
    """What Dagster leaves on the disk: the database of the run's events, which is empty now, and what its steps printed."""
    root = Path(instance.root_directory)
    for path in (root / "history" / "runs").glob(f"{run_id}.db*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(root / "storage" / run_id, ignore_errors=True)
