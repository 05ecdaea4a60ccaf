"""What the event log of the instance says of checks and runs of others: read in bounded pieces, each record once.

Dagster numbers check evaluations and ends of runs in one row over all runs and code locations, on SQLite in its index. Open-source Dagster
tells nobody of them: a check that fails and does not block leaves its run a success, and a run-status sensor knows nothing of checks.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import dagster as dg
from dagster._core.event_api import EventLogRecord
from dagster._core.storage.tags import WILL_RETRY_TAG

from smartflow_assets.adapters.secret_references import redact_all
from smartflow_assets.config.alerts_for import AlertsFor
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.core.incidents.watched import Matter
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.jobs import our_job
from smartflow_assets.defs.name_claim import is_of_another_home
from smartflow_assets.defs.names import MONITOR_JOB, MONITOR_MANY_JOB, PRUNE_JOB, TRAIN_JOB, stage_of
from smartflow_assets.defs.run_closing import reason_of
from smartflow_assets.stages.message_background import ui_address

MOST_RECORDS = 1000  # of each kind in a piece
_CHECK, _FAILURE, _SUCCESS = (
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_SUCCESS,
)
_OUR_CHECKS = frozenset(key for asset in ASSETS for key in asset.check_keys)
_OUR_ASSETS = frozenset(key for asset in ASSETS for key in asset.keys)
_OUR_STAGES = frozenset(key.path[-1] for key in _OUR_ASSETS)
_OUR_JOBS = (MONITOR_JOB, MONITOR_MANY_JOB, TRAIN_JOB, PRUNE_JOB)
_IMPLICIT_JOB = "__ASSET_JOB"
_BLOCKED = "DagsterAssetCheckFailedError"


class Piece(NamedTuple):
    """Records in the order of the log, the number of the newest, and whether there are more."""

    records: Sequence[tuple[int, dg.EventLogEntry]]
    upto: int
    is_cut: bool


@dataclass
class Seen:
    """What a piece says: failures by cause, the newest of each, and causes whose last word is that all is well, with the reason."""

    failures: dict[str, Failure] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)

    def fail(self, matter: Matter, failure: Failure) -> None:
        """It failed, whatever was said of it before."""
        self.failures[matter.cause] = failure
        self.ended.pop(matter.cause, None)


def newest_number(instance: dg.DagsterInstance) -> int:
    """The number of the newest record; -1 where there is none."""
    newest = instance.event_log_storage.get_maximum_record_id()
    return -1 if newest is None else newest


def read_piece(instance: dg.DagsterInstance, after: int) -> Piece:
    """The next records after that number, at most MOST_RECORDS of a kind. Where one has more, all kinds end where that one does."""
    most, log, found, ends = MOST_RECORDS, instance.event_log_storage, dict[int, dg.EventLogEntry](), list[int]()
    for kind in (_CHECK, _FAILURE, _SUCCESS):
        entries = log.get_logs_for_all_runs_by_log_id(after_cursor=after, dagster_event_type=kind, limit=most)
        found |= entries
        ends += [max(entries)] if len(entries) >= most else []
    upto = min(ends, default=max(found, default=after))
    return Piece([(number, found[number]) for number in sorted(found) if number <= upto], upto, bool(ends))


def seen_in(piece: Piece, instance: dg.DagsterInstance, settings: Settings, asked: AlertsFor, still_open: Iterable[str]) -> Seen:
    """What the records say of matters that somebody asks for and that are not ours; `still_open`: causes of incidents that may end."""
    seen, runs = Seen(), _runs_of(instance, piece)
    open_now, newest = set(still_open), dict[Any, int]()
    for number, entry in piece.records:
        if entry.dagster_event is not None and entry.dagster_event.event_type == _FAILURE:
            newest[_kind_of_run(entry, runs)] = number
    for number, entry in piece.records:
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type == _CHECK:
            _take_check(seen, instance, event.asset_check_evaluation_data, asked)
        elif event.event_type == _FAILURE:
            if newest[_kind_of_run(entry, runs)] == number:  # of a job that failed a hundred times the newest error is told
                _take_failure(seen, instance, settings, entry, runs.get(entry.run_id), asked)
        else:
            _take_success(seen, instance, entry, open_now | set(seen.failures))
    return seen


def _runs_of(instance: dg.DagsterInstance, piece: Piece) -> dict[str, dg.DagsterRun]:
    ids = sorted({entry.run_id for _, entry in piece.records if entry.dagster_event and entry.dagster_event.event_type == _FAILURE})
    return {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=ids))} if ids else {}


def _kind_of_run(entry: dg.EventLogEntry, runs: Mapping[str, dg.DagsterRun]) -> tuple[str | None, frozenset[dg.AssetKey] | None]:
    """Runs of one job, or of one selection of assets: a backfill has one for each partition."""
    run = runs.get(entry.run_id)
    selection = run.asset_selection if run is not None and _is_implicit(entry.job_name) else None
    return entry.job_name, frozenset(selection) if selection else None


def _take_check(seen: Seen, instance: dg.DagsterInstance, check: Any, asked: AlertsFor) -> None:
    name = check.asset_key.to_user_string()
    if check.asset_check_key in _OUR_CHECKS or not asked.has_asset(name):
        return
    path = check.asset_key.path
    if len(path) > 1 and path[-1] in _OUR_STAGES and is_of_another_home(instance, path[0]):
        return
    matter = Matter("check", name, check.check_name, check.partition or "")
    if check.passed:
        seen.ended[matter.cause] = "its newest evaluation passed"
        return
    reason = _said(check)
    link = f"/assets/{'/'.join(map(quote, path))}?view=checks&checkDetail={quote(check.check_name)}"
    failure = Failure(
        matter.cause,
        reason,
        severity="critical" if check.severity == dg.AssetCheckSeverity.ERROR else "warning",
        title=f"{matter} failed: {reason}",
        next_step=looked_up(link, f"the checks of the asset {name}"),
    )
    seen.fail(matter, failure)


def _said(check: Any) -> str:
    """What an evaluation says in one line: its description, else what it measured."""
    if check.description:
        return one_line(check.description)
    told = [f"{name} {value.value}" for name, value in check.metadata.items() if isinstance(value.value, int | float | str)]
    return one_line(", ".join(told[:4])) or "it gives no reason"


def _take_failure(
    seen: Seen, instance: dg.DagsterInstance, settings: Settings, entry: dg.EventLogEntry, run: dg.DagsterRun | None, asked: AlertsFor
) -> None:
    job = entry.job_name or ""
    if run is not None and run.tags.get(WILL_RETRY_TAG, "").lower() == "true":
        return  # the last of its retries is told
    is_implicit, is_ours = _is_implicit(job), run is not None and our_job(run, instance, settings) is not None
    if (is_ours and not is_implicit) or (run is None and is_implicit) or _is_job_of_another_home(instance, job):
        return
    if not is_implicit and not asked.has_job(job):
        return
    errors = _step_errors(instance, entry.run_id)
    if is_ours and not errors:
        return  # what failed in this click is ours
    if is_implicit:
        matter = _materialization(instance, entry.run_id, run, list(errors), asked)
        if matter is None:
            return
    else:
        matter = Matter("run", job)
    if errors and all(error.cls_name == _BLOCKED for error in errors.values()) and _is_told_by_a_check(instance, entry.run_id, asked):
        return
    step = next(iter(errors), "")
    reason = one_line(reason_of(errors[step]) if step else _whole_reason(entry))
    failure = Failure(
        matter.cause,
        reason,
        title=f"{matter} failed" + (f" in step {step}" if step and step != matter.name.replace("/", "__") else "") + f": {reason}",
        next_step=looked_up(f"/runs/{entry.run_id}", f"run {entry.run_id}"),
    )
    seen.fail(matter, failure)


def _step_errors(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    """The errors of the steps that failed, in their order, but for steps of ours, which closing the run tells of."""
    found: dict[str, Any] = {}
    for record in _records(instance, run_id, dg.DagsterEventType.STEP_FAILURE):
        event = record.event_log_entry.dagster_event
        if event is not None and event.step_key and stage_of(event.step_key) is None and event.step_failure_data.error is not None:
            found[event.step_key] = event.step_failure_data.error
    return found


def _materialization(
    instance: dg.DagsterInstance, run_id: str, run: dg.DagsterRun | None, failed_steps: Sequence[str], asked: AlertsFor
) -> Matter | None:
    """The first of the assets that a run outside of a named job did not make, of those that somebody asks for."""
    wanted: list[dg.AssetKey] = []
    for record in _records(instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED) if failed_steps else ():
        event = record.event_log_entry.dagster_event
        if event is not None and event.step_key in failed_steps and event.asset_key is not None:
            wanted.append(event.asset_key)
    wanted = wanted or sorted((run.asset_selection if run else None) or (), key=lambda key: tuple(key.path))
    names = [key.to_user_string() for key in wanted if key not in _OUR_ASSETS]
    return next((Matter("materialization", name) for name in names if asked.has_asset(name)), None)


def _is_told_by_a_check(instance: dg.DagsterInstance, run_id: str, asked: AlertsFor) -> bool:
    """A blocking check that fails is one matter: the check tells of it, the run that it ended does not."""
    events = (record.event_log_entry.dagster_event for record in _records(instance, run_id, _CHECK))
    checks = (event.asset_check_evaluation_data for event in events if event is not None)
    return any(not check.passed and asked.has_asset(check.asset_key.to_user_string()) for check in checks)


def _take_success(seen: Seen, instance: dg.DagsterInstance, entry: dg.EventLogEntry, may_end: set[str]) -> None:
    cause = Matter("run", entry.job_name or "").cause
    if cause in may_end:
        seen.ended[cause] = "the job succeeded again"
    if any(cause.startswith("materialization:") for cause in may_end):
        for record in _records(instance, entry.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION):
            event = record.event_log_entry.dagster_event
            made = Matter("materialization", event.asset_key.to_user_string()).cause if event and event.asset_key else ""
            if made in may_end:
                seen.ended[made] = "it was materialized again"


def _records(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> Sequence[EventLogRecord]:
    return instance.get_records_for_run(run_id, of_type=kind).records


def _is_implicit(job: str | None) -> bool:
    return (job or "").startswith(_IMPLICIT_JOB)


def _is_job_of_another_home(instance: dg.DagsterInstance, job: str) -> bool:
    own = [job.removesuffix(f"_{name}") for name in _OUR_JOBS if job.endswith(f"_{name}")]
    return any(is_of_another_home(instance, prefix) for prefix in own)


def _whole_reason(entry: dg.EventLogEntry) -> str:
    event = entry.dagster_event
    error = event.job_failure_data.error if event is not None and event.event_specific_data else None
    return reason_of(error) if error is not None else (event.message if event is not None else None) or "its process is gone"


def looked_up(path: str, what: str) -> str:
    """Where a person looks at it: a link, where somebody has said under which address Dagster's page is."""
    address = ui_address(os.environ)
    return f"Look at it: {address}{path}" if address else f"Look at {what} in Dagster"


def one_line(text: str, most: int = 300) -> str:
    """A stranger's words as they may stand in a message: in one line, not too long, without secrets."""
    line = redact_all(" ".join(text.split()), os.environ)
    return line if len(line) <= most else f"{line[:most].rstrip()}…"
