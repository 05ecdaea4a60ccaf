"""What the clock alone makes of incidents: a snooze that is over, and a reminder of what nobody has acknowledged.

What goes on after a snooze is open again, and whoever was told before it hears so; what is open is told again each `alerts.remind_every`.
A run of the source looks at its end, once it knows what is over; where no run comes, the outbox sensor does (`decisions.pass_time`).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from smartflow_assets.adapters.message_stories import of_incidents
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.incidents.alert_planning import Advance
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.decisions import Decisions
from smartflow_assets.core.incidents.event_log import row_dicts

_OVER = "SELECT incident_id FROM incidents WHERE source = ? AND snoozed_until <= ? ORDER BY incident_id"
# A message that was not taken yet counts as told when it was planned: a channel that is down is not given one more at each look.
_TOLD = """
SELECT incidents.source, incident_id, max(send.happened_at) FILTER (send.status <> 'skipped') AS told_at
FROM incidents JOIN alert_sends AS send USING (incident_id)
WHERE incidents.state = 'open' AND incidents.group_id IS NULL AND list_contains(?, incidents.source)
GROUP BY ALL HAVING bool_or(send.status = 'sent') ORDER BY ALL
"""


def turned(warehouse: Warehouse, source: str, policy: AlertPolicy, timezone: str, *, now: datetime, run_id: str) -> Advance | None:
    """What becomes of the incidents of a source by the clock; None where nothing does. What wakes now is told by that alone."""
    over = list(warehouse.read(_OVER, [source, now])["incident_id"])
    due = due_reminders(warehouse, {source: policy.remind_every} if policy.remind_every else {}, now).get(source, [])
    if not over and not due:
        return None
    events, sends = (of_incidents(warehouse, table, [*over, *due]) for table in ("incident_events", "alert_sends"))
    clock = Decisions(events, sends, policy, now=now, by_whom="smartflow", run_id=run_id, timezone=timezone)
    for incident_id in over:
        clock.wake(incident_id)
    for incident_id in due:
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
