"""The facts of a message: what programs read, and what every format is made of.

`facts_of` puts an incident and the payload of one of its events together. FACTS is a promise to receivers: its fields are always there
(null when unknown), are only ever added to, and `version` changes when one changes its meaning. What people read is in `content`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from smartflow_assets.core.incidents.event_log import GROUP, OF_SERIES, READABILITY
from smartflow_assets.core.incidents.length import lasted_until
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.json_value import json_value

VERSION = 1

FACTS: dict[str, str] = {
    "version": "Version of this list of fields.",
    "idempotency_key": "The same in every repeat of this message.",
    "event": "opened, escalated, reminder or resolved; digest or held_back for several incidents in one message.",
    "happened_at": "When the incident came to this event.",
    "subject": "The message in one line.",
    "text": "The message as plain text.",
    "incident_id": "The incident; the same from opened to resolved. Null of several in one message.",
    "source": "The monitored source; * for what is of none, or of several.",
    "sources": "The sources that it is of: of a group over several all, the likely root first; empty for what is of none.",
    "series": "The series that people read, such as requests{region=eu}; empty when the incident is of the whole source.",
    "metric": "Its metric.",
    "dimensions": "Its dimensions, name to value.",
    "cause": "anomaly, volume, profile, freshness, readability, removal, group (of several sources), or the step, check, delivery or "
    "remedy that failed.",
    "severity": "info, warning or critical.",
    "state": "open, acknowledged, resolved or suppressed.",
    "acknowledged_by": "Who has taken it on by the time of the message.",
    "acknowledged_at": "Since when, by the clock.",
    "title": "The incident in a few words.",
    "anomaly_type": "point, contextual, collective, …",
    "value": "The value at its strangest.",
    "expected": "What was expected there.",
    "lower": "The lower end of the expected range.",
    "upper": "The upper end of the expected range.",
    "deviation": "How far the value is from the expected one, in the unit, signed.",
    "deviation_percent": "How far the value is from the expected one, in percent of it.",
    "direction": "spike above what was expected, drop below it.",
    "extreme": "highest or lowest in so many days, up to 28.",
    "unit": "The unit of value, expected, lower and upper.",
    "anomaly_score": "How strange, 0 to 1.",
    "point_count": "How many buckets its newest anomaly has.",
    "started_at": "First bucket of its newest anomaly.",
    "ended_at": "End of its newest anomaly.",
    "opened_at": "When the incident began, in the time of the data.",
    "again_since": "When it was there again, in the time of the data, for an incident that was over and came back within reopen_within.",
    "closed_by": "Who had resolved it by hand before it got worse, which this message tells; null else.",
    "resolved_at": "When it was over, in the time of the data.",
    "resolved_reason": "Why it was resolved.",
    "duration_seconds": "How long it lasted: of what is found in series, from opened_at to the end of the last anomalous bucket, without "
    "the calm that proved its end; of steps, checks, loads and silences, and of a group with one of these, to resolved_at. While it is "
    "open, to ended_at.",
    "detectors": "The detectors that found it.",
    "rules": "The rules that it breaks.",
    "contributions": "Share of each detector, or column, in the surprise.",
    "slices": "Share of the change that each value of a column explains, for metrics with explain_by.",
    "last_similar_at": "Start of the last incident of the series that went the same way.",
    "last_similar_seconds": "How long that one lasted.",
    "explanation": "Why it counts as strange, in one line.",
    "members": "The series that broke together, the worst first (over several sources the likely root first), up to 100: incident_id, "
    "source, series, cause, severity, title, opened_at, metric, dimensions, unit, value, expected, lower, upper, deviation_percent, "
    "anomaly_score and rules of each. Empty for one alone. Of a digest "
    "and of what was held back: all incidents, with source, event, state, resolved_at, duration_seconds, member_count, sources, page and "
    "standing (began, still on, came and went or ended) as well.",
    "member_count": "How many they are; null for one alone.",
    "next_step": "What to do next.",
    "owner": "Who answers for the source: team:name or an address.",
    "owners": "Who answers for each of the sources, source to owner; the likely root of a group first.",
    "runbook": "The page that says what to do, from the source's YAML.",
    "page": "The page of the incident, where SMARTFLOW_PAGES_URL or SMARTFLOW_SERVE_URL is set.",
    "act": "Where it can be acknowledged or snoozed without a login, once and within a week, where SMARTFLOW_SERVE_URL is set.",
    "link": "The incidents of the source in Dagster, where SMARTFLOW_UI_URL is set.",
    "remedies": "What `remediate` did about it by the time of the message, in sentences; empty for nothing.",
}


def facts_of(
    incident: Mapping[str, Any], event: str, facts: Mapping[str, Any], *, idempotency_key: str, happened_at: datetime
) -> dict[str, Any]:
    """Exactly the fields of FACTS, JSON-able, but for `subject` and `text`, which are made of them. The arguments are those of
    `messages.render`."""
    known = {name: _fact(facts.get(name, incident.get(name))) for name in FACTS}
    known |= {name: _fact(incident.get(name)) for name in ("incident_id", "source", "cause", "severity")}
    known |= {"version": VERSION, "idempotency_key": idempotency_key, "event": event, "happened_at": _fact(happened_at)}
    known["series"] = _fact(incident.get("series")) or ""
    known["dimensions"], known["detectors"], known["rules"], known["members"], known["remedies"] = (
        dict(known["dimensions"] or {}),
        list(known["detectors"] or ()),
        list(known["rules"] or ()),
        list(known["members"] or ()),
        list(known["remedies"] or ()),
    )
    known["owners"] = dict(known["owners"] or {})
    known["sources"] = list(facts.get("sources") or ([] if known["source"] in (None, OF_NO_SOURCE) else [known["source"]]))
    known["explanation"] = known["explanation"] or _fact(facts.get("body") or incident.get("body"))
    known["next_step"] = known["next_step"] or _next_step(known)
    seen = (_moment(_fact(facts.get(name, incident.get(name)))) for name in ("last_seen_at", "members_seen_at"))
    known["duration_seconds"] = _duration(known, max((moment for moment in seen if moment), default=None))
    if event == "resolved":
        known["state"] = "resolved"
    elif known["state"] in (None, "resolved"):  # it is over by now, yet this message is of the time before
        known |= {"state": "open", "resolved_at": None, "resolved_reason": None}
    return known


def facts_of_several(
    event: str, source: str, severity: str, members: Sequence[Mapping[str, Any]], *, idempotency_key: str, happened_at: datetime
) -> dict[str, Any]:
    """Exactly the fields of FACTS for a message of several incidents, `members`; null is what is of one incident alone."""
    known: dict[str, Any] = dict.fromkeys(FACTS)
    known |= {"version": VERSION, "idempotency_key": idempotency_key, "event": event, "happened_at": _fact(happened_at)}
    known |= {
        "source": source,
        "severity": severity,
        "series": "",
        "dimensions": {},
        "owners": {},
        "detectors": [],
        "rules": [],
        "remedies": [],
    }
    sources = list(dict.fromkeys(source for member in members for source in member["sources"]))
    return known | {"members": list(members), "member_count": len(members), "sources": sources}


_BROKEN = "sql \"select message from schema_checks where source = '{0}' and not is_passed order by checked_at desc limit 9\""
_SHOWN_BY = {
    "check:columns_are_as_agreed": "contract diff {0}",
    "check:values_are_as_agreed": f"quarantine {{0}}, or: smartflow {_BROKEN}",
    "check:row_counts_are_as_agreed": _BROKEN,
    "check:distributions_are_usual": "sql \"select * from marts.drift where source = '{0}' and is_drifted\"",
}
"""What shows a person who is told of a red check more than the message does."""


def _next_step(known: Mapping[str, Any]) -> str | None:
    """The command that shows whoever reads the message more than it can say; nothing is to be done once it is resolved."""
    if known["event"] == "resolved":
        return None
    if known["cause"] == READABILITY:
        return f"Run: smartflow quarantine {known['source']}"
    if known["cause"] in _SHOWN_BY:
        return f"Run: smartflow {_SHOWN_BY[known['cause']].format(known['source'])}"
    if known["detectors"] == ["records"] and not known["members"]:
        return f"Run: smartflow sql \"select * from marts.strange_records where incident_id = '{known['incident_id']}'\""
    if known["cause"] in (None, GROUP, *OF_SERIES):
        return f"Run: smartflow incidents show {known['incident_id']}"
    source = "" if known["source"] == OF_NO_SOURCE else f" {known['source']}"
    return f"Run: smartflow doctor, then: smartflow run{source}"


def _duration(known: Mapping[str, Any], last_seen_at: datetime | None) -> float | None:
    """From the opening, which is the beginning in the data, to the end of the trouble or of the newest anomalous bucket; `last_seen_at`
    is the end of the last of these buckets, of a group that of all."""
    start, end = _moment(known["opened_at"] or known["started_at"]), _moment(known["ended_at"])
    if start is not None and known["event"] == "resolved":
        causes = [known["cause"], *(member.get("cause") for member in known["members"])]
        resolved_at = _moment(known["resolved_at"] or known["happened_at"])
        end = resolved_at and lasted_until(causes, start, last_seen_at, resolved_at)
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _fact(value: Any) -> Any:
    """As JSON knows it; what it does not know is left out as null, so that a message goes out all the same."""
    return json_value(value, write_other=lambda _: None)
