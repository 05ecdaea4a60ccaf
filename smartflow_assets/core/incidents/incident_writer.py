"""What becomes of incidents that are not of anomalies in one step: their events, and the messages that these call for."""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from smartflow_assets.core.incidents.alert_planning import Advance, AlertPlanner, is_heard
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import IncidentEvent, Row, again_since, in_order, log_entry, next_sequence
from smartflow_assets.core.severity import Severity


class IncidentWriter:
    """Writes events after those of a history, and plans what people are told of each. Of an incident that somebody has silenced they hear
    again once it comes back; of one that comes and goes, that it is over once it has stayed so for as long as `patience` says.

    `history` and `sends`: rows of incident_events and alert_sends of the incidents concerned.
    """

    def __init__(
        self,
        history: pd.DataFrame,
        sends: pd.DataFrame,
        policy: AlertPolicy,
        *,
        now: datetime,
        run_id: str,
        by_whom: str = "smartflow",
    ) -> None:
        self.entries = in_order(history)
        self._history, self._policy, self._now, self._run_id, self._by_whom = history, policy, now, run_id, by_whom
        self._planner, self._log = AlertPlanner(sends, policy, now=now, run_id=run_id), list[Row]()

    def append(self, incident: Row, kind: IncidentEvent, severity: Severity, **payload: Any) -> Row:
        """The next event of an incident, and what people hear of it."""
        entry = self.note(incident, kind, severity, **payload)
        if is_heard(incident, kind):
            opened_at = payload.get("opened_at") or incident.get("opened_at")
            told = None if kind in ("seen", "resolved") else self._planner.heard_of(self._own(incident))  # for these nobody asks
            wait = self._left_to_wait(incident, payload["resolved_at"]) if kind == "resolved" else timedelta(0)
            self._planner.announce(entry, self._now, incident.get("group_id"), opened_at=opened_at, told=told, wait=wait)
        return entry

    def patience(self, incident: Row) -> timedelta:
        """How soon after its end what comes back is the same incident."""
        return self._policy.patience(self._returns(incident))

    def note(self, incident: Row, kind: IncidentEvent, severity: Severity, **payload: Any) -> Row:
        """The next event of an incident, of which nobody hears."""
        sequence = next_sequence([*self.entries, *in_order(pd.DataFrame(self._log))], incident["incident_id"])
        entry = log_entry(
            incident,
            kind,
            severity=severity,
            happened_at=self._now,
            run_id=self._run_id,
            payload=payload | {"sequence": sequence},
            by_whom=self._by_whom,
        )
        self._log.append(entry)
        return entry

    def _own(self, incident: Row) -> list[Row]:
        return [entry for entry in self.entries if entry["incident_id"] == incident["incident_id"]]

    def _returns(self, incident: Row) -> int:
        return sum(entry["event"] == "reopened" for entry in self._own(incident))

    def _left_to_wait(self, incident: Row, over_at: datetime) -> timedelta:
        """How much longer it has to be over before people hear of it: nothing at first or where a person says so, more after each
        return."""
        if not self._returns(incident) or self._by_whom != "smartflow":
            return timedelta(0)
        return max(timedelta(0), pd.Timestamp(over_at) + self.patience(incident) - pd.Timestamp(self._now))

    def again_since(self, incident: Row) -> pd.Timestamp | None:
        """Since when an incident is there again that had been over; None when it never came back."""
        return again_since(self._own(incident))

    def conclude(self) -> Advance:
        """What is to be written of all that."""
        return self._planner.conclude(self._history, self._log)
