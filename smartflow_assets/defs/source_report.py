"""What a run of several sources tells of one of them: to Dagster while it goes on, to `run_log` and to whoever started it when it ends.

Each event that Dagster stores costs 5 ms, so a stage that did nothing is not told again. What is told is the first stage that did something
and all that depend on it, so no asset looks older than what it is made of; all of them where one has never been told or the last run left
something red.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.events import EngineEventData
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Answered
from dagster._utils.error import serializable_error_info_from_exc_info

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.defs.jobs import MONITOR_JOB
from smartflow_assets.defs.metadata import NOTE, StageContext, has_news, told, untold
from smartflow_assets.defs.names import EACH_SOURCE
from smartflow_assets.defs.partitions import REASON_TAG
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.defs.run_closing import BEGUN, check_failure, numbers_of, reason_of
from smartflow_assets.defs.unmade import report_unmade
from smartflow_assets.stages.alerting import Failure
from smartflow_assets.stages.run_closing import RunRecord


@dataclass(frozen=True)
class Outcome:
    """How the run of one source ended. `facts` are the numbers that the assets reported, `notes` what
    they have to tell, `seconds` its time on the wall with all that follows it."""

    source: str
    run_id: str
    is_success: bool
    failures: tuple[Failure, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def told_of(warehouse: Warehouse, run_id: str, source: str, *, is_alone: bool = False) -> dict[str, float]:
    """What a run did to incidents and messages of a source, with its closing: a failed run opens an incident of its own. With those of no
    source where the run was of this one alone."""
    of = [source, *([OF_NO_SOURCE] if is_alone else [])]
    counts = warehouse.read(
        """
        SELECT (SELECT count(*) FROM incident_events WHERE run_id = ? AND source = ? AND event IN ('opened', 'reopened'))
                   AS incidents_opened,
               (SELECT count(*) FROM incident_events WHERE run_id = ? AND source = ? AND event = 'resolved') AS incidents_resolved,
               (SELECT count(*) FROM alert_sends WHERE run_id = ? AND list_contains(?, source) AND status = 'sent') AS messages_sent,
               (SELECT count(*) FROM alert_sends WHERE run_id = ? AND list_contains(?, source) AND status = 'failed') AS messages_failed,
               (SELECT count(*) FROM remediations WHERE run_id = ? AND source = ? AND status = 'done') AS remedies_done,
               (SELECT count(*) FROM remediations WHERE run_id = ? AND source = ? AND status = 'failed') AS remedies_failed
        """,
        [*[run_id, source] * 2, *[run_id, of] * 2, *[run_id, source] * 2],
    )
    return {str(name): float(count) for name, count in counts.iloc[0].items()}


class SourceReport:
    """The report on one source, from the moment on when it has its turn."""

    def __init__(self, context: dg.OpExecutionContext, source: str, *, is_telling_all: bool) -> None:
        self._context, self._source, self._is_telling_all = context, source, is_telling_all
        self._started_at, self._started = datetime.now(UTC), time.monotonic()
        self._failures, self._check_failures, self._notes = list[Failure](), list[Failure](), list[str]()
        self._facts, self._seconds = dict[str, float](), dict[str, float]()
        self._passed, self._told = set[str](), set[dg.AssetKey]()

    def begins(self) -> None:
        """It has its lock, and a run that dies from now on has died in this source."""
        self._say(f"{self._source}: begins", EngineEventData({BEGUN: self._source}))

    def made(self, asset: dg.AssetsDefinition, context: StageContext, result: dg.MaterializeResult, seconds: float) -> bool:
        """A stage went well. -> whether Dagster was told."""
        self._seconds[asset.key.path[-1]] = round(seconds, 3)
        checks = [self._evaluation(asset, answer) for answer in result.check_results or ()]
        self._check_failures += [failure for check in checks for failure in check_failure(check)]
        self._passed |= {f"check:{check.check_name}" for check in checks if check.passed}
        is_told = self._is_telling_all or has_news(result) or bool(asset.asset_deps[asset.key] & self._told)
        if is_told:
            self._told.add(asset.key)
        metadata = told(context, result).metadata if is_told else untold(result)
        made = dg.AssetMaterialization(asset.key, partition=self._source, metadata=metadata)
        self._facts |= numbers_of(made.metadata)
        if note := made.metadata.get(NOTE):
            self._notes.append(str(note.value))
        if is_told:
            self._context.log_event(made)
        for check in checks if is_told else self._changed(checks):
            self._context.log_event(check)  # pyright: ignore[reportArgumentType]: its annotation lags behind what it takes
        return is_told

    def _evaluation(self, asset: dg.AssetsDefinition, answer: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
        return dg.AssetCheckEvaluation(
            asset_key=asset.key,
            check_name=str(answer.check_name),
            passed=answer.passed,
            metadata=answer.metadata,
            severity=answer.severity,
            description=answer.description,
            partition=self._source,
        )

    def _changed(self, checks: Sequence[dg.AssetCheckEvaluation]) -> Iterator[dg.AssetCheckEvaluation]:
        """Checks whose answer is another than that which the page of their asset shows."""
        shown = self._context.instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [check.asset_check_key for check in checks], partition_filter=PartitionKeyFilter(key=self._source)
        )
        for check in checks:
            last = shown.get(check.asset_check_key)
            if last is None or last.status != (Answered.SUCCEEDED if check.passed else Answered.FAILED):
                yield check

    def failed(self, cause: str) -> None:
        """A stage, or for the cause `run` all of it, failed by the error that is being handled."""
        error = serializable_error_info_from_exc_info(sys.exc_info())
        self._failures.append(Failure(cause, reason_of(error)))
        self._say(f"{self._source}: {cause} failed", EngineEventData.engine_error(error))

    def unmade(self, assets: Iterable[dg.AssetsDefinition]) -> None:
        """These failed, or were skipped."""
        report_unmade(self._context.instance, self._context.run, self._source, assets)

    def record(self, options: RunOptions) -> RunRecord:
        """The row of `run_log`, and what becomes of incidents."""
        return RunRecord(
            run_id=self._context.run_id,
            job=MONITOR_JOB,
            source=self._source,
            status="failed" if self._failures else "success",
            started_at=self._started_at,
            ended_at=datetime.now(UTC),
            as_of=options.clock,
            reason=self._context.run.tags.get(REASON_TAG, "manual"),
            failures=(*self._failures, *self._check_failures),
            facts=self._facts,
            seconds=self._seconds,
            succeeded_steps=frozenset(self._seconds) | self._passed,
        )

    def outcome(self, warehouse: Warehouse | None) -> Outcome:
        """How it ended; what was told of it, if there is a `warehouse` that was written."""
        facts = self._facts | (told_of(warehouse, self._context.run_id, self._source) if warehouse else {})
        return Outcome(
            source=self._source,
            run_id=self._context.run_id,
            is_success=not self._failures,
            failures=(*self._failures, *self._check_failures),
            facts=facts,
            notes=tuple(self._notes),
            seconds=time.monotonic() - self._started,
        )

    def _say(self, message: str, data: EngineEventData) -> None:
        self._context.instance.report_engine_event(message, self._context.run, data, step_key=EACH_SOURCE)
