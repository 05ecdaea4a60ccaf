"""What is written of incidents: events, the incidents that they touch and the messages that they call for, in one commit."""

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append, Rewrite, Write
from smartflow_assets.core.incidents.alert_planning import Advance


def committed(warehouse: Warehouse, run_id: str, step: Advance | None) -> list[Advance]:
    """The step, written; none where nothing has happened."""
    if step is None or step.events.empty:
        return []
    warehouse.commit(run_id, writes_of(step))
    return [step]


def writes_of(step: Advance) -> list[Write]:
    """The writes that belong together: events, the incidents that they touch, and messages."""
    return [
        Append("incident_events", step.events),
        Rewrite("incidents", tuple(step.incidents["incident_id"]), step.incidents),
        Append("alert_sends", step.sends),
    ]
