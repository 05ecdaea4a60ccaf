"""Incidents: what people are told of, once, and when it is over.

An incident is one matter of one (source, series, cause) from its first anomaly to its recovery. `advance` compares the
anomalies as they are now with the incidents as they stand and says which events to append and which messages to plan; run
again on the same input it says nothing. The way of one incident through its anomalies is in `series_track`; what begins together is one
matter (`groups`). How events fold to incidents is in `event_log`, which messages they call for in `alert_planning`; incidents of failed
runs are in `run_failures`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from smartflow_assets.core.feedback.expectations import Expectation
from smartflow_assets.core.incidents import groups
from smartflow_assets.core.incidents.alert_planning import Advance, AlertPlanner, is_heard
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import (
    OF_PROFILE,
    OF_SERIES,
    Row,
    is_going_on,
    log_entry,
    row_dicts,
)
from smartflow_assets.core.incidents.expected import Deviations
from smartflow_assets.core.incidents.holds import Telling
from smartflow_assets.core.incidents.recovery import Calm
from smartflow_assets.core.incidents.series_track import (
    HEALED,
    RECONFIGURED,
    TELLING,
    Change,
    Track,
    find_track,
    open_track,
    stored_tracks,
)
from smartflow_assets.core.severity import worst


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
    stored = dict[str, list[Track]]()
    for track in stored_tracks(history, policy, units or {}):
        stored.setdefault(track.series, []).append(track)
    by_series = dict[str, list[Row]]()
    for anomaly in row_dicts(anomalies.sort_values("started_at")):
        by_series.setdefault(str(anomaly["series"]), []).append(anomaly)
    tracks, deviations = list[Track](), Deviations(rows)
    for series in sorted({*by_series, *stored}):
        own = stored.get(series, [])
        near = list(own)
        for anomaly in by_series.get(series, []):
            near = [track for track in near if not track.is_past(anomaly["started_at"])]
            track = find_track(near, anomaly, calm)
            if track is not None:
                track.take(anomaly)
            elif anomaly["ended_at"] > since:  # what ended before is of incidents that are out of scope
                own.append(open_track(source, anomaly, policy, units or {}))
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
            told = worst([told, change.severity]) if change.kind in TELLING else told
            if leader is not None and change.kind in ("opened", "woken") and track.suppressed_by is None:
                track.sequence += 1
                joined = {"sequence": track.sequence, "group_id": leader}
                log.append(log_entry(track.incident, "grouped", severity=change.severity, happened_at=now, run_id=run_id, payload=joined))
    return announcer.conclude(history, log)


def _left_to_wait(track: Track, change: Change, returns: int, calm: Calm, since: datetime) -> timedelta:
    """How much longer people do not hear that it is over: until its rows have been calm for long enough, and a run has seen them, which
    is as far off as this one's rows reach back (`since`)."""
    over_at, step = change.payload["resolved_at"], calm.step_of(track.series)
    newest, patience = max(over_at, calm.newest(track.series) or over_at), track.policy.patience(returns)
    left = (over_at if returns else track.incident["opened_at"]) + patience - newest
    if left <= timedelta(0):
        return timedelta(0)
    return left + step + min(max(newest - since, timedelta(0)), track.policy.reopen_within)


def _told_with(tracks: Sequence[Track], silences: Sequence[Silence], calm: Calm, across: Mapping[str, str]) -> dict[str, str]:
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
    members: dict[str, list[Track]] = {}
    for name, leader in led.items():
        members.setdefault(leader, []).append(by_id[name])
    for leader, group in members.items():
        by_id[leader].lead(group)
    return led | silent | {name: group for name, group in across.items() if name in by_id}
