"""What people do to incidents: take them on, put them off, end them, say something of them, join them and part them.

Each is an event like those of runs, and people hear of it by the same rules: of an end whoever was told of the beginning, of a snooze that
is over whoever was told before it, of what is parted from a group whoever would have been told of it. Taking on and comments are told
nobody. Who may decide, and which incidents are meant, is asked above. How the events fold is in `event_log`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from smartflow_assets.core.errors import DecisionError
from smartflow_assets.core.incidents.alert_planning import Advance
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import GROUP, OF_SERIES, IncidentEvent, Row, fold, row_dicts
from smartflow_assets.core.incidents.groups import members_of
from smartflow_assets.core.incidents.incident_writer import IncidentWriter
from smartflow_assets.core.severity import RANK

SHORT = 8
"""So many signs of an id people read and type."""
_NOT_FACTS = (  # of a payload: what was so at that event alone, and what the incident itself says
    "sequence",
    "opened_at",
    "last_seen_at",
    "anomaly_count",
    "title",
    "body",
    "recovered_at",
    "resolved_at",
    "resolved_reason",
    "resolved_by",
    "group_id",
    "note",
    "until",
    "next_step",
)


@dataclass(frozen=True)
class Said:
    """What became of one incident, in words that follow its name; `has_changed`: whether there is an event of it."""

    incident_id: str
    text: str
    has_changed: bool = True


class Decisions:
    """The decisions of one person at one moment about incidents of one source.

    `history` and `sends`: the rows of incident_events and alert_sends of the incidents that are meant and of all of their groups. What was
    decided is in `said`, what is to be written in `conclude()`.
    """

    def __init__(
        self,
        history: pd.DataFrame,
        sends: pd.DataFrame,
        policy: AlertPolicy,
        *,
        now: datetime,
        by_whom: str,
        run_id: str,
        timezone: str = "UTC",
    ) -> None:
        self._writer = IncidentWriter(history, sends, policy, now=now, run_id=run_id, by_whom=by_whom)
        self._now, self._by_whom, self._zone = pd.Timestamp(now), by_whom, ZoneInfo(timezone)
        self._incidents: dict[str, Row] = {row["incident_id"]: row for row in row_dicts(fold(history))}
        self.said = list[Said]()

    def acknowledge(self, incident_id: str, note: str = "") -> None:
        """Somebody takes it on: it is told when it gets worse and when it is over, and else no more."""
        incident = self._incidents[incident_id]
        if incident["state"] == "acknowledged":
            self._say(incident_id, f"is acknowledged already, by {incident['acknowledged_by']}", has_changed=False)
        elif not self._is_over(incident):
            self._append(incident, "acknowledged", **_noted(note))
            self._say(incident_id, "acknowledged")

    def snooze(self, incident_id: str, until: datetime, note: str = "") -> None:
        """Nobody hears of it before a time, unless it is over."""
        incident = self._incidents[incident_id]
        if not self._is_over(incident):
            self._append(incident, "snoozed", until=pd.Timestamp(until), **_noted(note))
            self._say(incident_id, f"snoozed until {self._at(until)}")

    def wake(self, incident_id: str) -> None:
        """A snooze is over: it is open again, and whoever was told before it hears that it still goes on."""
        incident = self._incidents[incident_id]
        if self._is_over(incident):
            return
        if incident["snoozed_until"] is None:
            self._say(incident_id, "is not snoozed", has_changed=False)
            return
        entries = self._entries(incident_id)
        snoozed = [entry["by_whom"] for entry in entries if entry["event"] == "snoozed"]
        steps = [entry["payload"]["next_step"] for entry in entries if entry["event"] != "woken" and entry["payload"].get("next_step")]
        step = steps[-1] if steps else f"Run: smartflow incidents show {incident_id[:SHORT]}"
        self._append(incident, "woken", **self._facts(incident_id), next_step=f"The snooze of {snoozed[-1]} is over. {step}")
        self._say(incident_id, "open again: the snooze is over")

    def remind(self, incident_id: str) -> None:
        """It goes on, and nobody has taken it on: whoever was told hears so again."""
        step = f"Nobody has acknowledged it. Run: smartflow incidents ack {incident_id[:SHORT]}"
        self._append(self._incidents[incident_id], "reminded", **self._facts(incident_id), next_step=step)

    def resolve(self, incident_id: str, at: datetime, note: str = "") -> None:
        """It is over for people, with all that they were told of by it; so it stays until its matter is over, unless it gets worse.
        `at`: in the time of its data."""
        incident = self._incidents[incident_id]
        if self._is_over(incident):
            return
        others = [member for member in self._members(incident_id) if member["state"] != "resolved"]
        for each in (incident, *others):
            self._end(each, at, note)
        self._say(
            incident_id, "resolved" + (f", with {len(others)} that {'was' if len(others) == 1 else 'were'} told with it" * bool(others))
        )
        leader = self._incidents.get(incident["group_id"] or "")
        if leader is not None and self._is_left_alone(leader):
            self._end(leader, at, note)
            self._say(leader["incident_id"], "resolved: nothing else of it goes on")

    def comment(self, incident_id: str, text: str) -> None:
        """A word in its timeline."""
        self._append(self._incidents[incident_id], "commented", note=text)
        self._say(incident_id, "commented")

    def judge(self, incident_id: str, said: str, feedback_id: str) -> None:
        """Somebody says whether it was right, or takes that back; what it changes is in `stages/feedback`."""
        self._note(self._incidents[incident_id], "judged", note=said, feedback_id=feedback_id)

    def expect_no_longer(self, incident_id: str, why: str) -> None:
        """It is told after all, though nobody was to hear of it, if it goes on."""
        if self._incidents[incident_id]["state"] == "suppressed":
            self._append(self._incidents[incident_id], "woken", **self._facts(incident_id), note=why)
            self._say(incident_id, f"open again: {why}")

    def merge(self, incident_id: str, others: Sequence[str]) -> None:
        """People are told of the others by this one from now on, and of what was told with them. DecisionError where that cannot be."""
        leader = self._leader_in_source(self._incidents[incident_id])
        name = leader["incident_id"]
        for other in (self._incidents[each] for each in others):
            if other["incident_id"] in (name, incident_id):
                raise DecisionError(f"incident {other['incident_id'][:SHORT]} cannot be merged into itself")
            strange = next((each["cause"] for each in (leader, other) if each["cause"] not in OF_SERIES), None)
            if strange == GROUP:
                what = "an incident over several sources cannot be merged: it is what its members make of it"
                raise DecisionError(what, remedy="`smartflow incidents split ID` takes a member out of it.")
            if strange is not None:
                what = f"an incident of {strange} ends by itself, whatever else goes on, so it cannot be merged"
                raise DecisionError(what, remedy="Merged are incidents of series: what their data say ends them.")
            if leader["state"] == "resolved" and other["state"] != "resolved":
                what = f"incident {name[:SHORT]} is resolved and {other['incident_id'][:SHORT]} is not: nobody would hear of it"
                raise DecisionError(
                    what, remedy=f"The other way round: smartflow incidents merge {other['incident_id'][:SHORT]} {name[:SHORT]}"
                )
        for other in (self._incidents[each] for each in dict.fromkeys(others)):
            if other["group_id"] == name:
                self._say(other["incident_id"], f"is told with {name[:SHORT]} already", has_changed=False)
                continue
            before = self._incidents.get(other["group_id"] or "")
            for each in (other, *self._members(other["incident_id"])):
                self._note(each, "grouped", group_id=name)
            self._settle(before)
            is_worse = RANK[other["severity"]] > RANK[self._incidents[name]["severity"]]
            if is_worse and self._incidents[name]["state"] != "resolved":  # whoever was told of the other knows how bad it is
                self._note(self._incidents[name] | {"severity": other["severity"]}, "escalated", **self._facts(name))
            self._say(other["incident_id"], f"is told with {name[:SHORT]} from now on")

    def split(self, incident_id: str) -> None:
        """Out of its group: it is told by itself, at once if it is not over."""
        incident = self._incidents[incident_id]
        if incident["group_id"] is None:
            members = [each["incident_id"][:SHORT] for each in self._members(incident_id)]
            named = f"; with it are told {', '.join(members)}, which can be split from it" if members else ""
            self._say(incident_id, f"is told by itself already{named}", has_changed=False)
            return
        before = self._incidents.get(incident["group_id"])
        alone = incident | {"group_id": None}
        write = self._note if incident["state"] == "resolved" else self._append
        write(alone, "grouped", **self._facts(incident_id), group_id=None)
        self._say(incident_id, "is told by itself from now on")
        self._settle(before)

    def conclude(self) -> Advance:
        """What is to be written of all that."""
        return self._writer.conclude()

    def _end(self, incident: Row, at: datetime, note: str) -> None:
        ended_at = max(filter(None, (pd.Timestamp(at), incident["last_seen_at"], incident["opened_at"])))
        reason = f"resolved by {self._by_whom}" + (f": {note}" if note else "")
        again = self._writer.again_since(incident)
        facts = self._facts(incident["incident_id"]) | ({} if again is None else {"again_since": again})
        ended = {"resolved_at": ended_at, "resolved_reason": reason, "resolved_by": self._by_whom}
        self._append(incident, "resolved", **facts, **ended, **_noted(note))

    def _settle(self, leader: Row | None) -> None:
        """End a leader whose own series had recovered, once nothing that goes on is told by it any more."""
        if leader is not None and self._is_left_alone(leader := self._incidents[leader["incident_id"]]):
            reason = "its series was back to normal, and what went on is no part of it any more"
            facts = self._facts(leader["incident_id"])
            self._append(leader, "resolved", **facts, resolved_at=leader["recovered_at"], resolved_reason=reason)
            self._say(leader["incident_id"], "resolved: nothing else of it goes on")

    def _is_left_alone(self, leader: Row) -> bool:
        is_recovered = leader["state"] != "resolved" and leader["recovered_at"] is not None
        return is_recovered and all(member["state"] == "resolved" for member in self._members(leader["incident_id"]))

    def _is_over(self, incident: Row) -> bool:
        if incident["state"] != "resolved":
            return False
        self._say(
            incident["incident_id"],
            f"is resolved already, since {self._at(incident['resolved_at'])} in the time of its data",
            has_changed=False,
        )
        return True

    def _members(self, incident_id: str) -> list[Row]:
        """What is told with it, and what is told with that: over several sources, each has a leader of its own."""
        own = [each for each in self._incidents.values() if each["group_id"] == incident_id]
        return [*own, *(below for each in own for below in self._members(each["incident_id"]))]

    def _leader_in_source(self, incident: Row) -> Row:
        above = self._incidents.get(incident["group_id"] or "")
        return incident if above is None or above["cause"] == GROUP else above

    def _append(self, incident: Row, kind: IncidentEvent, **payload: Any) -> None:
        self._take(incident, self._writer.append(incident, kind, incident["severity"], **payload))

    def _note(self, incident: Row, kind: IncidentEvent, **payload: Any) -> None:
        self._take(incident, self._writer.note(incident, kind, incident["severity"], **payload))

    def _take(self, incident: Row, entry: Row) -> None:
        name = incident["incident_id"]
        (self._incidents[name],) = row_dicts(fold(pd.DataFrame([entry]), onto=pd.DataFrame([self._incidents[name]])))

    def _entries(self, incident_id: str) -> Iterable[Row]:
        return [entry for entry in self._writer.entries if entry["incident_id"] == incident_id]

    def _facts(self, incident_id: str) -> Row:
        """What was last said of it, for the message."""
        entries = self._entries(incident_id)
        told = [entry["payload"] for entry in entries if "metric" in entry["payload"] or "timezone" in entry["payload"]]
        known = {name: value for name, value in told[-1].items() if name not in _NOT_FACTS} if told else {}
        is_group = self._incidents[incident_id]["cause"] == GROUP  # which is told in the zone of its sources
        zone = (known.get("timezone") if is_group else None) or str(self._zone)
        return known | members_of(entries) | {"timezone": zone}

    def _at(self, moment: datetime) -> str:
        local = pd.Timestamp(moment).tz_convert(self._zone)
        return f"{local:%Y-%m-%d %H:%M %Z}"

    def _say(self, incident_id: str, text: str, *, has_changed: bool = True) -> None:
        self.said.append(Said(incident_id, text, has_changed))


def _noted(note: str) -> Row:
    return {"note": note} if note else {}
