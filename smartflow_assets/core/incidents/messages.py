"""What a message says: the subject, text and HTML that people read, and the facts that programs read.

`render` turns one incident and one of its events into a Message; channels only carry it. The facts are a promise to
receivers: the fields of FACTS are always there (null when unknown), are only ever added to, and `version` changes when one
changes its meaning.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from math import nan
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from smartflow_assets.core.anomalies import explanation
from smartflow_assets.core.anomalies.headline import Usual, measured, of_group, of_value, without_unit
from smartflow_assets.core.incidents.event_log import OF_SERIES, READABILITY
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE, matter_of
from smartflow_assets.core.json_value import json_value
from smartflow_assets.core.text_format import clock, lasting, number, zone

VERSION = 1

FACTS: dict[str, str] = {
    "version": "Version of this list of fields.",
    "idempotency_key": "The same in every repeat of this message.",
    "event": "opened, escalated, reminder or resolved.",
    "happened_at": "When the incident came to this event.",
    "subject": "The message in one line.",
    "text": "The message as plain text.",
    "incident_id": "The incident; the same from opened to resolved.",
    "source": "The monitored source; * for what is of none.",
    "series": "The series that people read, such as requests{region=eu}; empty when the incident is of the whole source.",
    "metric": "Its metric.",
    "dimensions": "Its dimensions, name to value.",
    "cause": "anomaly, volume, profile, freshness, readability, removal, or the step, check, delivery or remedy that failed.",
    "severity": "info, warning or critical.",
    "state": "open, acknowledged, resolved or suppressed.",
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
    "resolved_at": "When it was over, in the time of the data.",
    "resolved_reason": "Why it was resolved.",
    "duration_seconds": "From opened_at to resolved_at, or to ended_at while it is open.",
    "detectors": "The detectors that found it.",
    "rules": "The rules that it breaks.",
    "contributions": "Share of each detector, or column, in the surprise.",
    "slices": "Share of the change that each value of a column explains, for metrics with explain_by.",
    "last_similar_at": "Start of the last incident of the series that went the same way.",
    "last_similar_seconds": "How long that one lasted.",
    "explanation": "Why it counts as strange, in one line.",
    "members": "The series that broke together, the worst first, up to 100: incident_id, series, severity, title, opened_at, metric, "
    "dimensions, unit, value, expected, lower, upper, deviation_percent, anomaly_score and rules of each. Empty for one alone.",
    "member_count": "How many they are; null for one alone.",
    "next_step": "What to do next.",
    "remedies": "What `remediate` did about it by the time of the message, in sentences; empty for nothing.",
}

_OF_ONE_SERIES = ("Series", "Value", "At its worst", "Usual then", "Difference", "Details", "Rules", "Type", "Found by")
_FOR_ENGINEERS = ("Remedy", "Next", "Rules", "Type", "Found by", "Incident")  # in smaller print, at the end
_NAMED_MEMBERS = 10
_LONGEST_SUBJECT = 200  # signs; the text of the message has the whole sentence
_DAY = timedelta(days=1)
_COLOUR = {"critical": "#b3261e", "warning": "#b26a00", "info": "#2f5d8a", "resolved": "#2e7d32"}
_FILE_SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Message:
    """One message of one incident event to one channel. `facts` has exactly the fields of FACTS and is JSON-able."""

    idempotency_key: str
    event: str
    happened_at: datetime
    incident_id: str
    source: str
    series: str
    severity: str
    subject: str
    text: str
    html: str = field(repr=False)
    facts: dict[str, Any] = field(repr=False)

    @property
    def file_key(self) -> str:
        """The idempotency key as a part of a file name: itself when it is one, else its hash."""
        if _FILE_SAFE.fullmatch(self.idempotency_key):
            return self.idempotency_key
        return hashlib.sha256(self.idempotency_key.encode()).hexdigest()[:16]


def render(incident: Mapping[str, Any], event: str, facts: Mapping[str, Any], *, idempotency_key: str, happened_at: datetime) -> Message:
    """The message of an incident's event.

    `incident` is a row of the table incidents. `facts` is the payload of the event and wins over it, since the incident may
    have gone on before the message went out: the columns of its newest anomaly (table anomalies), `unit`, `next_step`,
    `again_since`, `timezone`, in which times are shown (default UTC), and `bucket_seconds`, since buckets of a day or more are told
    by their dates. Unknown fields are passed over, missing ones are null, so that failed steps and checks render too.
    """
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
    known["explanation"] = known["explanation"] or _fact(facts.get("body") or incident.get("body"))
    known["next_step"] = known["next_step"] or _next_step(known)
    known["duration_seconds"] = _duration(known)
    if event == "resolved":
        known["state"] = "resolved"
    elif known["state"] in (None, "resolved"):  # it is over by now, yet this message is of the time before
        known |= {"state": "open", "resolved_at": None, "resolved_reason": None}
    times = _Times(ZoneInfo(str(facts.get("timezone") or "UTC")), timedelta(seconds=float(facts.get("bucket_seconds") or 60)))
    heading, rows = _heading(known, times), _rows(known, times)
    known["subject"] = subject = heading.subject
    known["text"] = text = _text(heading.sentence, rows)
    return Message(
        idempotency_key=idempotency_key,
        event=event,
        happened_at=happened_at,
        incident_id=known["incident_id"],
        source=known["source"],
        series=known["series"],
        severity=known["severity"],
        subject=subject,
        text=text,
        html=_html(known, heading, rows),
        facts=known,
    )


@dataclass(frozen=True)
class _Times:
    """How moments of a source are shown: in its zone, and by their dates alone where a bucket is a day or more."""

    zone: ZoneInfo
    step: timedelta

    def at(self, moment: str | None) -> str:
        """A moment; empty when there is none."""
        if not moment:
            return ""
        local = datetime.fromisoformat(moment).astimezone(self.zone)
        return f"{local:%Y-%m-%d}" if self.step >= _DAY else f"{local:%Y-%m-%d} {clock(local, self.step)} {zone(local)}"

    def until(self, moment: str | None) -> str:
        """The end of a bucket: of days, the day that ended."""
        if not moment or self.step < _DAY:
            return self.at(moment)
        return self.at((datetime.fromisoformat(moment) - _DAY / 2).isoformat())

    def after(self, moment: str, other: str | None) -> str:
        """A moment beside an earlier one that was told: without its date, where that is the same."""
        text, told = self.at(moment), self.at(other)
        return text.removeprefix(told[:11]) if self.step < _DAY else text

    def length(self, seconds: float) -> str:
        """A length of time; of days, whole ones."""
        is_of_days = self.step >= _DAY
        return lasting(timedelta(days=round(seconds / 86400)) if is_of_days else timedelta(seconds=seconds))


class _Heading(NamedTuple):
    """The message in three parts: how bad or what became of it, who, and what; `said` begins with what joins it to who.
    `unit` is one that who says already: `requests: 1,600` is a better subject than `requests: 1,600 requests`."""

    tag: str
    who: str
    said: str
    unit: str = ""

    @property
    def sentence(self) -> str:
        return _one_line(f"[{self.tag}] {self.who}{without_unit(self.said, self.unit)}")

    @property
    def subject(self) -> str:
        return _one_line(self.sentence, _LONGEST_SUBJECT)


def _heading(known: Mapping[str, Any], times: _Times) -> _Heading:
    severity, event, members = known["severity"], known["event"], known["members"]
    is_of_none, matter = known["source"] == OF_NO_SOURCE and not members, matter_of(str(known["cause"] or ""))
    who = f"{known['member_count']} series of {known['source']}" if members else f"{known['source']} {known['series']}".strip()
    tag = {"opened": severity, "escalated": f"escalated to {severity}", "reminder": f"still {severity}"}.get(event, event)
    if event == "resolved":
        lasted = f" after {_lasted(known, times)}" if known["duration_seconds"] else ""
        if is_of_none:
            return _Heading(tag, str(matter or known["cause"]), lasted)
        return _Heading(tag, who if known["series"] else f"{who} {known['cause'] or ''}", lasted)
    said = of_group(members[0]["series"], _said_of(members[0]), known["member_count"]) if members else _title(known)
    if is_of_none:
        again = f"again since {times.after(known['again_since'], known['opened_at'])}: " if known["again_since"] else ""
        return _Heading(tag, "", again + said)
    if event == "opened" and known["again_since"]:
        who += f" again since {times.after(known['again_since'], known['opened_at'])}"
    elif said.startswith(known["source"]):
        return _Heading(tag, "", said)
    if members:
        return _Heading(tag, who, f": {said}")
    return _Heading(tag, who, f": {said}", known["unit"] if known["unit"] and known["unit"] == known["metric"] else "")


def _title(known: Mapping[str, Any]) -> str:
    """The incident in a few words; one without a title is told by its numbers."""
    if known["title"] or known["value"] is None:
        return str(known["title"] or known["cause"] or "incident")
    return of_value(known["value"], _usual(known), known["unit"] or "")


def _said_of(member: Mapping[str, Any]) -> str:
    """What is said of one series of a group, beside its name."""
    return without_unit(str(member["title"] or ""), member["unit"] if member["unit"] and member["unit"] == member["metric"] else "")


def _members(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rows of the series of a group, the worst first; a severity is said where it is not that of the group."""
    named = known["members"][:_NAMED_MEMBERS]
    said = [
        f"{member['series']}: {_said_of(member)}" + (f"; {member['severity']}" if member["severity"] != known["severity"] else "")
        for member in named
    ]
    more = [f"and {left:,} more"] if (left := known["member_count"] - len(named)) else []
    return [("" if place else "Series", text) for place, text in enumerate([*said, *more])]


