"""Incidents: what people are told of, once, and when it is over.

An incident is one matter of one (source, series, cause) from its first anomaly to its recovery. `advance` compares the
anomalies as they are now with the incidents as they stand and says which events to append and which messages to plan; run
again on the same input it says nothing. It goes through the data in the order of its own time, so the incidents come out
the same whether the data came in one run or in forty. What begins together is one matter (`groups`). How events fold to incidents is
in `event_log`, which messages they call for in `alert_planning`; incidents of failed runs are in `run_failures`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from smartflow_assets.core.anomalies import explanation
from smartflow_assets.core.anomalies.grouping import anomaly_id
from smartflow_assets.core.feedback.expectations import Expectation, Seen, expected_by
from smartflow_assets.core.incidents import groups
from smartflow_assets.core.incidents.alert_planning import Advance, AlertPlanner, is_heard
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import (
    OF_PROFILE,
    OF_SERIES,
    Cause,
    IncidentEvent,
    Row,
    again_since,
    fold,
    in_order,
    is_by_hand,
    is_going_on,
    log_entry,
    row_dicts,
)
from smartflow_assets.core.incidents.expected import Deviations
from smartflow_assets.core.incidents.holds import Telling
from smartflow_assets.core.incidents.recovery import NEW_LEVEL, Calm, Strangest
from smartflow_assets.core.series.series_id import PROFILE, ROW_COUNT
from smartflow_assets.core.severity import RANK, Severity, worst

HEALED = "healed by late data: nothing in it is anomalous any more"
RECONFIGURED = "the configuration of the source changed, and under the new one nothing in it is anomalous"
EXPECTED_BY = "feedback:"
"""What the `suppressed_by` of an incident that was expected begins with; the id of what a person said follows."""
_TELLING = ("opened", "reopened", "escalated", "woken")
_ANOMALY_COLUMNS = (
    "metric",
    "dimensions",
    "anomaly_type",
    "started_at",
    "ended_at",
    "peak_at",
    "point_count",
    "value",
    "expected",
    "lower",
    "upper",
    "deviation",
    "deviation_percent",
    "direction",
    "extreme",
    "anomaly_score",
    "detectors",
    "rules",
    "contributions",
    "slices",
    "last_similar_at",
    "last_similar_seconds",
    "explanation",
)
_STANDING = ("last_seen_at", "anomaly_count", "severity", "title", "body")  # what makes news when it changes


class Scope(NamedTuple):
    """What `advance` must be given when rows from some time on have changed."""

    incident_ids: list[str]  # incidents whose events and sends it needs
    anomalies_since: datetime  # anomalies that ended after this
    rows_since: datetime  # judged rows from this on, up to the newest
    usual_until: datetime  # bands from `recovery.lookback` before this on, up to the newest


@dataclass(frozen=True)
class Silence:
    """When the whole source brought no rows, by its freshness incident; `until` is None while it lasts. Or the time of a load that is
    blocked, in which only figures of the profile can be unusual (`is_of_profile`)."""

    incident_id: str
    since: datetime
    until: datetime | None
    is_of_profile: bool = False

    def covers(self, start: groups.Start) -> bool:
        """Whether what began then began in it."""
        return self.since <= start.latest_at and (self.until is None or start.opened_at < self.until)


def scope(incidents: pd.DataFrame, since: datetime, policy: AlertPolicy) -> Scope:
    """How far back to read for `advance`: `incidents` of the source as they stand, `since` the start of the
    affected window (of `grouping.affected_window`)."""
    mine = incidents[incidents["cause"].isin(OF_SERIES)]
    is_open = (mine["state"] != "resolved") | (mine["resolved_by"].notna() & mine["recovered_at"].isna())
    last_at = mine[["last_seen_at", "recovered_at", "resolved_at"]].max(axis=1)
    patience = pd.to_timedelta([policy.patience(count - 1) for count in mine["anomaly_count"]])
    is_touched = is_open | (last_at + patience >= since)
    leaders = {*mine.loc[is_touched, "incident_id"], *mine.loc[is_touched, "group_id"]}  # one that a person has resolved may lead others
    is_told_with_them = mine["group_id"].isin(leaders)  # those that recovered early are of the group all the same
    touched = mine[mine["incident_id"].isin(leaders)]
    needed = mine[mine["incident_id"].isin(leaders) | is_told_with_them]
    start = pd.Timestamp(since)
    return Scope(
        incident_ids=list(needed["incident_id"]),
        anomalies_since=min([start, *needed["opened_at"]]),
        rows_since=min([start, *mine.loc[is_open & mine["recovered_at"].isna(), "last_seen_at"]]),
        usual_until=min([start, *touched["opened_at"]]),
    )


def advance(
    history: pd.DataFrame,
    anomalies: pd.DataFrame,
    rows: pd.DataFrame,
    *,
    sends: pd.DataFrame,
    source: str,
    since: datetime,
    step: timedelta,
    policy: AlertPolicy,
    now: datetime,
    run_id: str,
    units: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    quiet_before: datetime | None = None,
    delay: timedelta = timedelta(0),
    silences: Sequence[Silence] = (),
    bands: pd.DataFrame | None = None,
    past: pd.DataFrame | None = None,
    ended: Mapping[str, str] = MappingProxyType({}),
    steps: Mapping[str, timedelta] = MappingProxyType({}),
    recently: Iterable[Telling] = (),
    across: Mapping[str, str] = MappingProxyType({}),
    expectations: Sequence[Expectation] = (),
) -> Advance:
    """Bring the incidents of a source up to its anomalies.

    `history` and `sends`: the rows of incident_events and alert_sends of the incidents in `scope(...)`; `anomalies`: all
    that ended after `scope(...).anomalies_since`; `rows`: judged rows (of `grouping.merge_violations`) from `rows_since` to the newest;
    `since`: the start of the affected window. What ended more than `policy.max_age` before `now`, or before `quiet_before`
    (the time of a rebuild), is recorded and its messages are skipped; `delay` is how late rows are by nature. What opens in one of
    the `silences` of the whole source joins the incident of that silence, of which people are told instead. `bands` (as
    `recovery.Calm` takes them, as far back as `scope(...).usual_until` says) and `past` (the incidents as they stand) say what was usual
    before an incident; `ended` are ids of incidents that are over whatever their values say, with the reason: a person has accepted
    the new level, or the series itself is over. `steps`: the buckets of series that have others than the source; `recently`: what was told,
    as far back as `policy.suppress_for`; `across`: the incident over several sources that tells of an incident, by id;
    `expectations`: what people expect of the source.
    """
    calm = Calm(
        rows,
        bands,
        step=step,
        steps=steps,
        resolve_after=policy.resolve_after,
        new_level_after=policy.new_level_after,
        timezone=timezone,
    )
    for incident in row_dicts(past):
        ended_at = None if is_going_on(incident) else incident["resolved_at"]
        calm.note(incident, incident["recovered_at"] or ended_at, incident["resolved_reason"])
    announcer = AlertPlanner(sends, policy, now=now, run_id=run_id, quiet_before=quiet_before, delay=delay, recently=recently)
    stored = dict[str, list[_Track]]()
    for track in _stored_tracks(history, policy, units or {}):
        stored.setdefault(track.series, []).append(track)
    by_series = dict[str, list[Row]]()
    for anomaly in row_dicts(anomalies.sort_values("started_at")):
        by_series.setdefault(str(anomaly["series"]), []).append(anomaly)
    tracks, deviations = list[_Track](), Deviations(rows)
    for series in sorted({*by_series, *stored}):
        own = stored.get(series, [])
        near = list(own)
        for anomaly in by_series.get(series, []):
            near = [track for track in near if not track.is_past(anomaly["started_at"])]
            track = _find_track(near, anomaly, calm)
            if track is not None:
                track.take(anomaly)
            elif anomaly["ended_at"] > since:  # what ended before is of incidents that are out of scope
                own.append(_open_track(source, anomaly, policy, units or {}))
                near.append(own[-1])
        for track in own:
            track.finish(
                calm,
                ended.get(track.incident["incident_id"], ""),
                RECONFIGURED if quiet_before is not None and track.last_seen_at <= quiet_before else HEALED,
            )
            track.compare(expectations, deviations)
        tracks += own
    told_with = _told_with(tracks, silences, calm, across)
    going_on = {told_with.get(track.incident["incident_id"], track.incident["incident_id"]) for track in tracks if track.is_open}
    log: list[Row] = []
    for track in tracks:
        leader = told_with.get(track.incident["incident_id"])
        is_on = track.is_open or track.incident["incident_id"] in going_on
        going_on_until = calm.newest(track.series) if is_on else None  # however calm its newest rows: nobody has said that it is over
        told, returns = track.told_before, track.returns
        for change in track.changes:
            track.sequence += 1
            payload = change.payload | {
                "sequence": track.sequence,
                "timezone": timezone,
                "bucket_seconds": calm.step_of(track.series).total_seconds(),
            }
            log.append(
                log_entry(
                    track.incident,
                    change.kind,
                    severity=change.severity,
                    happened_at=now,
                    run_id=run_id,
                    payload=payload,
                    anomaly_ids=change.anomaly_ids,
                )
            )
            returns += change.kind == "reopened"
            if track.suppressed_by is None and (track.is_woken or is_heard(track.standing, change.kind)):
                announcer.announce(
                    log[-1],
                    max(change.ended_at, going_on_until or change.ended_at),
                    leader,
                    opened_at=track.incident["opened_at"],
                    last_seen_at=change.ended_at,
                    told=told,
                    wait=_left_to_wait(track, change, returns, calm, since) if change.kind == "resolved" else timedelta(0),
                )
            told = worst([told, change.severity]) if change.kind in _TELLING else told
            if leader is not None and change.kind in ("opened", "woken") and track.suppressed_by is None:
                track.sequence += 1
                joined = {"sequence": track.sequence, "group_id": leader}
                log.append(log_entry(track.incident, "grouped", severity=change.severity, happened_at=now, run_id=run_id, payload=joined))
    return announcer.conclude(history, log)


def _left_to_wait(track: "_Track", change: "_Change", returns: int, calm: Calm, since: datetime) -> timedelta:
    """How much longer people do not hear that it is over: until its rows have been calm for long enough, and a run has seen them, which
    is as far off as this one's rows reach back (`since`)."""
    over_at, step = change.payload["resolved_at"], calm.step_of(track.series)
    newest, patience = max(over_at, calm.newest(track.series) or over_at), track.policy.patience(returns)
    left = (over_at if returns else track.incident["opened_at"]) + patience - newest
    if left <= timedelta(0):
        return timedelta(0)
    return left + step + min(max(newest - since, timedelta(0)), track.policy.reopen_within)


