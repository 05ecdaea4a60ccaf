"""The one resource of every job: the run itself, with its clock, its limits and the locks it holds.

Its fields are what the Launchpad prefills. While a run lasts it holds two advisory locks: `run-<id>.lock`, which says that
the process is alive (housekeeping reads it), and `<source>.lock`, which keeps runs of one source one after the other, CLI and
daemon alike. The kernel frees both when the process is killed. A run of several sources takes their locks in turn, one at a time.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from smartflow_assets.adapters.files.access import Share, private
from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.home import share_of
from smartflow_assets.config.run_clock import refuse_future
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SourceError, WarehouseBusyError
from smartflow_assets.core.temporal.notation import parse_moment
from smartflow_assets.defs.name_claim import claim_prefix
from smartflow_assets.defs.names import MONITOR_JOB, MONITOR_MANY_JOB, PARTITION_SET, prefixed, stage_of
from smartflow_assets.defs.partitions import PARTITION_TAG, REASON_TAG, REQUEST_TAG
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.scheduling.appearance import DECIDING_STAGES, appearance

Listener = Callable[[str, str], None]
LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)  # told which stage of which source begins: a progress bar
SOURCE_LOCK_PATIENCE = timedelta(minutes=10)
STEP_PATIENCE = timedelta(hours=2)  # where each step has a process of its own: one after the other
_WHY = {"training schedule": "schedule", "command line": "by hand"}  # a run's reason as it stands beside the model that it trained


def parse_time(text: str | None, field: str) -> datetime | None:
    """An ISO time; one without a zone is UTC. SourceError names the field otherwise."""
    if text is None or not text.strip():
        return None
    try:
        return parse_moment(text)
    except ValueError:
        raise SourceError(f"{field}: {text!r} is not a time", remedy="Write it as 2026-03-01T09:35 or 2026-03-01T09:35+01:00.") from None


def given_clock(text: str | None, now: datetime) -> datetime | None:
    """The clock that a run was given, None when it was given none. SourceError when it is no time, or later than `now`."""
    clock = parse_time(text, "as_of")
    return clock and refuse_future(clock, "as_of", now)


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse of this home: one object for a process, which knows that the file is up to date and keeps DuckDB's engines."""
    return _warehouse(settings.warehouse_file, settings.published_file, share_of(settings))


@lru_cache(maxsize=4)
def _warehouse(file: Path, published: Path, share: Share | None) -> Warehouse:
    return Warehouse(file, published, share=share)


def run_lock(settings: Settings, run_id: str) -> AdvisoryLock:
    """Held as long as the process of this run lives."""
    return AdvisoryLock(settings.locks / f"run-{run_id}.lock")


def source_lock(settings: Settings, source: str) -> AdvisoryLock:
    """Held by the one run that may write this source."""
    return AdvisoryLock(settings.source_lock(source))


def closing_lock(settings: Settings) -> AdvisoryLock:
    """Held by the one process that closes runs. No source can be called so: a source's name has no hyphen."""
    return AdvisoryLock(settings.locks / "closing-runs.lock")


