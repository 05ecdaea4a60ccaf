"""Incidents as people read them: which there are, and all that is known of one.

What a message says of an incident is said here too, in the same words. Which is meant by the beginning of an id is found here.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd

from smartflow_assets.adapters.message_stories import of_incidents
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.warehouse.readable import Readable
from smartflow_assets.adapters.warehouse.told_together import MEMBERS
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.incidents.event_log import FRESHNESS, GROUP, OF_SERIES, Row, in_order, row_dicts
from smartflow_assets.core.incidents.groups import members_of
from smartflow_assets.core.incidents.length import end_of, last_there
from smartflow_assets.core.incidents.messages import Message, render
from smartflow_assets.core.incidents.source_group_events import who
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE

State = Literal["open", "acknowledged", "snoozed", "suppressed", "resolved", "all"]
_STATES: dict[str | None, tuple[str, ...]] = {
    None: ("open", "acknowledged"),
    "open": ("open",),
    "acknowledged": ("acknowledged",),
    "snoozed": ("suppressed",),
    "suppressed": ("suppressed", "resolved"),
    "resolved": ("resolved",),
    "all": ("open", "acknowledged", "suppressed", "resolved"),
}
_LISTED = f"""
SELECT incidents.*, coalesce(members.member_count, 0) AS member_count, members.member_causes, members.members_seen_at,
       EXISTS (SELECT 1 FROM incidents AS leader WHERE leader.incident_id = incidents.group_id
               AND (leader.state <> 'resolved' OR incidents.state = 'resolved')) AS is_member
FROM incidents LEFT JOIN {MEMBERS} AS members USING (incident_id)
WHERE list_contains($1, state) AND (len($2) = 0 OR list_has_any($2, list_append(coalesce(members.sources, []::VARCHAR[]), source)))
AND ($3 = '' OR cause = $3) AND ($4 = '' OR severity = $4) AND (resolved_at IS NULL OR resolved_at >= $5)
AND CASE $6 WHEN 'snoozed' THEN snoozed_until IS NOT NULL WHEN 'suppressed' THEN suppressed_by IS NOT NULL ELSE TRUE END
AND ($7 OR NOT is_member)
ORDER BY list_position(['open', 'acknowledged', 'suppressed', 'resolved'], state) // 3,
         list_position(['critical', 'warning', 'info'], severity), opened_at, incident_id
