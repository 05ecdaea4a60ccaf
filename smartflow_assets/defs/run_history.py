"""Dagster's history, which grows with every run and tick and which nobody else shortens."""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import dagster as dg

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.jobs import our_job, run_sources
from smartflow_assets.defs.names import prefixed

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
BATCH = 200
Before = Callable[[str], datetime | None]
"""Of a source, or nothing for a run of none: which of its runs are old; None for none."""


def prune_runs(
    instance: dg.DagsterInstance, settings: Settings, *, before: Before, told: Callable[[str], None] = lambda run_id: None
) -> int:
    """Delete finished runs of this home created before that time, with their events and logs; -> how many.

    The newest run of each job and source stays, and each that made the newest of an asset, since pages show it: a later run may have had
    nothing to make. Runs of others stay: an instance may be shared.
    """
    known = Catalogue.load(settings).names
    kept, gone, cursor = _newest(instance, settings, known) | _shown(instance), 0, None
    while records := instance.get_run_records(dg.RunsFilter(statuses=FINISHED), limit=BATCH, cursor=cursor):
        survivors = []
        for record in records:
            run_id = record.dagster_run.run_id
            if run_id in kept or not _is_old(record, known, before) or our_job(record.dagster_run, instance, settings) is None:
                survivors.append(run_id)
                continue
            instance.delete_run(run_id)
            _remove_files(instance, run_id)
            told(run_id)
            gone += 1
        cursor = survivors[-1] if survivors else cursor  # a deleted run is no place to go on from
    return gone


def prune_ticks(instance: dg.DagsterInstance, *, before: datetime) -> int:
    """Delete what our schedules and sensors have looked at before that time; -> how many ticks. Others of a shared instance keep theirs."""
    gone = 0
    for state in instance.all_instigator_state():
        if state.name.startswith(prefixed("")):
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, before=before.timestamp())
            if ticks:
                instance.purge_ticks(state.instigator_origin_id, state.selector_id, before.timestamp())
            gone += len(ticks)
    return gone


class HistoryUse(NamedTuple):
    """What Dagster's history takes on the disk, in bytes: all of it, its runs with their events and logs, its ticks; and how many there
    are. All are zero where Dagster keeps them in a server."""

    size: int
    of_runs: int
    of_ticks: int
    runs: int
    ticks: int


def history_use(instance: dg.DagsterInstance) -> HistoryUse:
    """What the history takes now; of a shared instance that of all who share it."""
    root = Path(instance.root_directory)
    of_runs, of_ticks = (sum(_bytes(root / name) for name in names) for names in (("history", "storage"), ("schedules",)))
    ticks = root / "schedules" / "schedules.db"
    count = 0
    if ticks.exists():
        with closing(sqlite3.connect(f"file:{quote(str(ticks))}?mode=ro", uri=True)) as connection, suppress(sqlite3.Error):
            count = connection.execute("SELECT count(*) FROM job_ticks").fetchone()[0]
    return HistoryUse(of_runs + of_ticks, of_runs, of_ticks, instance.get_runs_count(), count)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _is_old(record: dg.RunRecord, known: Sequence[str], before: Before) -> bool:
    """Whether it is old for each of its sources."""
    limits = [before(source) for source in run_sources(record.dagster_run, known) or ("",)]
    return all(limit is not None and record.create_timestamp < limit for limit in limits)


def _newest(instance: dg.DagsterInstance, settings: Settings, known: Sequence[str]) -> set[str]:
    found: dict[tuple[str, str], str] = {}
    cursor = None
    while records := instance.get_run_records(dg.RunsFilter(statuses=FINISHED), limit=BATCH, cursor=cursor):  # newest first
        for record in records:
            run = record.dagster_run
            for source in run_sources(run, known) or ("",):
                found.setdefault((our_job(run, instance, settings) or run.job_name, source), run.run_id)
        cursor = records[-1].dagster_run.run_id
    return set(found.values())


def _shown(instance: dg.DagsterInstance) -> set[str]:
    """The runs that made what stands for an asset and a source now."""
    runs: set[str] = set()
    for key in (key for asset in ASSETS for key in asset.keys):
        newest = instance.event_log_storage.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
        ids = list(newest.values())
        for start in range(0, len(ids), BATCH):
            batch = dg.AssetRecordsFilter(asset_key=key, storage_ids=ids[start : start + BATCH])
            runs |= {record.run_id for record in instance.fetch_materializations(batch, limit=BATCH).records}
    return runs


def _remove_files(instance: dg.DagsterInstance, run_id: str) -> None:
    """What Dagster leaves on the disk: the database of the run's events, which is empty now, and what its steps printed."""
    root = Path(instance.root_directory)
    for path in (root / "history" / "runs").glob(f"{run_id}.db*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(root / "storage" / run_id, ignore_errors=True)
