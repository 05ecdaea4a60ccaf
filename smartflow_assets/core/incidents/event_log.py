"""The log of incidents and its fold: what happened, appended for ever, and where each incident stands after it.

People and runs append events of the kinds in `IncidentEvent`; nobody changes one. `fold` replays them in the order in which they
were written and gives the rows of the table `incidents`; folding in pieces gives what folding all at once gives. Which
events a run has to append is decided in `lifecycle`, what people append in `decisions`.

Who resolves an incident by hand says that nobody needs to hear of it, not that its matter is over: that is still for the data to say. So
such an incident is resolved and *closed* (`is_closed`) until a run appends `resolved` as for any other, which then only says when its
matter was over (`recovered_at`). If it gets worse meanwhile (`escalated`), it is open again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

import pandas as pd

from smartflow_assets.core.incidents.recovery import NEW_LEVEL
from smartflow_assets.core.json_value import json_value
from smartflow_assets.core.severity import Severity, worst
from smartflow_assets.core.typed_rows import typed_rows

IncidentEvent = Literal[
    "opened",
    "seen",
    "escalated",
    "acknowledged",
    "snoozed",
    "woken",
    "reminded",
    "suppressed",
    "resolved",
    "reopened",
    "grouped",
    "commented",
    "judged",
]
"""What may happen to an incident; `woken`: a snooze is over, `reminded`: people hear of it again, `grouped`: they are told of it by another
one, or by none again, `suppressed`: it was expected, so nobody need hear, `judged`: somebody said whether it was right."""
IncidentStatus = Literal["open", "acknowledged", "resolved", "suppressed"]
"""Where an incident stands; the column is called `state`."""
Cause = Literal["anomaly", "volume", "profile", "freshness", "readability", "removal", "run", "group"]
"""What an incident is about, where it has a fixed name: anomalies of a series, rows that are too many or too few, other figures of a
profile, a source that brings no rows, one too many of whose rows cannot be read, a removal of stored rows that waits for somebody to
accept it, a run that failed outside any step, or what broke together in several sources. The cause of any other incident is `check:<name>`,
`load:<id>`, `delivery:<channel>`, `remediation:<action>` or the name of the step that failed."""
OF_PROFILE: tuple[Cause, ...] = ("volume", "profile")
"""Causes of incidents that are made of unusual figures of a profile."""
OF_SERIES: tuple[Cause, ...] = ("anomaly", *OF_PROFILE)
"""Causes of incidents that are made of anomalies, each of a series."""
FRESHNESS: Cause = "freshness"
READABILITY: Cause = "readability"
REMOVAL: Cause = "removal"
DELIVERY = "delivery"
GROUP: Cause = "group"
EVENT_COLUMNS = [
    "source",
    "event_id",
    "incident_id",
    "event",
    "cause",
    "series",
    "severity",
    "happened_at",
    "by_whom",
    "anomaly_ids",
    "payload",
    "run_id",
]
INCIDENT_COLUMNS = [
    "source",
    "incident_id",
    "cause",
    "series",
    "fingerprint",
    "severity",
    "state",
    "opened_at",
    "last_seen_at",
    "recovered_at",
    "resolved_at",
    "resolved_reason",
    "resolved_by",
    "acknowledged_at",
    "acknowledged_by",
    "snoozed_until",
    "suppressed_by",
    "anomaly_count",
    "group_id",
    "title",
    "body",
]
_TIMES = ("opened_at", "last_seen_at", "recovered_at", "resolved_at", "acknowledged_at", "snoozed_until")
_FACTS = ("opened_at", "last_seen_at", "anomaly_count", "title", "body")  # what any event may tell anew

Row = dict[str, Any]


def log_entry(
    incident: Mapping[str, Any],
    kind: IncidentEvent,
    *,
    severity: Severity,
    happened_at: datetime,
    run_id: str,
    payload: Mapping[str, Any],
    anomaly_ids: Sequence[str] = (),
    by_whom: str = "smartflow",
) -> Row:
    """One row of the table incident_events. `payload` needs `sequence`, its place among the incident's events, which orders
    the fold; times of the data stand in it, `happened_at` is the clock of the run or of the person."""
    text = json.dumps(json_value(payload), sort_keys=True, allow_nan=False)
    identity = f"{incident['incident_id']}|{kind}|{text}|{run_id}"
    return {
        "source": incident["source"],
        "event_id": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "incident_id": incident["incident_id"],
        "event": kind,
        "cause": incident["cause"],
        "series": incident["series"],
        "severity": severity,
        "happened_at": pd.Timestamp(happened_at),
        "by_whom": by_whom,
        "anomaly_ids": list(anomaly_ids),
        "payload": text,
        "run_id": run_id,
    }


def fold(events: pd.DataFrame, onto: pd.DataFrame | None = None) -> pd.DataFrame:
    """The incidents after these events: one row of the table `incidents` for each that has an event or stands in `onto`.

    `onto` are incidents as folded from earlier events. An event of an incident that was never opened is an error: ValueError.
    """
    folded: dict[str, Row] = {row["incident_id"]: row for row in row_dicts(onto)}
    for row in in_order(events):
        folded[row["incident_id"]] = _apply(folded.get(row["incident_id"]), row)
    types = dict.fromkeys(_TIMES, "datetime64[us, UTC]") | {"anomaly_count": "int64"}
    return typed_rows(list(folded.values()), INCIDENT_COLUMNS, types).sort_values("incident_id", ignore_index=True)


def is_closed(incident: Mapping[str, Any]) -> bool:
    """Whether a person has resolved it while its matter goes on."""
    return incident["state"] == "resolved" and incident["resolved_by"] is not None and incident["recovered_at"] is None


def is_going_on(incident: Mapping[str, Any]) -> bool:
    """Whether its matter goes on, whoever has resolved it."""
    return incident["state"] != "resolved" or is_closed(incident)


def over_at(incident: Mapping[str, Any]) -> pd.Timestamp:
    """When the matter of one that does not go on was over."""
    return (incident["recovered_at"] if incident["resolved_by"] is not None else None) or incident["resolved_at"]


def is_by_hand(entry: Mapping[str, Any]) -> bool:
    """Whether an event (of `in_order`) is that a person has resolved the incident."""
    return entry["event"] == "resolved" and entry["payload"].get("resolved_by") is not None


def in_order(events: pd.DataFrame | None) -> list[Row]:
    """Events as dicts with their payload read, in the order in which they were written."""
    rows = [{**row, "payload": read_payload(row["payload"])} for row in row_dicts(events)]
    return sorted(rows, key=lambda row: (row["payload"].get("sequence", 0), row["happened_at"], row["event_id"]))


def next_sequence(entries: list[Row], incident_id: str) -> int:
    """The place of the next event of an incident, after those among `entries` (of `in_order`)."""
    return 1 + max((entry["payload"].get("sequence", 0) for entry in entries if entry["incident_id"] == incident_id), default=0)


def again_since(entries: Sequence[Row]) -> pd.Timestamp | None:
    """Since when an incident is there again that had been over, after its `entries` (of `in_order`); None when it never came back."""
    told = [entry["payload"]["again_since"] for entry in entries if entry["payload"].get("again_since")]
    return pd.Timestamp(told[-1]) if told else None


def read_payload(payload: Any) -> Row:
    """The payload of an event, whether it comes as JSON text or as a mapping."""
    return json.loads(payload) if isinstance(payload, str) and payload else dict(cast(Row, payload)) if isinstance(payload, Mapping) else {}


def row_dicts(frame: pd.DataFrame | None) -> list[Row]:
    """The rows of a frame as dicts, NaN and NaT as None."""
    if frame is None or frame.empty:
        return []
    return [{name: None if _is_null(value) else value for name, value in row.items()} for row in frame.to_dict("records")]  # pyright: ignore[reportReturnType]


def _is_null(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)


def _apply(incident: Row | None, row: Row) -> Row:
    """The incident after one more event; the whole state machine of incidents."""
    kind, payload = row["event"], row["payload"]
    if incident is None:
        if kind != "opened":
            raise ValueError(f"incident {row['incident_id']} of {row['source']} is {kind} but was never opened")
        fingerprint = hashlib.sha256(f"{row['source']}|{row['series']}|{row['cause']}".encode()).hexdigest()[:16]
        incident = dict.fromkeys(INCIDENT_COLUMNS) | {name: row[name] for name in ("source", "incident_id", "cause", "series")}
        incident |= {
            "fingerprint": fingerprint,
            "state": "open",
            "opened_at": row["happened_at"],
            "last_seen_at": row["happened_at"],
            "anomaly_count": 0,
            "severity": row["severity"],
        }
    changed = {name: _moment(name, payload[name]) for name in _FACTS if payload.get(name) is not None}
    changed["severity"] = worst([incident["severity"], row["severity"]])
    if "recovered_at" in payload:  # of the leader of a group, which is over when all of the group are
        changed["recovered_at"] = _moment("recovered_at", payload["recovered_at"])
    if kind == "grouped":
        changed["group_id"] = payload.get("group_id")
    return incident | changed | (_resolved(incident, row) if incident["state"] == "resolved" else _unresolved(incident, row))


_ENDED = ("resolved_at", "resolved_reason", "resolved_by", "acknowledged_at", "acknowledged_by", "snoozed_until", "suppressed_by")
_OPEN: Row = dict.fromkeys(_ENDED) | {"state": "open"}


def _unresolved(incident: Row, row: Row) -> Row:
    """What an event changes of the state of an incident that is not resolved."""
    payload = row["payload"]
    match row["event"]:
        case "acknowledged":
            acknowledged = {"acknowledged_at": row["happened_at"], "acknowledged_by": row["by_whom"]}
            return acknowledged | {"state": "acknowledged", "snoozed_until": None, "suppressed_by": None}
        case "snoozed":
            return {"state": "suppressed", "snoozed_until": _moment("snoozed_until", payload["until"]), "suppressed_by": None}
        case "suppressed":
            return {"state": "suppressed", "snoozed_until": None, "suppressed_by": payload.get("suppressed_by")}
        case "woken" if incident["state"] == "suppressed":
            return _OPEN
        case "reopened":
            return _OPEN
        case "resolved":
            return _end(row) | {"state": "resolved", "snoozed_until": None}
        case _:  # seen again or worse: nothing but the facts changes
            return {}


def _resolved(incident: Row, row: Row) -> Row:
    """What an event changes of the state of an incident that is resolved; words of people that come after the end change nothing."""
    payload, is_by_a_person = row["payload"], incident["resolved_by"] is not None
    end = _moment("resolved_at", payload.get("resolved_at"))
    match row["event"]:
        case "reopened":
            back = None if is_by_a_person else incident["recovered_at"]
            return _OPEN | {"recovered_at": _moment("recovered_at", payload.get("recovered_at", back))}
        case "escalated" if is_by_a_person:
            return _OPEN
        case "resolved" if is_by_a_person and payload.get("resolved_by") is None:
            reason = payload.get("resolved_reason") or ""
            told = {"resolved_reason": f"{reason}; {incident['resolved_reason']}"} if reason.startswith(NEW_LEVEL) else {}
            return told | {"recovered_at": end or row["happened_at"]}
        case "resolved" if not is_by_a_person:
            return _end(row)
        case "seen" if end is not None:  # late data moved the end of what is over
            return {"recovered_at" if is_by_a_person else "resolved_at": end}
        case _:
            return {}


def _end(row: Row) -> Row:
    payload = row["payload"]
    at = _moment("resolved_at", payload.get("resolved_at")) or row["happened_at"]
    return {"resolved_at": at} | {name: payload.get(name) for name in ("resolved_reason", "resolved_by")}


def _moment(name: str, value: Any) -> Any:
    return pd.Timestamp(value) if name in _TIMES and value is not None else value
