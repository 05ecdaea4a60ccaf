"""Snoozes that are over: what goes on after one is open again, and whoever was told before it hears so.

A run of the source looks at its end, once it knows what is over; where no run comes, the outbox sensor does (`decisions.pass_time`).
"""

from datetime import datetime

from smartflow_assets.adapters.outbox import of_incidents
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.incidents.alert_planning import Advance
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.decisions import Decisions

_OVER = "SELECT incident_id FROM incidents WHERE source = ? AND snoozed_until <= ? ORDER BY incident_id"


def woken(warehouse: Warehouse, source: str, policy: AlertPolicy, timezone: str, *, now: datetime, run_id: str) -> Advance | None:
    """What becomes of the incidents of a source whose snooze is over; None where there are none."""
    ids = list(warehouse.read(_OVER, [source, now])["incident_id"])
    if not ids:
        return None
    events, sends = (of_incidents(warehouse, table, ids) for table in ("incident_events", "alert_sends"))
    clock = Decisions(events, sends, policy, now=now, by_whom="smartflow", run_id=run_id, timezone=timezone)
    for incident_id in ids:
        clock.wake(incident_id)
    return clock.conclude()
