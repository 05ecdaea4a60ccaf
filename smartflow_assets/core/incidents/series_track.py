"""One incident of a series on its way through its anomalies: how it stands, and which events have to be appended to that.

A track is made of what is stored (`stored_tracks`) or of an anomaly that belongs to none (`open_track`); `find_track` says to which an
anomaly belongs. It goes through the data in the order of its own time, so it comes out the same whether the data came in one run or in
forty. What becomes of all tracks of a source is in `lifecycle`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from smartflow_assets.core.anomalies import explanation
from smartflow_assets.core.anomalies.grouping import ANOMALY_COLUMNS, anomaly_id
from smartflow_assets.core.feedback.expectations import Expectation, Seen, expected_by
from smartflow_assets.core.incidents import groups
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import (
    OF_SERIES,
    Cause,
    IncidentEvent,
    Row,
    again_since,
    fold,
    in_order,
    is_by_hand,
    row_dicts,
)
from smartflow_assets.core.incidents.expected import Deviations
from smartflow_assets.core.incidents.recovery import NEW_LEVEL, Calm, Strangest
from smartflow_assets.core.series.series_id import PROFILE, ROW_COUNT
from smartflow_assets.core.severity import RANK, Severity, worst

HEALED = "healed by late data: nothing in it is anomalous any more"
RECONFIGURED = "the configuration of the source changed, and under the new one nothing in it is anomalous"
EXPECTED_BY = "feedback:"
"""What the `suppressed_by` of an incident that was expected begins with; the id of what a person said follows."""
TELLING = ("opened", "reopened", "escalated", "woken")
_ANOMALY_COLUMNS = tuple(name for name in ANOMALY_COLUMNS if name not in ("source", "anomaly_id", "series", "severity", "run_id"))
_STANDING = ("last_seen_at", "anomaly_count", "severity", "title", "body")  # what makes news when it changes


@dataclass(frozen=True)
class Change:
    """One event that has to be appended, and when the newest anomaly that it speaks of ended."""

    kind: IncidentEvent
    severity: Severity
    payload: Row
    anomaly_ids: list[str]
    ended_at: datetime


@dataclass
class Track:
    """One incident on its way through the anomalies of its series: how it stands, and what has to be appended to that."""

    incident: Row  # source, incident_id, cause, series, opened_at, and how it stands
    policy: AlertPolicy
    units: Mapping[str, str]
    last_seen_at: datetime
    is_open: bool = True
    resolved_at: datetime | None = None
    told_severity: Severity | None = None  # the worst that a telling event has named
    sequence: int = 0
    taken: list[Row] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    again_since: datetime | None = None  # it was over, and came back then
    is_new_level: bool = False  # it ended as one
    is_grown: bool = False  # it was over, then its last anomaly turned out to be longer
    was_open: bool = False  # this and the next three: before this run
    told_before: Severity | None = None
    returns: int = 0
    again_before: datetime | None = None
    facts: Row = field(default_factory=Row)  # of its newest anomaly, as far as it is known
    standing: Row = field(default_factory=Row)  # as people have left it; `incident` is what the data say, whoever has resolved it
    is_apart: bool = False  # a person has taken it out of its group
    suppressed_by: str | None = None  # it was expected, and is no more than that by now
    is_woken: bool = False  # it was, and is no longer

    @property
    def series(self) -> str:
        return self.incident["series"]

    def start(self, calm: Calm) -> groups.Start:
        """When it began."""
        opened_at = self.incident["opened_at"]
        latest_at = opened_at + max(calm.step_of(self.series) - calm.step, timedelta(0))
        return groups.Start(latest_at, self.series, self.incident["incident_id"], opened_at)

    @property
    def is_new(self) -> bool:
        """Whether this run opens it."""
        return self.sequence == 0

    @property
    def patience(self) -> timedelta:
        """How soon after its end what comes back belongs to it. By its anomalies, whether it was over between them or not, since those are
        the same however runs cut the data."""
        return self.policy.patience(len(self.taken) - 1)

    @property
    def _newest(self) -> Row:
        """The newest anomaly that goes the way that the first one went, empty when none was taken: where a band has followed an outage,
        the return to what was usual looks strange the other way, and is not what the incident is of."""
        way = min(self.taken, key=lambda anomaly: anomaly["started_at"])["direction"] if self.taken else None
        same = [anomaly for anomaly in self.taken if anomaly["direction"] == way]
        return max(same, key=lambda anomaly: anomaly["started_at"], default=Row())

    @property
    def is_suppressed(self) -> bool:
        return self.standing.get("state") == "suppressed"

    @property
    def is_closed(self) -> bool:
        """Whether a person has resolved it, and it was no worse since."""
        return self.standing.get("resolved_by") is not None and not any(change.kind in ("escalated", "reopened") for change in self.changes)

    def is_past(self, moment: datetime) -> bool:
        """Whether nothing that begins at a moment or later can belong here."""
        return self.resolved_at is not None and max(self.resolved_at, self.last_seen_at) + self.patience < moment

    def overlaps(self, anomaly: Row) -> bool:
        return anomaly["started_at"] <= self.last_seen_at and anomaly["ended_at"] >= self.incident["opened_at"]

    def goes_on_with(self, anomaly: Row, calm: Calm) -> bool:
        """Whether an anomaly after all that was seen still belongs here. On the way there the incident may have been resolved."""
        self._recover(calm, by=anomaly["started_at"])
        return self.is_open or (not self.is_new_level and anomaly["started_at"] - self.resolved_at <= self.patience)

    def take(self, anomaly: Row) -> None:
        """Make the anomaly a part of the incident."""
        is_healed = self.incident.get("resolved_reason") in (HEALED, RECONFIGURED) and not self.taken
        is_new_interval = anomaly["started_at"] > self.last_seen_at or is_healed
        self.taken.append(anomaly)
        if anomaly["ended_at"] <= self.last_seen_at and not is_healed:
            return
        self.last_seen_at = max(self.last_seen_at, anomaly["ended_at"])
        if not self.is_open:
            self.again_since = anomaly["started_at"] if is_new_interval else max(anomaly["started_at"], self.resolved_at)
            self.is_open, self.resolved_at, self.is_grown = True, None, not is_new_interval
            self.add("reopened")

    def finish(self, calm: Calm, if_ended: str, if_gone: str) -> None:
        """Find what has to be appended, now that every anomaly has found its incident; `if_ended`: why it is over all the same, `if_gone`:
        why it is over when none has."""
        if not self.taken:
            if self.is_open:
                self._resolve(calm.newest(self.series) or pd.Timestamp(self.last_seen_at), calm, if_ended or if_gone)
            return
        self.last_seen_at = max(anomaly["ended_at"] for anomaly in self.taken)  # late data may have made it shorter
        if self.is_open and self._has_worsened(self.last_seen_at):
            self._escalate()
        self._recover(calm)
        if self.is_open and if_ended:
            self._resolve(calm.newest(self.series) or pd.Timestamp(self.last_seen_at), calm, if_ended)
        if self.is_grown and [change.kind for change in self.changes[:2]] == ["reopened", "resolved"]:
            payload = {name: value for name, value in self.changes[1].payload.items() if name != "again_since"}
            self.changes[:2] = [replace(self.changes[1], kind="seen", payload=payload)]  # only its end has moved: nobody needs to hear
            self.again_since = None
        if any(self.incident.get(name) != value for name, value in self._standing().items()):
            self.add("seen")

    def add(self, kind: IncidentEvent, **more: Any) -> None:
        """Append an event of this kind, with all that is known now."""
        newest = self._newest
        standing = self._standing() if newest else {}
        severity = self._severity()
        payload = {name: newest.get(name) for name in _ANOMALY_COLUMNS} | {"unit": self._unit(newest)} if newest else {}
        payload |= {name: value for name, value in standing.items() if name != "severity"} | more
        payload |= {"opened_at": self.incident["opened_at"]} if kind == "opened" else {}
        payload |= {"again_since": self.again_since} if self.again_since is not None else {}
        self.facts = payload if newest else self.facts
        if kind in TELLING:
            self.told_severity = worst([self.told_severity, severity])
        self.incident |= standing
        ids = [anomaly["anomaly_id"] for anomaly in self.taken]
        self.changes.append(Change(kind, severity, payload, ids, self.last_seen_at))

    def compare(self, expectations: Sequence[Expectation], deviations: Deviations) -> None:
        """Find whether it was expected, now that all of it is known. What people were told of stays told; what was no more than expected
        and now is, they are told of, whether it opened in this run or before."""
        before: str | None = self.standing.get("suppressed_by")
        if not self.taken or not (self.is_new or before):
            self.suppressed_by = before
            return
        way = min(self.taken, key=lambda anomaly: anomaly["started_at"])["direction"]
        known = deviations.largest(self.series, self.taken, way)
        seen = Seen(self.series, self.incident["cause"], way, known, self.incident["opened_at"], self.last_seen_at)
        if (found := expected_by(expectations, seen)) is not None:
            self.suppressed_by = f"{EXPECTED_BY}{found.feedback_id}"
            told = {"suppressed_by": self.suppressed_by, "note": f"expected {found.recurs}, said {self.suppressed_by}"}
            after = {"opened", "reopened"}
            self.changes = [
                each
                for change in self.changes
                for each in (change, *([replace(change, kind="suppressed", payload=told)] if change.kind in after else []))
            ]
        elif self.is_suppressed:
            was = next((each for each in expectations if f"{EXPECTED_BY}{each.feedback_id}" == before), None)
            self.is_woken, why = True, was.why_not(seen) if was else "it is expected no longer"
            self.changes = [change for change in self.changes if change.kind != "escalated"]  # whoever hears of it hears how bad it is
            self.add("woken", note=why)
            self.changes.insert(0, self.changes.pop())

    def moves(self) -> list[groups.Move]:
        """When this run has it begin and recover."""
        found = list[groups.Move]()
        for change in self.changes:
            match change.kind:
                case "opened" | "reopened":
                    at = self.incident["opened_at"] if change.kind == "opened" else change.payload["again_since"]
                    found.append(groups.Move(at, 1, self.series))
                case "resolved":
                    found.append(groups.Move(change.payload["resolved_at"], -1, self.series, change.payload["resolved_reason"]))
                case _:
                    pass
        return found

    def lead(self, members: Sequence["Track"]) -> None:
        """Turn the changes of this series into those of the group that it leads, once all have finished: the group opens with all that
        began by now, escalates when one of them does, is over when all are, and is there again when one is."""
        group = [self, *members]
        was_on, ended_at = self.incident.get("state", "resolved") != "resolved", self.incident.get("resolved_at")
        turns = groups.turns(sum(track.was_open for track in group), [move for track in group for move in track.moves()])
        if self.is_new:
            turns = turns[1:]
        elif ended_at is not None and turns and turns[0].at < ended_at:  # late data: it began before the end, so it is no return
            turns = turns[2:] if len(turns) > 1 else [turns[0]._replace(at=ended_at)]
        own, self.changes, self.again_since, self.told_severity = self.changes, [], self.again_before, self.told_before
        told = groups.members_told([track.incident for track in group], [track.facts for track in group])
        if self.is_new:
            begun = [own[0], *(track.changes[0] for track in members)]
            self.told_severity = known = worst(change.severity for change in begun)
            latest = max(change.ended_at for change in begun)
            self.changes.append(replace(own[0], severity=known, payload=own[0].payload | told, ended_at=latest))
        else:
            known = self.incident["severity"]
        severities = (track.incident["severity"] for track in members if not track.is_suppressed)
        self.incident["severity"] = severity = worst([known, self.incident["severity"], *severities])
        last_seen_at = max(track.last_seen_at for track in group)
        kinds: list[tuple[IncidentEvent, Row]] = [
            (turn.kind, {"resolved_at": turn.at, "resolved_reason": turn.reason} if turn.kind == "resolved" else {"again_since": turn.at})
            for turn in turns
        ]
        if (was_on or self.is_new or turns) and self._has_worsened(last_seen_at):
            is_over = bool(turns) and turns[-1].kind == "resolved"
            by_whom = self.standing.get("resolved_by")
            again = {"again_since": self.standing["resolved_at"], "closed_by": by_whom} if by_whom is not None and was_on else {}
            kinds.insert(len(kinds) - is_over, ("escalated", again))
        recovered_at = {"recovered_at": None if self.is_open else self.resolved_at}
        for kind, more in kinds:
            self.again_since = more.get("again_since", self.again_since)
            self.add(kind, **more, **told, **recovered_at)
            ended_at = more.get("resolved_at", ended_at)
        is_on = turns[-1].kind == "reopened" if turns else was_on or self.is_new
        end = None if is_on else max(track.resolved_at for track in group if track.resolved_at is not None)
        is_known = bool(kinds) or (len(own) == self.is_new and severity == known)
        if not is_known or (end is not None and end != ended_at):
            self.add("seen", **recovered_at, **({} if end is None else {"resolved_at": end}))
        self.changes = [change if change.kind == "opened" else replace(change, ended_at=last_seen_at) for change in self.changes]

    def _recover(self, calm: Calm, by: datetime | None = None) -> None:
        """Resolve it if the series has recovered, `by` then."""
        if not self.is_open:
            return
        newest = self._newest or self.facts
        is_told = newest.get("peak_at") is not None and newest.get("value") is not None
        strangest = Strangest(pd.Timestamp(newest["peak_at"]), float(newest["value"])) if is_told else None
        recovery = calm.reached(self.series, self.last_seen_at, by, opened_at=self.incident["opened_at"], strangest=strangest)
        if recovery is not None:
            self._resolve(recovery.at, calm, recovery.reason)

    def _resolve(self, at: datetime, calm: Calm, reason: str) -> None:
        if self.is_closed and self._has_worsened(self.last_seen_at):
            self._escalate()
        self.is_open, self.resolved_at, self.is_new_level = False, at, reason.startswith(NEW_LEVEL)
        calm.note(self.incident, at, reason)
        self.add("resolved", resolved_at=at, resolved_reason=reason)

    def _escalate(self) -> None:
        if self.is_closed:
            worst_at = next((each["started_at"] for each in self.taken if RANK[each["severity"]] == RANK[self._severity()]), None)
            self.again_since = max(filter(None, (worst_at, self.standing["resolved_at"])))
        self.add("escalated", **({"closed_by": self.standing["resolved_by"]} if self.is_closed else {}))

    def _has_worsened(self, last_seen_at: datetime) -> bool:
        """Whether people must hear of a worse severity: at once where they were told nothing, else once the incident has
        outlasted `resolve_after`. The first rows of a spike often differ in severity, and one spike is one message."""
        if self.told_severity is not None and RANK[self._severity()] <= RANK[self.told_severity]:
            return False
        is_untold = self.told_severity is None or not self.policy.is_worth_telling(self.told_severity)
        return is_untold or last_seen_at - self.incident["opened_at"] > self.policy.resolve_after

    def _severity(self) -> Severity:
        return worst([self.incident.get("severity"), *(anomaly["severity"] for anomaly in self.taken)])

    def _unit(self, anomaly: Row) -> str:
        return self.units.get(str(anomaly["metric"]), "")

    def _standing(self) -> Row:
        newest = self._newest
        title = explanation.read(newest["explanation"]).headline
        known = (self.last_seen_at, len(self.taken), self._severity(), title, newest["explanation"])
        return dict(zip(_STANDING, known, strict=True))


def cause_of(anomaly: Mapping[str, Any]) -> Cause:
    """What an incident of an anomaly is about.

    >>> cause_of({"metric": "row_count", "detectors": ["profile"]}), cause_of({"metric": "row_count", "detectors": ["mad"]})
    ('volume', 'anomaly')
    """
    if list(anomaly["detectors"]) != [PROFILE]:
        return "anomaly"
    return "volume" if anomaly["metric"] == ROW_COUNT else "profile"


def find_track(tracks: list[Track], anomaly: Row, calm: Calm) -> Track | None:
    """The incident that an anomaly belongs to: the one that it overlaps; else the last one before it that is not over, or was
    over less than `reopen_within` before; else the next one after it, if that is as near (its start has moved)."""
    overlapping = [track for track in tracks if track.overlaps(anomaly)]
    if overlapping:
        return max(overlapping, key=lambda track: (track.is_open, track.incident["opened_at"]))
    before = [track for track in tracks if track.last_seen_at < anomaly["started_at"]]
    if before and (last := max(before, key=lambda track: track.last_seen_at)).goes_on_with(anomaly, calm):
        return last
    after = [track for track in tracks if track.incident["opened_at"] > anomaly["ended_at"]]
    following = min(after, key=lambda track: track.incident["opened_at"], default=None)
    is_near = following is not None and following.incident["opened_at"] - anomaly["ended_at"] <= following.policy.reopen_within
    return following if is_near else None


def open_track(source: str, anomaly: Row, policy: AlertPolicy, units: Mapping[str, str]) -> Track:
    series, start, cause = anomaly["series"], anomaly["started_at"], cause_of(anomaly)
    incident = {
        "source": source,
        "incident_id": anomaly_id(source, series, cause, start),
        "cause": cause,
        "series": series,
        "opened_at": start,
    }
    track = Track(incident, policy, units, last_seen_at=anomaly["ended_at"], taken=[anomaly])
    track.add("opened")
    return track


def stored_tracks(history: pd.DataFrame, policy: AlertPolicy, units: Mapping[str, str]) -> list[Track]:
    """The incidents of a history as the data have left them: what a person has resolved goes on until it is calm."""
    entries: dict[str, list[Row]] = {}
    for entry in in_order(history):
        entries.setdefault(entry["incident_id"], []).append(entry)
    standing = {incident["incident_id"]: incident for incident in row_dicts(fold(history))}
    by_hand = {entry["event_id"] for each in entries.values() for entry in each if is_by_hand(entry)}
    by_data = row_dicts(fold(history[~history["event_id"].isin(by_hand)])) if by_hand else standing.values()
    return [
        _stored_track(dict(incident), standing[name], entries[name], policy, units)
        for incident in by_data
        if incident["cause"] in OF_SERIES and (name := incident["incident_id"])
    ]


def _stored_track(incident: Row, standing: Row, entries: Sequence[Row], policy: AlertPolicy, units: Mapping[str, str]) -> Track:
    is_open = incident["state"] != "resolved" and incident["recovered_at"] is None
    told_severity = worst(entry["severity"] for entry in entries if entry["event"] in TELLING or is_by_hand(entry))
    again = again_since(entries)
    known = [entry["payload"] for entry in entries if "anomaly_type" in entry["payload"]]
    return Track(
        incident,
        policy,
        units,
        last_seen_at=incident["last_seen_at"],
        is_open=is_open,
        was_open=is_open,
        resolved_at=incident["recovered_at"] or incident["resolved_at"],
        is_new_level=(incident["resolved_reason"] or "").startswith(NEW_LEVEL),
        told_severity=told_severity,
        told_before=told_severity,
        returns=sum(entry["event"] == "reopened" for entry in entries),
        sequence=max(entry["payload"].get("sequence", 0) for entry in entries),
        again_since=again,
        again_before=again,
        facts=known[-1] if known else Row(),
        standing=standing,
        is_apart=any(entry["event"] == "grouped" for entry in entries) and incident["group_id"] is None,
    )
