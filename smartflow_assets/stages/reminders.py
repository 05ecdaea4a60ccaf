"""Reminders: what is open, and acknowledged by nobody, is told again each `alerts.remind_every`.

A run of the source looks at its end, once it knows what is over; where no run comes, the outbox sensor does (`decisions.pass_time`).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from smartflow_assets.adapters.outbox import of_incidents
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.incidents.alert_planning import Advance
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.decisions import Decisions
from smartflow_assets.core.incidents.event_log import row_dicts

_TOLD = """
SELECT incidents.source, incident_id, max(send.happened_at) AS told_at FROM incidents JOIN alert_sends AS send USING (incident_id)
WHERE incidents.state = 'open' AND incidents.group_id IS NULL AND send.status = 'sent' AND list_contains(?, incidents.source)
GROUP BY ALL ORDER BY ALL
"""


def reminded(warehouse: Warehouse, source: str, policy: AlertPolicy, timezone: str, *, now: datetime, run_id: str) -> Advance | None:
    """What becomes of the incidents of a source that people must be reminded of; None where there are none."""
    ids = due_reminders(warehouse, {source: policy.remind_every} if policy.remind_every else {}, now).get(source)
    if not ids:
        return None
    events, sends = (of_incidents(warehouse, table, ids) for table in ("incident_events", "alert_sends"))
    clock = Decisions(events, sends, policy, now=now, by_whom="smartflow", run_id=run_id, timezone=timezone)
    for incident_id in ids:
        clock.remind(incident_id)
    return clock.conclude()


def due_reminders(warehouse: Warehouse, every: Mapping[str, timedelta], now: datetime) -> dict[str, list[str]]:
    """The incidents that people must be reminded of, by source; `every`: how often, of the sources that ask for it."""
    if not every:
        return {}
    found = dict[str, list[str]]()
    for row in row_dicts(warehouse.read(_TOLD, [list(every)])):
        if row["told_at"] + every[row["source"]] <= now:
            found.setdefault(row["source"], []).append(row["incident_id"])
    return found
