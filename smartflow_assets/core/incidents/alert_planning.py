"""Which messages the events of incidents call for: rows for the table alert_sends, planned or skipped with the reason.

An opened incident is told to every channel of the policy, a worse severity again, a recovery where the opening was told, whatever
the policy has become since. That it is over they hear once it has stayed so for long enough (`AlertPolicy.patience`): where it comes back
before, they hear neither of the recovery nor of the return, unless it is worse.
Of one that is snoozed people hear that it is over, or that the snooze is while it goes on (a reminder). A beginning may wait (`holds`): it
is planned for later, and taken back where the incident is over by then. Which channels hear of what is in `routes`.
What a message says is in `messages`, how it is delivered and recorded in the outbox; here it is only planned, in the same
commit as the event, under a key by which receivers know a repeat.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import pandas as pd

from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import EVENT_COLUMNS, OF_SERIES, IncidentEvent, Row, fold, read_payload, row_dicts
from smartflow_assets.core.incidents.holds import CAME_BACK, HELD, UNTOLD, Hold, Holds, Telling
from smartflow_assets.core.severity import RANK, Severity, worst
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
TOO_SHORT = "too short to be told: "
"""Why a message was skipped whose anomaly had fewer buckets than `min_points`; it is told once it has as many."""
_SEND_OF: dict[str, AlertEvent] = {
    "opened": "opened",
    "reopened": "opened",
    "escalated": "escalated",
    "resolved": "resolved",
    "woken": "reminder",
    "reminded": "reminder",
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
    skipped = sends[(sends["status"] == "skipped") & ~sends["error"].astype(str).str.startswith((TOLD_WITH, CAME_BACK))]
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
        recently: Iterable[Telling] = (),
    ) -> None:
        """`delay`: how late the source's rows are by nature, which makes nothing too old to be told; `recently`: what was told, as
        far back as `suppress_for`."""
        self._policy, self._now, self._run_id, self._quiet_before = policy, pd.Timestamp(now), run_id, quiet_before
        self._delay, self._planned, self._holds = delay, list[Row](), Holds(policy, recently)
        rows = row_dicts(sends)
        taken_back = {row["idempotency_key"] for row in rows if row["status"] == "skipped"}
        messages = dict.fromkeys((row["incident_id"], row["event"], row["channel"], row["idempotency_key"]) for row in rows)
        self._keys = {row["idempotency_key"] for row in rows} - taken_back
        self._balance: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by channel: told that it is on, less that it is over
        self._recoveries: dict[tuple[str, str], Row] = {}  # of which nobody has heard yet, planned in this run or waiting
        for incident_id, event, channel, key in messages:
            if key not in taken_back:
                self._balance[incident_id][channel] += {"opened": 1, "resolved": -1}.get(event, 0)
        written = sorted(rows, key=lambda row: (row["happened_at"], row["attempt"]))
        self._waiting: dict[tuple[str, str], Row] = {}  # messages of beginnings that nobody has tried to send, since they wait
        self._reminders = list[Row]()  # that nobody has tried to send
        for row in {row["idempotency_key"]: row for row in written}.values():
            if row["status"] == "planned" and row["event"] == "reminder":
                self._reminders.append(row)
            elif row["status"] == "planned" and str(row["error"] or "").startswith(HELD):
                if row["event"] != "resolved":
                    self._waiting[row["incident_id"], row["channel"]] = row
                elif row["due_at"] > self._now:  # else somebody may be sending it
                    self._recoveries[row["incident_id"], row["channel"]] = row
        newest = {(row["incident_id"], row["channel"]): row for row in written}
        self._too_short = {place for place, row in newest.items() if str(row["error"] or "").startswith(TOO_SHORT)}

    def announce(
        self,
        event: Row,
        ended_at: datetime,
        member_of: str | None = None,
        *,
        opened_at: datetime | None = None,
        last_seen_at: datetime | None = None,
        told: Severity | None = None,
        wait: timedelta = timedelta(0),
    ) -> None:
        """Plan what an event calls for; `ended_at` is when the newest anomaly that it speaks of ended, or now while it is open, `member_of`
        the incident that people are told of in its place, `opened_at` and `last_seen_at` when its own began and was last there, `told` how
        bad it is by what people have heard, `wait` how much longer a recovery has to last before they hear of it."""
        wanted = _SEND_OF.get(event["event"])
        incident_id, balances = event["incident_id"], self._balance[event["incident_id"]]
        if wanted == "resolved":
            for row in [row for row in self._reminders if row["incident_id"] == incident_id]:
                self._reminders.remove(row)
                self._skip(row, "it was over before anybody was reminded of it")
        for channel in self._asked(event, wanted):
            send: AlertEvent | None = wanted or "opened"
            over_at = (last_seen_at or ended_at) if wanted == "resolved" else None
            if wanted in ("resolved", "escalated") and self._withdraw(incident_id, channel, over_at):
                send = None if wanted == "resolved" else "opened"
            elif wanted in ("opened", "escalated") and self._take_back(incident_id, channel):
                send = "escalated" if told is not None and RANK[event["severity"]] > RANK[told] else None
            elif balances[channel] <= 0:
                send = "opened"  # whoever was told nothing hears of a worse severity as of something new
            elif wanted == "opened" or (wanted == "reminder" and (incident_id, channel) in self._waiting):
                send = None
            elif wanted == "reminder" and told is not None and RANK[event["severity"]] > RANK[told]:
                send = "escalated"  # it became worse while it was snoozed
            if send is not None:
                self._plan(event, send, channel, ended_at, member_of, opened_at, last_seen_at or ended_at, wait)

    def heard_of(self, entries: Iterable[Row]) -> Severity | None:
        """How bad an incident is by what people have been told, given its events; None where they were told nothing."""
        heard = [entry["severity"] for entry in entries if any(key in self._keys for key in self._keys_of(entry))]
        return worst(heard) if heard else None

    def _keys_of(self, entry: Row) -> Iterator[str]:
        sends: tuple[AlertEvent, ...] = ("opened", "escalated", "reminder")
        for channel in self._balance[entry["incident_id"]]:
            for send in sends:
                yield message_key(entry["incident_id"], send, channel, entry["payload"].get("sequence", 0))

    def _asked(self, event: Row, wanted: AlertEvent | None) -> list[str]:
        """The channels that may hear of an event."""
        told = [channel for channel, balance in self._balance[event["incident_id"]].items() if balance > 0]
        if wanted == "resolved":
            return told
        is_worth_it = self._policy.is_worth_telling(event["severity"])
        to = self._policy.channels(event["severity"], event["cause"], event["series"], self._now) if is_worth_it else ()
        if wanted is None:  # it goes on: whoever has not heard of it since it was too short may hear of it now
            return [channel for channel in to if event["event"] == "seen" and (event["incident_id"], channel) in self._too_short]
        unsaid = [channel for name, channel in self._recoveries if name == event["incident_id"]]
        believing = {"opened": unsaid, "escalated": [*told, *unsaid], "reminder": told}[wanted]  # that it is on
        return list(dict.fromkeys([*believing, *to]))

    def conclude(self, history: pd.DataFrame, log: list[Row]) -> Advance:
        """The events of this run with the incidents that come of them: `history` holds the earlier events of those incidents."""
        events = typed_rows(log, EVENT_COLUMNS, {"happened_at": "datetime64[us, UTC]"})
        earlier = history[history["incident_id"].isin(events["incident_id"])]
        every = events if earlier.empty else pd.concat([earlier[EVENT_COLUMNS], events], ignore_index=True)
        times = dict.fromkeys(("due_at", "happened_at"), "datetime64[us, UTC]")
        said = {place for place, row in self._recoveries.items() if row["due_at"] <= self._now}
        told = [  # whoever hears that it is over need not hear how bad it became
            row for row in self._planned if row["event"] != "escalated" or (row["incident_id"], row["channel"]) not in said
        ]
        sends = typed_rows(told, SEND_COLUMNS, times | {"attempt": "int64", "is_possible_repeat": bool})
        return Advance(events, fold(every), sends)

    def _take_back(self, incident_id: str, channel: str) -> bool:
        """Leave a recovery unsaid that is undone before anybody has heard of it; whether there was one."""
        row = self._recoveries.pop((incident_id, channel), None)
        if row is None:
            return False
        self._balance[incident_id][channel] += 1
        if any(planned is row for planned in self._planned):
            self._planned = [planned for planned in self._planned if planned is not row]
        else:
            self._skip(row, CAME_BACK)
        return True

    def _withdraw(self, incident_id: str, channel: str, over_at: datetime | None) -> bool:
        """Take back a message that waits, since its incident was over before it was due (`over_at`) or there is something worse to say;
        whether there was one."""
        row = self._waiting.get((incident_id, channel))
        if row is None or (over_at is not None and over_at > row["due_at"]):
            return False
        del self._waiting[incident_id, channel]
        self._balance[incident_id][channel] -= 1
        reason = "told as something worse" if over_at is None else f"{UNTOLD}{str(row['error'] or '').removeprefix(HELD)}"
        self._skip(row, reason)
        return True

    def _skip(self, row: Row, reason: str) -> None:
        """Write down that a message which waited is not sent."""
        skipped = {"status": "skipped", "error": reason, "due_at": self._now, "happened_at": self._now, "run_id": self._run_id}
        if any(planned is row for planned in self._planned):
            row.update(skipped)
        else:
            self._planned.append({name: row[name] for name in SEND_COLUMNS} | skipped)

    def _untold_because(self, event: Row, send: AlertEvent, ended_at: datetime, member_of: str | None) -> str | None:
        if member_of is not None and send in _OF_A_LEADER:
            return f"{TOLD_WITH}{member_of}"
        if send != "opened":
            return None
        if self._quiet_before is not None and ended_at <= self._quiet_before:
            return f"it ended before the rebuild of {self._quiet_before:%Y-%m-%d %H:%M} UTC"
        if ended_at + self._delay < self._now - self._policy.max_age:
            return f"it ended {ended_at:%Y-%m-%d %H:%M} UTC, longer ago than max_age {format_duration(self._policy.max_age)}"
        points = read_payload(event["payload"]).get("point_count") if event["cause"] in OF_SERIES else None
        if points is not None and points < self._policy.min_points:
            return f"{TOO_SHORT}{points} of {self._policy.min_points} buckets in a row"
        return None

    def _plan(
        self,
        event: Row,
        send: AlertEvent,
        channel: str,
        ended_at: datetime,
        member_of: str | None,
        opened_at: datetime | None,
        last_seen_at: datetime,
        wait: timedelta,
    ) -> None:
        place = (event["incident_id"], channel)
        reason, hold = self._untold_because(event, send, ended_at, member_of), None
        is_too_short = reason is not None and reason.startswith(TOO_SHORT)
        if is_too_short and place in self._too_short:  # that is in the ledger
            return
        if send == "opened":
            (self._too_short.add if is_too_short else self._too_short.discard)(place)
            if not reason:
                hold = self._holds.hold(event, channel, opened_at=opened_at, ended_at=last_seen_at, now=self._now)
        elif send == "resolved" and wait:
            hold = Hold(self._now + wait, f"{HELD}for {format_duration(wait)} more of calm, lest it comes back")
        sequence = read_payload(event["payload"])["sequence"]
        row: Row = {
            "source": event["source"],
            "incident_id": event["incident_id"],
            "event": send,
            "channel": channel,
            "attempt": 1,
            "status": "skipped" if reason else "planned",
            "due_at": hold.until if hold else self._now,
            "happened_at": self._now,
            "is_possible_repeat": False,
            "idempotency_key": message_key(event["incident_id"], send, channel, sequence),
            "error": hold.why if hold else reason,
            "run_id": self._run_id,
        }
        self._planned.append(row)
        if reason:
            return
        self._balance[event["incident_id"]][channel] += {"opened": 1, "resolved": -1}.get(send, 0)
        if send == "resolved":
            self._recoveries[place] = row
        elif hold:
            self._waiting[place] = row
        elif send == "opened":
            self._holds.note(Telling(event["source"], event["series"], event["cause"], channel, self._now, event["severity"]))