"""
_MEMBERS = """
SELECT * FROM incidents WHERE group_id = $1 OR group_id IN (SELECT incident_id FROM incidents WHERE group_id = $1)
ORDER BY opened_at, source, series
"""
_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
LEAST_SIGNS = 4
"""So many signs of an id are needed at least."""


@dataclass(frozen=True)
class Wanted:
    """Which incidents are asked for; by default those that are open or acknowledged, of all sources. `since`: not over before;
    `has_members`: also those that people are told of by another one."""

    state: State | None = None
    sources: Sequence[str] = ()
    cause: str = ""
    severity: str = ""
    since: datetime | None = None
    has_members: bool = False


@dataclass(frozen=True)
class Known:
    """All that is known of one incident: its row, the message that would be sent of it now, its events with their payload read, how each
    of its messages stands with the attempts that failed, and the incidents that are told with it."""

    incident: Row
    message: Message
    events: Sequence[Row]
    sends: Sequence[Row]
    members: Sequence[Row]
    sql: str = field(repr=False)


def listed(warehouse: Warehouse, wanted: Wanted) -> list[Row]:
    """The incidents asked for, worst first, those that are told with another one counted with it (`member_count`)."""
    rows = warehouse.read(
        _LISTED,
        [
            list(_STATES[wanted.state]),
            list(wanted.sources),
            wanted.cause,
            wanted.severity,
            wanted.since or _BEGINNING,
            wanted.state or "",
            wanted.has_members,
        ],
    )
    return row_dicts(rows)


def sources_with_incidents(warehouse: Warehouse) -> set[str]:
    """The sources of which there is an incident, whether their file is there or not."""
    return {*warehouse.read("SELECT DISTINCT source FROM incidents")["source"]}


def beginning_with(warehouse: Readable, start: str) -> list[Row]:
    """The incidents whose id begins so; all, where the start is empty."""
    return row_dicts(warehouse.read("SELECT * FROM incidents WHERE starts_with(incident_id, ?) ORDER BY incident_id", [start]))


def _shown_in(events: Sequence[Row]) -> Row:
    """In which zone, and by which buckets, times of a group over sources are shown, as was last said of it."""
    told = [event["payload"] for event in events if event["payload"].get("sources")]
    return {name: told[-1][name] for name in ("timezone", "bucket_seconds") if told and name in told[-1]}


def named_by(warehouse: Warehouse, ids: Sequence[str]) -> dict[str, Row]:
    """The incidents with these ids."""
    rows = row_dicts(warehouse.read("SELECT * FROM incidents WHERE list_contains(?, incident_id)", [list(ids)])) if ids else []
    return {row["incident_id"]: row for row in rows}


def known(warehouse: Readable, incident: Row, timezone: str, now: datetime, beside: Mapping[str, Any] = MappingProxyType({})) -> Known:
    """All that is known of an incident; `beside` are facts of its message that the warehouse does not hold: owner, runbook, link."""
    ids = [incident["incident_id"]]
    with warehouse.reading():
        events = in_order(of_incidents(warehouse, "incident_events", ids))
        sends = warehouse.read(
            "SELECT * FROM marts.alert_log WHERE incident_id = ? AND (is_newest OR status = 'failed') ORDER BY happened_at, attempt", ids
        )
        members = warehouse.read(_MEMBERS, ids)
    told = [event["payload"] for event in events if "metric" in event["payload"]]
    newest = [event["payload"] for event in events if event["payload"].get("next_step")]
    facts = (
        (told[-1] if told else {})
        | members_of(events)
        | {"timezone": timezone, **beside, "body": incident["body"], "title": incident["title"]}
    )
    facts |= {name: incident[name] for name in ("opened_at", "resolved_at", "resolved_reason", "last_seen_at")}
    if incident["cause"] == GROUP:  # which has no newest anomaly of its own
        facts |= {"ended_at": incident["last_seen_at"], **_shown_in(events)}
    facts |= {"next_step": newest[-1]["next_step"]} if newest and incident["cause"] not in OF_SERIES else {"next_step": None}
    is_over = incident["state"] == "resolved"
    happened_at = incident["resolved_at"] if is_over else now
    message = render(incident, "resolved" if is_over else "opened", facts, idempotency_key="", happened_at=happened_at)
    return Known(incident, message, events, row_dicts(sends), row_dicts(members), _sql(incident))


def lasting_of(incident: Row, now: datetime) -> timedelta:
    """How long one of `listed` lasted, while it is open to the newest data in which it was seen; of a silence to now."""
    newest = now if incident["cause"] == FRESHNESS else last_there(incident)
    end = end_of(incident) if incident["state"] == "resolved" else newest
    return max(pd.Timestamp(end) - incident["opened_at"], timedelta(0))


def members_called(each: Known) -> str:
    """What it is made of: `6 series`, and over several sources `5 incidents of 3 sources`."""
    if each.incident["cause"] != GROUP:
        return f"{len(each.members) + 1} series"
    return who(each.members, len(each.members), len({row["source"] for row in each.members}))


def unowned(incident: Mapping[str, Any]) -> str:
    """What is said of one for which nobody answers; nothing of what is of no source."""
    if incident["cause"] == GROUP:
        return "nobody (owner: in the YAML of its sources)"
    return "" if incident["source"] == OF_NO_SOURCE else "nobody (owner: in its YAML)"


def said_of(payload: Mapping[str, Any], at: Callable[[datetime], str]) -> str:
    """What an event says beside its kind; `at` writes a time."""
    parts = [payload.get("note") or payload.get("resolved_reason") or ""]
    if payload.get("until"):
        parts.append(f"until {at(datetime.fromisoformat(payload['until']))}")
    if "group_id" in payload:
        parts.append(f"with {payload['group_id'][:8]}" if payload["group_id"] else "by itself")
    return "; ".join(part for part in parts if part)


def told_of(events: Sequence[Row], at: Callable[[datetime], str]) -> list[tuple[Row, str]]:
    """The events of an incident, each with what it says. A feed that comes in small pieces lets each run see it again: where that follows
    itself, the last one stands for all, so that decisions are not lost among them."""
    told = list[tuple[Row, str]]()
    for _, alike in groupby(events, lambda row: row["severity"] if row["event"] == "seen" else id(row)):
        rows = list(alike)
        said = said_of(rows[-1]["payload"], at) if len(rows) == 1 else f"{len(rows)} times since {at(rows[0]['happened_at'])}"
        told.append((rows[-1], said))
    return told


def state_of(incident: Mapping[str, Any], at: Callable[[datetime], str]) -> str:
    """Where an incident stands, and by whom; `at` writes a time."""
    if incident["snoozed_until"] is not None:
        return f"snoozed until {at(incident['snoozed_until'])}"
    if incident["suppressed_by"] is not None:
        return f"{'over' if incident['state'] == 'resolved' else 'goes on'}, nobody told: {incident['suppressed_by'][:17]}"
    if incident["state"] == "acknowledged" and incident["acknowledged_by"]:
        return f"acknowledged by {incident['acknowledged_by']}"
    return str(incident["state"])


def as_json(each: Known) -> dict[str, Any]:
    """The same for programs."""
    return {
        "incident": each.incident,
        "message": each.message.facts,
        "timeline": list(each.events),
        "deliveries": list(each.sends),
        "members": list(each.members),
        "sql": each.sql,
    }


def sql_command(sql: str) -> str:
    """The command line that shows these rows, to be pasted into a POSIX shell as it is.

    >>> print(sql_command("SELECT 'a, b'"))
    smartflow sql "SELECT 'a, b'"
    >>> print(sql_command("SELECT '$x'"))
    smartflow sql 'SELECT '"'"'$x'"'"''
    """
    is_plain = not set(sql) & set('"$`\\!')  # what means something between double quotes, ! where people type
    return f'smartflow sql "{sql}"' if is_plain else f"smartflow sql {shlex.quote(sql)}"


def _sql(incident: Row) -> str:
    """The statement that shows what it was made of."""
    source, series = quoted_text(incident["source"]), quoted_text(incident["series"] or "")
    end = incident["last_seen_at"] or incident["opened_at"]
    margin = max((end - incident["opened_at"]) / 2, timedelta(hours=1))
    window = f"BETWEEN '{incident['opened_at'] - margin:%Y-%m-%d %H:%M}Z' AND '{end + margin:%Y-%m-%d %H:%M}Z'"
    if incident["cause"] == "anomaly" and incident["series"] != "records":
        return (
            f"SELECT observed_at, value, lower, upper, is_anomaly, rules FROM marts.series_with_bands WHERE source = {source} "
            f"AND series = {series} AND observed_at {window} ORDER BY observed_at"
        )
    if incident["cause"] == GROUP:
        name = quoted_text(incident["incident_id"])
        return (
            "SELECT source, series, cause, severity, state, opened_at, title FROM incidents "
            f"WHERE group_id = {name} OR group_id IN (SELECT incident_id FROM incidents WHERE group_id = {name}) ORDER BY opened_at, source"
        )
    if incident["cause"] in OF_SERIES:
        return f"SELECT * FROM anomalies WHERE source = {source} AND series = {series} AND started_at {window} ORDER BY started_at"
    return f"SELECT * FROM run_log WHERE source = {source} ORDER BY started_at DESC LIMIT 10"
