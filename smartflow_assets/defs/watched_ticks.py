"""What Dagster's history says of schedules and sensors: which should have ticked and did not, and which fail in a row.

Ours are looked at in any case, those of other code locations when somebody asks. Of a location that is not ours the history has the cron
lines and not the time zone (`core.temporal.missed_slots`). Nothing is judged until the daemon has been ticking for a while: after a pause
it has missed everything, and comes to it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, InstigatorType, ScheduleInstigatorData, TickStatus

from smartflow_assets.config.alerts_for import AlertsFor
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.core.incidents.watched import FAILED_TICKS, OVERDUE_MINUTES, Matter
from smartflow_assets.core.temporal.missed_slots import next_slot
from smartflow_assets.defs.names import PREFIX
from smartflow_assets.defs.run_closing import reason_of
from smartflow_assets.defs.watched_events import Seen, looked_up, one_line

OVERDUE = timedelta(minutes=OVERDUE_MINUTES)
_ENDED = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]
_GOOD = [TickStatus.SUCCESS, TickStatus.SKIPPED]
GONE = "it is switched off or gone"


def running(instance: dg.DagsterInstance) -> list[InstigatorState]:
    """All schedules and sensors of the instance that are on."""
    return [state for state in instance.all_instigator_state() if state.is_running]


def is_ours(state: InstigatorState) -> bool:
    """Whether it is called as ours are."""
    return is_ours_by_name(state.instigator_name)


def is_ours_by_name(name: str) -> bool:
    """Whether a schedule or sensor is called as ours are."""
    return name.startswith(f"{PREFIX}_")


def look_at_ticks(
    instance: dg.DagsterInstance,
    asked: AlertsFor,
    *,
    zones: Mapping[str, str],
    still_open: Iterable[str],
    now: datetime,
    awake_since: datetime,
) -> Seen:
    """Those that missed a slot or failed in a row, and which of `still_open` (causes) are well again. `zones`: of the schedules of our own
    code location, by name."""
    seen, states, open_now = Seen(), running(instance), set(still_open)
    names = Counter((state.instigator_type, state.instigator_name) for state in states)
    known = set[str]()
    for state in states:
        if not (is_ours(state) or asked.has_schedule(state.instigator_name)):
            continue
        is_schedule, name = state.instigator_type == InstigatorType.SCHEDULE, state.instigator_name
        if names[state.instigator_type, name] > 1:
            name += f" ({state.repository_selector.location_name})"
        matter = Matter("schedule" if is_schedule else "sensor", name)
        known.add(matter.cause)
        failing = _failing(instance, state, matter)
        missed = _missed(instance, state, matter, zones.get(state.instigator_name), now) if is_schedule and not failing else None
        if failure := failing or missed:
            if matter.cause not in open_now and (failing or now - awake_since > OVERDUE):  # what goes on is no news
                seen.fail(matter, failure)
        elif matter.cause in open_now and _is_well(instance, state):
            seen.ended[matter.cause] = "it ticks again"
    for cause in open_now - known:
        if cause.startswith(("schedule:", "sensor:")):
            seen.ended[cause] = GONE
    return seen


def _ticks(instance: dg.DagsterInstance, state: InstigatorState, statuses: list[TickStatus], most: int) -> list[Any]:
    return list(instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=most, statuses=statuses))


def _failing(instance: dg.DagsterInstance, state: InstigatorState, matter: Matter) -> Failure | None:
    """Of a sensor that has ended its newest tick well its state says so, and its ticks need not be read."""
    data = state.sensor_instigator_data
    if data is not None and data.last_tick_success_timestamp:
        return None
    ticks = _ticks(instance, state, _ENDED, FAILED_TICKS)
    if len(ticks) < FAILED_TICKS or any(tick.status != TickStatus.FAILURE for tick in ticks):
        return None
    reason = one_line(reason_of(ticks[0].tick_data.error))
    return Failure(
        matter.cause,
        reason,
        title=f"{matter} failed {FAILED_TICKS} times in a row: {reason}",
        next_step=looked_up(_path(matter, state), f"the {matter}"),
        since=datetime.fromtimestamp(ticks[-1].timestamp, UTC),
    )


def _missed(instance: dg.DagsterInstance, state: InstigatorState, matter: Matter, zone: str | None, now: datetime) -> Failure | None:
    data = state.instigator_data
    if not isinstance(data, ScheduleInstigatorData) or not data.cron_schedule:
        return None
    good = next(iter(_ticks(instance, state, _GOOD, 1)), None)
    last = max(good.timestamp if good else 0.0, data.start_timestamp or 0.0)
    if not last or now.timestamp() - last < OVERDUE.total_seconds():
        return None
    after, iterated = datetime.fromtimestamp(last, UTC), datetime.fromtimestamp(data.last_iteration_timestamp or 0.0, UTC)
    due = next_slot(data.cron_schedule, after, zone)
    if due is not None and due < iterated and not _has_failed_since(instance, state, last):
        due = next_slot(data.cron_schedule, iterated, zone)  # the daemon came by later: the cron line was another, or ticks were pruned
    if due is None or now - due <= OVERDUE:
        return None
    return Failure(
        matter.cause,
        f"It should have ticked at {due:%Y-%m-%d %H:%M} UTC; its last good tick was "
        + (f"of {after:%Y-%m-%d %H:%M} UTC." if good else "never seen."),
        title=f"{matter} should have ticked at {due:%Y-%m-%d %H:%M} UTC and did not",
        next_step=looked_up(_path(matter, state), f"the {matter}, whether its code location loads and its last tick failed"),
        since=due,
    )


def _has_failed_since(instance: dg.DagsterInstance, state: InstigatorState, last: float) -> bool:
    return any(tick.timestamp > last for tick in _ticks(instance, state, [TickStatus.FAILURE], 1))


def _is_well(instance: dg.DagsterInstance, state: InstigatorState) -> bool:
    newest = _ticks(instance, state, _ENDED, 1)
    return not newest or newest[0].status in _GOOD


def _path(matter: Matter, state: InstigatorState) -> str:
    selector = state.repository_selector
    return f"/locations/{selector.repository_name}@{selector.location_name}/{matter.kind}s/{state.instigator_name}"