def _rows(known: Mapping[str, Any], times: _Times) -> list[tuple[str, str]]:
    """The table of a mail: label and text, only what is known. What happened first, what engineers ask last. Rows without a label go
    on with the one before."""
    is_over, since = known["event"] == "resolved", known["opened_at"] or known["started_at"]
    value, usual, unit = _number(known["value"]), _usual(known), str(known["unit"] or "")
    said, distance = explanation.read(str(known["explanation"] or "")), usual.distance(value, unit)
    is_retold = said.headline == known["title"]  # the subject says it
    again = f", again since {times.after(known['again_since'], since)}" if known["again_since"] else ""
    is_said = value == value and number(value) in _title(known)  # a flat run is told by the value that stayed
    details = said.details if is_retold else known["explanation"]  # which say from when to when
    candidates = [
        ("Source", known["source"] if known["source"] != OF_NO_SOURCE or known["members"] else ""),
        ("Series", known["series"]),
        ("At its worst" if is_over else "Value", measured(value, unit) if is_said else ""),
        ("Usual then", f"{usual} {unit}" if str(usual) and (is_said or value != value) else ""),
        ("Difference", distance and is_said and f"{distance} that"),
        ("Incident since", times.at(since) + again),
        ("Lasted" if is_over else "Lasting", _lasted(known, times) if known["duration_seconds"] and (is_over or not details) else ""),
        ("Details", details),
        ("Resolved", times.until(known["resolved_at"])),
        ("Reason", known["resolved_reason"]),
        ("Remedy", "; ".join(known["remedies"])),
        ("Next", known["next_step"]),
        ("Rules", ", ".join(known["rules"])),
        ("Type", known["anomaly_type"]),
        ("Found by", (is_retold and said.found_by) or ", ".join(known["detectors"])),
        ("Incident", known["incident_id"]),
    ]
    rows = [(label, str(value).strip()) for label, value in candidates if value not in (None, False, "")]
    if not known["members"]:
        return rows
    return [rows[0], *_members(known), *(row for row in rows[1:] if row[0] not in _OF_ONE_SERIES)]


