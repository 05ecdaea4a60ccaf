"""Closing a run: what a finished run leaves to be done, whoever started it and however it ended.

Failures become incident events, one row goes to `run_log`, due messages are sent, the copy is published. Incidents and log
are one commit, so a run is closed once, or once for each of its sources; sending and publishing may be repeated. A run of several sources
sends when all are through, since what breaks together is told together.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.send_ledger import Which, open_sends
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.vocabularies import RunStatus
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SmartflowError, WarehouseBusyError
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.stages import incident_pages
from smartflow_assets.stages.alerting import Drained, Failure, drain_outbox, record_failures, writes_of
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.configuration_log import is_at_rest, note_files
from smartflow_assets.stages.remediation import remediations
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.scheduling.due_sources import RETRIES_AT_ONCE
from smartflow_assets.stages.source_groups import group_sources

_log = logging.getLogger("smartflow")


@dataclass(frozen=True)
class RunRecord:
    """A finished run as the event log tells it. `facts` are numbers that the assets reported, `seconds` by step."""

    run_id: str
    job: str
    source: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime
    as_of: datetime | None
    reason: str
    failures: tuple[Failure, ...] = ()
    succeeded_steps: frozenset[str] = frozenset()
    facts: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The clock of the run."""
        return self.as_of or self.ended_at


def closed_sources(warehouse: Warehouse, run_id: str) -> frozenset[str]:
    """The sources of the run that `run_log` has; `*` for a run of none."""
    return frozenset(warehouse.read("SELECT source FROM run_log WHERE run_id = ?", [run_id])["source"])


def unsuccessful_sources(warehouse: Warehouse) -> frozenset[str]:
    """The sources whose last run to watch them did not succeed."""
    rows = warehouse.read(
        "SELECT source FROM run_log WHERE job = 'monitor_source' GROUP BY source HAVING arg_max(status, started_at) <> 'success'"
    )
    return frozenset(rows["source"])


def close(run: RunRecord, *, warehouse: Warehouse, settings: Settings, catalogue: Catalogue) -> None:
    """Record one source of a run. The caller holds the lock of closing and has asked `closed_sources`; what a run is concluded with, its
    messages among it, is left to do."""
    policy = catalogue.alert_policy(run.source)
    with warehouse.reading():
        run = _with_doom_noted(run, warehouse)
        recovered = run.succeeded_steps | ({"run"} if run.status == "success" else frozenset())
        step = record_failures(warehouse, run.source, run.failures, recovered, policy=policy, now=run.now, run_id=run.run_id)
    warehouse.commit(run.run_id, [*writes_of(step), Append("run_log", _log_row(run))])
    _remedy(run, warehouse=warehouse, settings=settings, catalogue=catalogue)


def _remedy(run: RunRecord, *, warehouse: Warehouse, settings: Settings, catalogue: Catalogue) -> None:
    """Do what the source wants done about checks that are red and stages that failed, which only now are incidents. Where another run
    works on the source already, that one does it, or the next."""
    source = catalogue.sources.get(run.source)
    if source is None or not source.remediate or not (run.failures or run.status == "success"):
        return
    own = SourceRun(source, settings, catalogue, warehouse, ModelStore(settings.models), run.now, run.run_id)
    try:
        with AdvisoryLock(settings.source_lock(run.source)).exclusive(timedelta(0), holder=run.run_id):
            remediations(with_bucket(own))
    except WarehouseBusyError:
        return
    except SmartflowError:  # the run is to be closed all the same
        _log.exception("%s: nobody could see which remedies are due", run.source)