def _told_with(tracks: Sequence["_Track"], silences: Sequence[Silence], calm: Calm, across: Mapping[str, str]) -> dict[str, str]:
    """The incident that people are told of in place of each that has one: of the silence that it began in, else of the first that
    began with it, whose changes become those of the whole group. What leads within the source may itself be told with other sources."""
    by_id = {track.incident["incident_id"]: track for track in tracks}
    began = {name: track.start(calm) for name, track in by_id.items()}
    of_profile = {track.incident["incident_id"] for track in tracks if track.incident["cause"] in OF_PROFILE}
    silent = {
        name: silence.incident_id
        for name, start in began.items()
        for silence in silences
        if silence.covers(start)
        and (name in of_profile or not silence.is_of_profile)
        and not by_id[name].is_apart
        and by_id[name].suppressed_by is None
    }
    starts = {
        track.incident["incident_id"]: began[track.incident["incident_id"]]
        for track in tracks
        if track.incident["incident_id"] not in silent
        and not (track.is_suppressed and track.standing["snoozed_until"] is None)
        and track.suppressed_by is None
    }
    led = {name: str(track.incident["group_id"]) for name, track in by_id.items() if track.incident.get("group_id") in by_id}
    heads = [
        start
        for name, start in starts.items()
        if not by_id[name].is_new and (by_id[name].incident.get("group_id") is None or name in across)
    ]
    led |= groups.leaders(
        heads, [start for name, start in starts.items() if by_id[name].is_new], within=groups.reach(calm.step, calm.needed(calm.step))
    )
    members: dict[str, list[_Track]] = {}
    for name, leader in led.items():
        members.setdefault(leader, []).append(by_id[name])
    for leader, group in members.items():
        by_id[leader].lead(group)
    return led | silent | {name: group for name, group in across.items() if name in by_id}