class RunOptions(dg.ConfigurableResource):
    """The clock and the limits of a run. All empty: now, everything that is new, messages are sent.

    Times are text, empty and not None when not given: only fields with a value stand in the Launchpad from the start.
    """

    since: str = Field(
        default="", description="Work again on rows from this time on (ISO, UTC without a zone). Empty: from where the last run stopped."
    )
    until: str = Field(default="", description="Stop before this time. Empty: up to the last closed bucket.")
    as_of: str = Field(default="", description="The clock of the whole run, for replays of the past. Empty: the real time.")
    dry_run: bool = Field(default=False, description="Work on a copy of the warehouse: nothing is written, nothing is sent.")
    retrain: bool = Field(default=False, description="Train even where a usable model is stored.")
    candidate: str = Field(
        default="",
        description="Why candidates are trained, which judge nothing until somebody promotes them. Empty: "
        "what is trained judges from now on.",
    )
    accept_removals: bool = Field(
        default=False, description="Remove the stored rows that loads wanted to remove (on_missing_rows: delete) and withheld."
    )
    send: bool = Field(default=True, description="Deliver messages in this run. Off: they stay planned for the outbox sensor.")

    _around: "_Around | None" = PrivateAttr(default=None)
    _run: SourceRun | None = PrivateAttr(default=None)
    _run_with_bucket: SourceRun | None = PrivateAttr(default=None)

    @property
    def run(self) -> SourceRun:
        """The run under way, of the source as its YAML declares it: for ingestion."""
        if self._run is None:
            raise RuntimeError("RunOptions.run is there only inside a run of one source")
        return self._run

    @property
    def run_with_bucket(self) -> SourceRun:
        """The same run for the stages after ingestion: its source has a time bucket, resolved once, as soon as rows tell one."""
        if self._run_with_bucket is None:
            run = with_bucket(self.run)
            if not run.source.is_bucket_given:
                return run
            self._run_with_bucket = run
        return self._run_with_bucket

    @property
    def settings(self) -> Settings:
        """The home of the run under way."""
        if self._around is None:
            raise RuntimeError("RunOptions.settings is there only inside a run")
        return self._around.settings

    @property
    def clock(self) -> datetime | None:
        """The clock that the run was given, None when it was given none."""
        return parse_time(self.as_of, "as_of")

    def _is_whole(self, run: dg.DagsterRun) -> bool:
        """Whether the run does all that there is to do for its source, so that looks may rest on it: a click may be of some steps."""
        if self.dry_run or self.since or self.until:
            return False
        steps = run.step_keys_to_execute
        is_of_all = steps is None or {stage_of(step) for step in steps} >= DECIDING_STAGES
        return run.job_name == prefixed(MONITOR_MANY_JOB) or (run.job_name == prefixed(MONITOR_JOB) and is_of_all)

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["RunOptions"]:
        """Take the run's lock; in a run of one source be at work on it; give the locks back whatever happens."""
        given_clock(self.as_of, datetime.now(UTC))
        dagster_run = context.run
        name = dagster_run.tags.get(PARTITION_TAG, "") if dagster_run else ""
        if dagster_run is None or not (name or dagster_run.job_name == prefixed(MONITOR_MANY_JOB)):
            raise SourceError("this job works on one source at a time", remedy="Choose a partition, or use `smartflow run SOURCE`.")
        settings = Settings.from_environment(os.environ)
        if context.instance is not None and not self.dry_run:
            claim_prefix(context.instance, settings)
            if name:
                context.instance.add_dynamic_partitions(PARTITION_SET, [name])  # a run of a new instance may come before any sensor
        alive = run_lock(settings, dagster_run.run_id)
        with contextlib.ExitStack() as stack:
            stack.enter_context(private())
            stack.enter_context(alive.exclusive(STEP_PATIENCE, holder=dagster_run.run_id))  # closing the run removes it
            if self.dry_run:
                stack.callback(alive.remove)
            self._around = _Around(settings, dagster_run, context.log)
            if name:
                stack.enter_context(self.at_work_on(name))
            try:
                yield self
            finally:
                self._around = None

    @contextlib.contextmanager
    def at_work_on(self, name: str, *, patience: timedelta = SOURCE_LOCK_PATIENCE, of_many: Catalogue | None = None) -> Iterator[SourceRun]:
        """Hold the lock of one source, and make its run the one that `run` gives. WarehouseBusyError where another run holds it for longer
        than `patience`; what is wrong with its file is raised as it is. `of_many`: what a run of several sources has read of all."""
        if self._around is None:
            raise RuntimeError("a source is worked on only inside a run")
        settings, dagster_run, log = self._around.settings, self._around.run, self._around.log
        run_id, turn = dagster_run.run_id, source_lock(settings, name)
        with contextlib.ExitStack() as stack:
            if not self.dry_run:
                try:
                    stack.enter_context(turn.exclusive(timedelta(0), holder=run_id))
                except WarehouseBusyError as busy:
                    if not patience:
                        raise
                    if log:
                        log.info(f"{name}: another run works on this source; waiting up to {patience}. {busy}")
                    stack.enter_context(turn.exclusive(patience, holder=run_id))
            catalogue = of_many or Catalogue.load(settings)
            if self.dry_run:
                settings = stack.enter_context(_copied_home(settings, name))
            source, warehouse, now = catalogue.source(name), open_warehouse(settings), self.clock or datetime.now(UTC)
            listener = LISTENER.get()
            self._run = SourceRun(
                source=source,
                settings=settings,
                catalogue=catalogue,
                warehouse=warehouse,
                models=ModelStore(settings.models),
                now=now,
                run_id=run_id,
                since=parse_time(self.since, "since"),
                until=parse_time(self.until, "until"),
                is_retraining=self.retrain,
                reason=_WHY.get(why := dagster_run.tags.get(REASON_TAG, "by hand"), why),
                request_id=dagster_run.tags.get(REQUEST_TAG, ""),
                candidate=self.candidate,
                is_removal_accepted=self.accept_removals,
                appearance=appearance(source, settings, warehouse, now) if self._is_whole(dagster_run) else None,
                report=partial(listener, name) if listener else lambda stage: None,
                is_sending=self.send and not self.dry_run and of_many is None,  # several are looked at together before anything is sent
                is_dry=self.dry_run,
            )
            try:
                yield self._run
            finally:
                self._run = self._run_with_bucket = None


@dataclass(frozen=True)
class _Around:
    """What all sources of a run have in common."""

    settings: Settings
    run: dg.DagsterRun
    log: dg.DagsterLogManager | None


@contextlib.contextmanager
def _copied_home(settings: Settings, source: str) -> Iterator[Settings]:
    """A throw-away home with a copy of the warehouse and of this source's models; sources and inbox are the real ones."""
    with tempfile.TemporaryDirectory(prefix="smartflow-dry-run-") as folder:
        copy = settings.with_state_in(Path(folder))
        open_warehouse(settings).copy_to(copy.warehouse_file)
        if (settings.models / source).exists():
            shutil.copytree(settings.models / source, copy.models / source)
        yield copy
