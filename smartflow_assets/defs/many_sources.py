"""The job for several sources: one process, one import and one run, in which one source after the other goes through all stages.

It calls the bodies of the assets, as their own steps do, and reports what they made on the partition of the source. A stage that fails
skips what depends on it, in this source alone. Each source is closed as soon as it is done, so `run_log` says of each what became of it,
whatever becomes of the rest of the run; what a dead run leaves is done by `run_closing`. Messages are planned with each source and sent
when all are through, each minute in a run that takes long, so that what breaks together is told together. The run as a whole fails if a
source has failed, after all others are done. A source that another run works on is left for the end, and so is one that took its last run
down (`scheduling/turns`).
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from smartflow_assets.adapters.outbox import Drained
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SmartflowError, WarehouseBusyError, is_interrupt
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.assets.alerting import incidents
from smartflow_assets.defs.jobs import LAUNCHPAD, run_sources
from smartflow_assets.defs.metadata import made
from smartflow_assets.defs.names import EACH_SOURCE, MONITOR_MANY_JOB, OPTIONS, PARTITION_SET, prefixed
from smartflow_assets.defs.partitions import SOURCES_TAG
from smartflow_assets.defs.resources import SOURCE_LOCK_PATIENCE, RunOptions, open_warehouse
from smartflow_assets.defs.run_closing import close_source
from smartflow_assets.defs.source_report import Outcome, SourceReport
from smartflow_assets.stages.run_closing import conclude, deliver, unsuccessful_sources
from smartflow_assets.stages.scheduling.turns import Turns, in_turn

MOST_NAMES = 5  # in a tag; more are counted
TOLD_EVERY = timedelta(minutes=1)  # while the run goes on: messages are sent, and what was written is published
_READ_AGAIN = 10.0  # seconds until files of sources are looked at anew
_LOOK_AGAIN = 0.5  # seconds between two looks at sources that other runs work on


ON_END: ContextVar[Callable[[Outcome], None] | None] = ContextVar("on_end", default=None)  # told each source as it ends: the CLI


class Sources(dg.Config):
    """Which sources a run is of."""

    sources: list[str] = Field(
        default=[], description="Names of sources, watched in this order, those last whose last run was killed. Empty: all."
    )


def told_names(names: Sequence[str]) -> str:
    """Names for people: a few as they are, many as a number.

    >>> told_names(["shop", "web"]), told_names([str(number) for number in range(200)])
    ('shop, web', '200 sources')
    """
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} sources"


def config_of_many(names: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    """The run config of the job for these sources; `options` are fields of RunOptions."""
    return {"ops": {EACH_SOURCE: {"config": {"sources": list(names)}}}, "resources": {OPTIONS: {"config": options}}}


@dg.op(
    name=EACH_SOURCE,
    required_resource_keys={OPTIONS},
    description="Take one source after the other through all stages; each reports on its own partition of the assets.",
)
def each_source(context: dg.OpExecutionContext, config: Sources) -> None:
    """Fails at the end where a source has failed, so that people see red."""
    options: RunOptions = getattr(context.resources, OPTIONS)
    catalogue = _Recent(options.settings)
    known = catalogue().names
    asked = run_sources(context.run, known)
    names, gone = [name for name in asked if name in known], [name for name in asked if name not in known]
    if SOURCES_TAG not in context.run.tags:
        context.instance.add_run_tags(context.run_id, {SOURCES_TAG: told_names(names)})
    if not options.dry_run:
        context.instance.add_dynamic_partitions(PARTITION_SET, names)
    turns = in_turn(names, open_warehouse(options.settings), options.settings)
    failed = [
        outcome
        for outcome in _OneAfterTheOther(context, options, catalogue, _untold(context, options, names)).outcomes(turns)
        if not outcome.is_success
    ]
    causes = [f"{outcome.source} ({', '.join(failure.cause for failure in outcome.failures)})" for outcome in failed]
    if causes or gone:
        problems = [f"{len(causes)} of {len(names)} sources failed: {', '.join(causes)}"] if causes else []
        problems += [f"there is no source {name} in data/sources" for name in gone]
        raise dg.Failure("; ".join(problems), allow_retries=False)


@dg.job(
    name=prefixed(MONITOR_MANY_JOB),
    config=config_of_many([], LAUNCHPAD["resources"][OPTIONS]["config"]),
    executor_def=dg.in_process_executor,
    description="What monitor_source does, for several sources in one process, one after the other. One that fails leaves the others "
    "alone; the run is red then. Each has its own row in run_log, and its own partition on the pages of the assets.",
)
def monitor_sources() -> None:
    """All of it is in its one step."""
    each_source()


def _untold(context: dg.OpExecutionContext, options: RunOptions, names: Sequence[str]) -> frozenset[str]:
    """The sources of which an asset has no materialisation yet, or whose last run may have left something red on a page."""
    if options.dry_run:
        return frozenset(names)
    materialized = [context.instance.get_materialized_partitions(asset.key) for asset in ASSETS]
    return frozenset(names) - set.intersection(*materialized) | unsuccessful_sources(open_warehouse(options.settings))


class _Recent:
    """The catalogue, read again when it is ten seconds old: each reading looks at all files, and each source asks for it twice."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._read, self._read_at = settings, Catalogue.load(settings), time.monotonic()

    def __call__(self) -> Catalogue:
        if time.monotonic() - self._read_at > _READ_AGAIN:
            self._read, self._read_at = Catalogue.load(self._settings), time.monotonic()
        return self._read


