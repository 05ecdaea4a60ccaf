"""Which messages the events of incidents call for: rows for the table alert_sends, planned or skipped with the reason.

An opened incident is told to every channel of the policy, a worse severity again, a recovery where the opening was told, whatever
the policy has become since. A return is told as it comes; where one run sees the recovery and the return, neither is, unless it is worse.
Of one that is snoozed people hear that it is over, or that the snooze is while it goes on (a reminder).
What a message says is in `messages`, how it is delivered and recorded in the outbox; here it is only planned, in the same
commit as the event, under a key by which receivers know a repeat.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import pandas as pd

from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import EVENT_COLUMNS, IncidentEvent, Row, fold, read_payload, row_dicts
from smartflow_assets.core.severity import RANK, Severity
from smartflow_assets.core.temporal.notation import format_duration
from smartflow_assets.core.typed_rows import typed_rows

SEND_COLUMNS = [
    "source",
    "incident_id",
    "event",
    "channel",
    "attempt",
    "status",
    "due_at",
    "happened_at",
    "is_possible_repeat",
    "idempotency_key",
    "error",
    "run_id",
]
AlertEvent = Literal["opened", "escalated", "reminder", "resolved"]
"""What a message tells of its incident."""
AlertStatus = Literal["planned", "claimed", "sent", "failed", "skipped"]
"""How the delivery of a message stands."""
TOLD_WITH = "told with incident "
"""Why a message was skipped whose incident is of a group: the group's own message tells of it."""
_SEND_OF: dict[str, AlertEvent] = {
    "opened": "opened",
    "reopened": "opened",
    "escalated": "escalated",
    "resolved": "resolved",
    "woken": "reminder",
    "grouped": "opened",
}
_OF_A_LEADER: tuple[AlertEvent, ...] = ("opened", "escalated", "reminder")  # a member's own end is told to whoever was told of it


def is_heard(incident: Mapping[str, Any], kind: IncidentEvent) -> bool:
    """Whether people hear of an event of an incident that stands so: of one that somebody has silenced that it is back, and of one that is
    snoozed that it is over."""
    is_snoozed = incident.get("snoozed_until") is not None
    return incident.get("state") != "suppressed" or kind in ("reopened", "woken") or (is_snoozed and kind == "resolved")


@dataclass(frozen=True)
class Advance:
    """What to write in one commit: events to append, the touched incidents to rewrite, messages to append."""

    events: pd.DataFrame
    incidents: pd.DataFrame
    sends: pd.DataFrame

    @property
    def summary(self) -> str:
        """One line on what was recorded without telling anybody, empty when there is nothing to say."""
        return untold(self.sends)


def message_key(incident_id: str, send: str, channel: str, sequence: int) -> str:
    """The idempotency key of the message that the incident's event of this sequence calls for on a channel.

    The outbox finds by it which event a message is of: an incident may open, recover and open again in one run.
    """
    return hashlib.sha256(f"{incident_id}|{send}|{channel}|{sequence}".encode()).hexdigest()[:32]


def untold(sends: pd.DataFrame) -> str:
    """One line on the messages of a run that nobody was told, by no other incident either; empty when there are none."""
    skipped = sends[(sends["status"] == "skipped") & ~sends["error"].astype(str).str.startswith(TOLD_WITH)]
    if skipped.empty:
        return ""
    count = skipped["incident_id"].nunique()
    return (
        f"{count} past incident{'s are' if count > 1 else ' is'} recorded without telling anybody: "
        f"{len(skipped)} message{'s' if len(skipped) > 1 else ''} skipped."
    )