@dataclass(frozen=True)
class _Change:
    """One event that has to be appended, and when the newest anomaly that it speaks of ended."""

    kind: IncidentEvent
    severity: Severity
    payload: Row
    anomaly_ids: list[str]
    ended_at: datetime


@dataclass
class _Track:
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
    changes: list[_Change] = field(default_factory=list)
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
        if kind in _TELLING:
            self.told_severity = worst([self.told_severity, severity])
        self.incident |= standing
        ids = [anomaly["anomaly_id"] for anomaly in self.taken]
        self.changes.append(_Change(kind, severity, payload, ids, self.last_seen_at))

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

    def lead(self, members: Sequence["_Track"]) -> None:
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
            again = {"again_since": self.standing["resolved_at"]} if self.standing.get("resolved_by") is not None and was_on else {}
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
        self.add("escalated")

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


def _find_track(tracks: list[_Track], anomaly: Row, calm: Calm) -> _Track | None:
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


def _open_track(source: str, anomaly: Row, policy: AlertPolicy, units: Mapping[str, str]) -> _Track:
    series, start, cause = anomaly["series"], anomaly["started_at"], cause_of(anomaly)
    incident = {
        "source": source,
        "incident_id": anomaly_id(source, series, cause, start),
        "cause": cause,
        "series": series,
        "opened_at": start,
    }
    track = _Track(incident, policy, units, last_seen_at=anomaly["ended_at"], taken=[anomaly])
    track.add("opened")
    return track


def _stored_tracks(history: pd.DataFrame, policy: AlertPolicy, units: Mapping[str, str]) -> list[_Track]:
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


def _stored_track(incident: Row, standing: Row, entries: Sequence[Row], policy: AlertPolicy, units: Mapping[str, str]) -> _Track:
    is_open = incident["state"] != "resolved" and incident["recovered_at"] is None
    told_severity = worst(entry["severity"] for entry in entries if entry["event"] in _TELLING or is_by_hand(entry))
    again = again_since(entries)
    known = [entry["payload"] for entry in entries if "anomaly_type" in entry["payload"]]
    return _Track(
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