def _lasted(known: Mapping[str, Any], times: _Times) -> str:
    """How long, from the beginning: a pause within `reopen_within` is a part of it."""
    return times.length(known["duration_seconds"]) + (" in all" if known["again_since"] and known["event"] == "resolved" else "")


def _text(sentence: str, rows: list[tuple[str, str]]) -> str:
    width = max(len(label) for label, _ in rows)
    lines = [f"{label + ':' if label else '':<{width + 1}} {_one_line(value)}" for label, value in rows]
    return "\n".join([sentence, "", *lines, ""])


def _html(known: Mapping[str, Any], heading: _Heading, rows: list[tuple[str, str]]) -> str:
    is_resolved = known["event"] == "resolved"
    colour = _COLOUR["resolved" if is_resolved else known["severity"]] if known["severity"] in _COLOUR else _COLOUR["info"]
    said = _one_line(f"over{heading.said}" if is_resolved else heading.said.removeprefix(": "))
    first = next((label for label, _ in rows if label in _FOR_ENGINEERS), "")
    cells = ""
    for label, value in rows:
        is_small, line = label in _FOR_ENGINEERS, "border-top:1px solid #e8eaed;" if label == first else ""
        style = f"{line}vertical-align:top;padding:{10 if line else 2 if is_small else 4}px"
        ink, size = ("#80868b", "font-size:12px;") if is_small else ("#202124", "")
        cells += (
            f'<tr><td style="{style} 16px 4px 0;{size}color:#5f6368;white-space:nowrap;width:1%">{escape(label)}</td>'
            f'<td style="{style} 0 4px 0;{size}color:{ink}">{escape(value)}</td></tr>'
        )
    return (
        "<!DOCTYPE html><html><body style=\"margin:0;padding:24px;background:#f4f5f7;font:14px/1.5 -apple-system,'Segoe UI',"
        'Roboto,Helvetica,Arial,sans-serif"><div style="max-width:640px;margin:0 auto;background:#ffffff;border-radius:6px;'
        f'border-top:4px solid {colour};padding:20px 24px"><div style="font-size:13px;font-weight:600;color:{colour}">'
        f"{escape(_one_line(f'{heading.tag} · {heading.who}'.strip(' ·')))}</div>"
        f'<div style="font-size:18px;font-weight:600;color:#202124;margin:2px 0 14px">{escape(said[:1].upper() + said[1:])}</div>'
        f'<table role="presentation" style="width:100%;border-collapse:collapse;font-size:14px">{cells}</table>'
        '<div style="margin-top:16px;color:#80868b;font-size:12px">Sent by SmartFlow.</div></div></body></html>\n'
    )