@dataclass
class _OneAfterTheOther:
    context: dg.OpExecutionContext
    options: RunOptions
    catalogue: Callable[[], Catalogue]
    untold: frozenset[str]  # sources of which all stages are told, whether they did something or not
    watched: list[str] = field(default_factory=list)  # so far
    told: float = field(default_factory=time.monotonic)  # when messages were last sent

    def outcomes(self, turns: Turns) -> Iterator[Outcome]:
        """Of each source as it ends; those that other runs work on come last, and fail when they have been waited for as long as a run of
        one source waits."""
        waiting, deadline = turns.names, None
        on_end, failed, concluded = ON_END.get(), False, 0
        while waiting:
            busy = list[str]()
            for name in waiting:
                is_last_try = deadline is not None and time.monotonic() > deadline
                if name in turns.doubtful and len(self.watched) > concluded:
                    self._conclude_for_now()  # it may be the last that this process does
                    concluded = len(self.watched)
                outcome = self._watched(name, is_last_try=is_last_try)
                if outcome is None:
                    busy.append(name)
                    continue
                self.watched.append(name)
                failed |= not outcome.is_success
                if on_end is not None:
                    on_end(outcome)
                yield outcome
                if self._is_time_to_tell():
                    self._conclude_for_now()
            if busy and deadline is None:
                deadline = time.monotonic() + SOURCE_LOCK_PATIENCE.total_seconds()
                self.context.log.info(f"other runs work on {told_names(busy)}; waiting up to {SOURCE_LOCK_PATIENCE}")
            if len(busy) == len(waiting):
                time.sleep(_LOOK_AGAIN)
            waiting = busy
        self._conclude(is_publishing_forced=failed)

    def _is_time_to_tell(self) -> bool:
        return time.monotonic() - self.told > TOLD_EVERY.total_seconds()

    def _tell(self, at_work_on: tuple[str, ...] = (), *, is_judged: bool = False) -> None:
        """Send what the sources so far have to tell; `at_work_on`: the one whose lock is held, which has more to tell once its incidents
        are up to date (`is_judged`): what waits may be taken back until then."""
        if not self.options.dry_run and self.options.send:
            settings = self.options.settings
            drained = deliver(
                self.context.run_id,
                (*self.watched, *(at_work_on if is_judged else ())),
                now=self.options.clock or datetime.now(UTC),
                warehouse=open_warehouse(settings),
                settings=settings,
                catalogue=self.catalogue(),
                environment=os.environ,
                holding=at_work_on,
            )
            if drained != Drained():
                self.context.log.info(f"messages: {drained}")
        self.told = time.monotonic()

    def _conclude_for_now(self) -> None:
        """What cannot be sent or published now is once more at the end; the other sources are still to be watched."""
        try:
            self._conclude(is_publishing_forced=False)
        except SmartflowError as error:
            self.context.log.warning(f"not all was sent and published yet: {error}")
            self.told = time.monotonic()

    def _conclude(self, *, is_publishing_forced: bool) -> None:
        self._tell()
        if not self.options.dry_run:
            settings = self.options.settings
            conclude(
                self.context.run_id,
                now=self.options.clock or datetime.now(UTC),
                warehouse=open_warehouse(settings),
                settings=settings,
                catalogue=self.catalogue(),
                is_publishing_forced=is_publishing_forced,
            )

    def _watched(self, name: str, *, is_last_try: bool) -> Outcome | None:
        """What became of the source; None where another run works on it, and there is time to come back."""
        report = SourceReport(self.context, name, is_telling_all=name in self.untold)
        with ExitStack() as stack:
            try:
                stack.enter_context(self.options.at_work_on(name, patience=timedelta(0), of_many=self.catalogue()))
            except WarehouseBusyError:
                if not is_last_try:
                    return None
                report.failed("run")
            except Exception:  # its file is broken, say
                report.failed("run")
            else:
                report.begins()
                self._all_stages(name, report)
        return self._closed(report)

    def _all_stages(self, name: str, report: SourceReport) -> None:
        """One stage after the other, in the order of the graph; what depends on one that failed is skipped."""
        unmade, is_judged = list[dg.AssetsDefinition](), False
        for asset in ASSETS:
            if self._is_time_to_tell():
                self._tell(at_work_on=(name,), is_judged=is_judged)
            if asset.asset_deps[asset.key] & {each.key for each in unmade}:
                unmade.append(asset)
                continue
            begun = time.monotonic()
            log = _Named(self.context.log, name)
            context = _StageOfMany(log, self.context.instance, asset.key, name)
            try:
                if report.made(asset, context, made(asset, context, self.options), time.monotonic() - begun):
                    log.say_all()
            except Exception as error:
                if is_interrupt(error):
                    raise
                log.say_all()
                report.failed(asset.key.path[-1])
                unmade.append(asset)
            is_judged |= asset is incidents
        report.unmade(unmade)

    def _closed(self, report: SourceReport) -> Outcome:
        """How the source ended, which is closed now; a dry run leaves nothing to be closed."""
        if self.options.dry_run:
            return report.outcome(None)
        settings = self.options.settings
        try:
            close_source(self.context.instance, report.record(self.options), settings, self.catalogue())
            return report.outcome(open_warehouse(settings))
        except Exception as error:  # whatever it was, the other sources are still to be watched
            if is_interrupt(error):
                raise
            report.failed("run")
            return report.outcome(None)


@dataclass(frozen=True)
class _StageOfMany:
    """What the body of an asset is told in place of the context of a step."""

    log: Any
    instance: dg.DagsterInstance
    asset_key: dg.AssetKey
    partition_key: str


class _Named(logging.LoggerAdapter[Any]):
    """The log of the run, whose lines begin with the name of the source. Mere information waits until it is known to be of interest."""

    def __init__(self, log: logging.Logger, source: str) -> None:
        super().__init__(log)
        self._source, self._waiting = source, list[str]()

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"{self._source}: {msg}", kwargs

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        self._waiting.append(str(msg) % args if args else str(msg))

    def say_all(self) -> None:
        """Say what waits."""
        for line in self._waiting:
            self.log(logging.INFO, line)
        self._waiting.clear()