def deliver(
    run_id: str,
    sources: Collection[str],
    *,
    now: datetime,
    warehouse: Warehouse,
    settings: Settings,
    catalogue: Catalogue,
    environment: Mapping[str, str],
    holding: Collection[str] = (),
    is_of_many: bool = True,
) -> Drained:
    """Send what is due of the sources of a run, when they are through: those of several are looked at together first. `holding`: sources
    whose lock the caller has."""
    with warehouse.reading():  # a message is claimed in a commit of its own, so the file is closed while it is sent
        if is_of_many:
            group_sources(warehouse, catalogue, now=now, run_id=run_id, holding=holding)
        of = (*sources, OF_NO_SOURCE)
        drained = drain_outbox(warehouse, catalogue, settings, now=now, run_id=run_id, environment=environment, sources=of)
        if is_of_many and (drained.sent or drained.failed):
            incident_pages.write_told(warehouse, catalogue, run_id, now=now, environment=environment)
        return drained


def deliver_orphans(
    run_id: str,
    *,
    now: datetime,
    warehouse: Warehouse,
    settings: Settings,
    catalogue: Catalogue,
    environment: Mapping[str, str],
    leaving: Collection[str] = (),
) -> tuple[list[str], Drained]:
    """Send what is due of sources whose file is gone, and of none, which no run is of; not what the runs `leaving` have planned.
    -> whose messages wait or waited, and what became of them."""
    with warehouse.reading():
        sources = sorted({send["source"] for send in open_sends(warehouse, Which(None, leaving))} - set(catalogue.names))
        if not sources:
            return [], Drained()
        drained = drain_outbox(
            warehouse,
            catalogue,
            settings,
            now=now,
            run_id=run_id,
            environment=environment,
            sources=sources,
            leaving=leaving,
        )
        if drained.sent or drained.failed or drained.skipped:
            warehouse.publish(run_id, is_forced=True)
        return sources, drained


def conclude(
    run_id: str, *, now: datetime, warehouse: Warehouse, settings: Settings, catalogue: Catalogue, is_publishing_forced: bool = False
) -> None:
    """What is left when all sources of a run are closed: note which files are gone, publish."""
    with warehouse.reading():
        if is_at_rest(settings.sources, datetime.now(UTC)):
            note_files(warehouse, catalogue.names, now=now, run_id=run_id)
        warehouse.publish(run_id, is_forced=is_publishing_forced)


def _with_doom_noted(run: RunRecord, warehouse: Warehouse) -> RunRecord:
    """The run, with a failure when it is one of several in a row that were killed: no next run puts that right."""
    if run.status != "killed":
        return run
    earlier = warehouse.read(
        """
        WITH runs AS (SELECT status, started_at FROM run_log WHERE source = ? AND job = ? AND started_at <= ?)
        SELECT count(*) AS n FROM runs WHERE status = 'killed' AND started_at > coalesce(
            (SELECT max(started_at) FROM runs WHERE status <> 'killed'), TIMESTAMPTZ '1970-01-01')
        """,
        [run.source, run.job, run.ended_at],
    )["n"].iloc[0]
    if earlier + 1 < RETRIES_AT_ONCE:
        return run
    message = (
        f"{earlier + 1} runs in a row were killed before they ended. Is the memory of the machine too small for this source? "
        "The log of the kernel (dmesg) names what was killed; `smartflow doctor` shows dead runs."
    )
    return replace(run, failures=(*run.failures, Failure(cause="run", message=message)))


def _log_row(run: RunRecord) -> pd.DataFrame:
    def count(name: str) -> int | None:
        return int(run.facts[name]) if name in run.facts else None

    return pd.DataFrame(
        [
            {
                "source": run.source,
                "run_id": run.run_id,
                "job": run.job,
                "status": run.status,
                "reason": run.reason,
                "as_of": run.now,
                "started_at": run.started_at,
                "ended_at": run.ended_at,
                "rows_in": count("rows_in"),
                "rows_scored": count("rows_scored"),
                "anomaly_count": count("anomaly_count"),
                "lag_seconds": run.facts.get("lag_seconds"),
                "seconds": dict(run.seconds),
                "error": "; ".join(f"{failure.cause}: {failure.message}" for failure in run.failures) or None,
            }
        ]
    )