_BROKEN = "sql \"select message from schema_checks where source = '{0}' and not is_passed order by checked_at desc limit 9\""
_SHOWN_BY = {
    "check:columns_are_as_agreed": "contract diff {0}",
    "check:values_are_as_agreed": f"quarantine {{0}}, or: smartflow {_BROKEN}",
    "check:row_counts_are_as_agreed": _BROKEN,
    "check:distributions_are_usual": "sql \"select * from marts.drift where source = '{0}' and is_drifted\"",
}
"""What shows a person who is told of a red check more than the message does."""


def _next_step(known: Mapping[str, Any]) -> str | None:
    """A query that shows the incident to whoever reads the message; nothing is to be done once it is resolved."""
    if known["event"] == "resolved":
        return None
    if known["cause"] == READABILITY:
        return f"Run: smartflow quarantine {known['source']}"
    if known["cause"] in _SHOWN_BY:
        return f"Run: smartflow {_SHOWN_BY[known['cause']].format(known['source'])}"
    if known["cause"] not in (None, *OF_SERIES):
        source = "" if known["source"] == OF_NO_SOURCE else f" {known['source']}"
        return f"Run: smartflow doctor, then: smartflow run{source}"
    if known["members"]:
        members = f"'{known['incident_id']}' in (incident_id, group_id)"
        return f'Run: smartflow sql "select * from incidents where {members}"'
    view = "strange_records" if known["detectors"] == ["records"] else "anomalies_latest"
    return f"Run: smartflow sql \"select * from marts.{view} where incident_id = '{known['incident_id']}'\""


def _usual(known: Mapping[str, Any]) -> Usual:
    return Usual(*(_number(known[name]) for name in Usual._fields))


def _number(value: float | None) -> float:
    return nan if value is None else value


def _duration(known: Mapping[str, Any]) -> float | None:
    """From the opening, which is the beginning in the data, to the resolution or the newest anomalous bucket."""
    start = known["opened_at"] or known["started_at"]
    end = (known["resolved_at"] or known["happened_at"]) if known["event"] == "resolved" else known["ended_at"]
    if start is None or end is None:
        return None
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def _one_line(text: str, length: int = 2000) -> str:
    """Without line breaks and other controls, which a mail header must not carry and which data may contain; what is longer ends with
    a whole word where there is one."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(text) <= length:
        return text
    cut = text.rfind(" ", length // 2, length)
    return text[: cut if cut > 0 else length - 1].rstrip(" ,;:") + "…"


def _fact(value: Any) -> Any:
    """As JSON knows it; what it does not know is left out as null, so that a message goes out all the same."""
    return json_value(value, write_other=lambda _: None)