class AlertPlanner:
    """Plans the messages of one run. It knows from `sends` (the rows of alert_sends so far) which channel has been told what."""

    def __init__(
        self,
        sends: pd.DataFrame,
        policy: AlertPolicy,
        *,
        now: datetime,
        run_id: str,
        quiet_before: datetime | None = None,
        delay: timedelta = timedelta(0),
    ) -> None:
        """`delay`: how late the source's rows are by nature, which makes nothing too old to be told."""
        self._policy, self._now, self._run_id, self._quiet_before = policy, pd.Timestamp(now), run_id, quiet_before
        self._delay, self._planned = delay, list[Row]()
        told = sends[sends["status"] != "skipped"].drop_duplicates(["incident_id", "event", "channel", "idempotency_key"])
        self._balance: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by channel: told that it is on, less that it is over
        self._recoveries: dict[tuple[str, str], tuple[Row, Severity]] = {}  # planned in this run, and how bad the incident was
        for row in row_dicts(told):
            self._balance[row["incident_id"]][row["channel"]] += {"opened": 1, "resolved": -1}.get(row["event"], 0)

    def announce(self, event: Row, ended_at: datetime, member_of: str | None = None) -> None:
        """Plan what an event calls for; `ended_at` is when the newest anomaly that it speaks of ended, `member_of` the incident that
        people are told of in its place."""
        wanted = _SEND_OF.get(event["event"])
        balances = self._balance[event["incident_id"]]
        told = [channel for channel, balance in balances.items() if balance > 0]
        to = self._policy.to if self._policy.is_worth_telling(event["severity"]) else ()
        asked = told if wanted == "resolved" else [*told, *to] if wanted == "reminder" else to
        for channel in dict.fromkeys(asked if wanted else ()):
            send: AlertEvent | None = wanted
            if wanted == "opened" and (unsaid := self._take_back(event["incident_id"], channel)):
                send = "escalated" if RANK[event["severity"]] > RANK[unsaid] else None
            elif balances[channel] <= 0:
                send = "opened"  # whoever was told nothing hears of a worse severity as of something new
            elif wanted == "opened":
                send = None
            if send is not None:
                self._plan(event, send, channel, self._untold_because(send, ended_at, member_of))

    def conclude(self, history: pd.DataFrame, log: list[Row]) -> Advance:
        """The events of this run with the incidents that come of them: `history` holds the earlier events of those incidents."""
        events = typed_rows(log, EVENT_COLUMNS, {"happened_at": "datetime64[us, UTC]"})
        earlier = history[history["incident_id"].isin(events["incident_id"])]
        every = events if earlier.empty else pd.concat([earlier[EVENT_COLUMNS], events], ignore_index=True)
        times = dict.fromkeys(("due_at", "happened_at"), "datetime64[us, UTC]")
        told = [  # whoever hears that it is over need not hear how bad it became
            row for row in self._planned if row["event"] != "escalated" or (row["incident_id"], row["channel"]) not in self._recoveries
        ]
        sends = typed_rows(told, SEND_COLUMNS, times | {"attempt": "int64", "is_possible_repeat": bool})
        return Advance(events, fold(every), sends)

    def _take_back(self, incident_id: str, channel: str) -> Severity | None:
        """Leave a recovery unsaid that this run has planned and now sees undone; how bad the incident was by then, None without one."""
        row, severity = self._recoveries.pop((incident_id, channel), (None, None))
        if row is not None:
            self._planned = [planned for planned in self._planned if planned is not row]
            self._balance[incident_id][channel] += 1
        return severity

    def _untold_because(self, send: AlertEvent, ended_at: datetime, member_of: str | None) -> str | None:
        if member_of is not None and send in _OF_A_LEADER:
            return f"{TOLD_WITH}{member_of}"
        if send != "opened":
            return None
        if self._quiet_before is not None and ended_at <= self._quiet_before:
            return f"it ended before the rebuild of {self._quiet_before:%Y-%m-%d %H:%M} UTC"
        if ended_at + self._delay < self._now - self._policy.max_age:
            return f"it ended {ended_at:%Y-%m-%d %H:%M} UTC, longer ago than max_age {format_duration(self._policy.max_age)}"
        return None

    def _plan(self, event: Row, send: AlertEvent, channel: str, reason: str | None) -> None:
        if not reason:
            self._balance[event["incident_id"]][channel] += {"opened": 1, "resolved": -1}.get(send, 0)
        sequence = read_payload(event["payload"])["sequence"]
        row: Row = {
            "source": event["source"],
            "incident_id": event["incident_id"],
            "event": send,
            "channel": channel,
            "attempt": 1,
            "status": "skipped" if reason else "planned",
            "due_at": self._now,
            "happened_at": self._now,
            "is_possible_repeat": False,
            "idempotency_key": message_key(event["incident_id"], send, channel, sequence),
            "error": reason,
            "run_id": self._run_id,
        }
        self._planned.append(row)
        if send == "resolved":
            self._recoveries[event["incident_id"], channel] = row, event["severity"]
