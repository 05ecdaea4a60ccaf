"""What a message says to people, whatever carries it: one content, which each format of `formats` writes in its own way.

A heading in three parts, lines of label and text in the order of their importance, and links. Nothing here knows of HTML, blocks or
lengths; what programs read are the facts beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest
from math import nan
from typing import Any, Literal, NamedTuple, cast
from zoneinfo import ZoneInfo

from smartflow_assets.core.anomalies import explanation
from smartflow_assets.core.anomalies.headline import Usual, measured, of_group, of_value, without_unit
from smartflow_assets.core.incidents.event_log import GROUP
from smartflow_assets.core.incidents.shortening import one_line, printable
from smartflow_assets.core.incidents.source_group_events import named_root_of, root_of
from smartflow_assets.core.incidents.source_group_events import who as who_of
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE, matter_of
from smartflow_assets.core.text_format import clock, lasting, number, zone

Tone = Literal["critical", "warning", "info", "resolved"]
"""How bad the news is, as colours, priorities and signs tell it."""

_OF_ONE_SERIES = ("Series", "Value", "At its worst", "Usual then", "Difference", "Details", "Rules", "Type", "Found by")
_FOR_ENGINEERS = ("Remedy", "Next", "Rules", "Type", "Found by", "Incident")  # in smaller print, at the end
_ADDRESSES = ("Acknowledge or snooze", "Runbook", "Page", "Dagster")
_NAMED_MEMBERS = 10
_LONGEST_SUBJECT = 200  # signs; the text of the message has the whole sentence
_DAY = timedelta(days=1)


class Line(NamedTuple):
    """A label with one text or several, of which each is a line; `address` is where the text leads to, `is_small` is for engineers. In a
    bundle each of the texts is of an incident, and `pages` says where each leads, empty for nowhere."""

    label: str
    texts: tuple[str, ...]
    is_small: bool = False
    address: str = ""
    pages: tuple[str, ...] = ()

    @property
    def rows(self) -> Iterator[tuple[str, str]]:
        """Each text with where it leads."""
        return zip_longest(self.texts, self.pages[: len(self.texts)] or ((self.address,) * len(self.texts)), fillvalue="")

    @property
    def text(self) -> str:
        """All of it in one line."""
        return "; ".join(self.texts)


class Link(NamedTuple):
    """Where a reader may go from here."""

    label: str
    address: str


@dataclass(frozen=True)
class Content:
    """What there is to say. All texts are as the data has them: a format escapes what it must.

    `sentence` is the whole of it in one line, `subject` the same at most 200 letters long; `kicker` says how bad and who, `headline`
    what, as titles of two sizes. `timezone` and `step`, the length of a bucket, are those of the source.
    """

    event: str
    tone: Tone
    kicker: str
    headline: str
    sentence: str
    subject: str
    lines: tuple[Line, ...]
    links: tuple[Link, ...]
    timezone: str
    step: timedelta
    facts: Mapping[str, Any] = field(repr=False)

    @property
    def is_over(self) -> bool:
        """Whether it tells that the incident is over."""
        return self.event == "resolved"


def content_of(known: Mapping[str, Any], *, timezone: str, step: timedelta) -> Content:
    """The content of the facts of a message. Times are shown in `timezone`, and by their dates alone where `step`, a bucket, is a day or
    more."""
    times = Times(ZoneInfo(timezone), step)
    heading, is_over = _heading(known, times), known["event"] == "resolved"
    said = one_line(f"over{heading.said}" if is_over else heading.said.removeprefix(": "))
    severity = known["severity"]
    places = (("Acknowledge or snooze", "act"), ("The incident", "page"), ("Runbook", "runbook"), ("Open in Dagster", "link"))
    links = [Link(label, known[name]) for label, name in places if known[name] and not (is_over and name == "act")]
    return Content(
        event=known["event"],
        tone="resolved" if is_over else severity if severity in ("critical", "warning") else "info",
        kicker=one_line(f"{heading.tag} · {heading.who}".strip(" ·")),
        headline=said[:1].upper() + said[1:],
        sentence=heading.sentence,
        subject=heading.subject,
        lines=tuple(line._replace(texts=tuple(map(printable, line.texts))) for line in _lines(known, times)),
        links=tuple(links),
        timezone=timezone,
        step=step,
        facts=known,
    )


@dataclass(frozen=True)
class Times:
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


def in_short(known: Mapping[str, Any]) -> str:
    """An incident by who and what, whatever became of it, by its facts: `web requests: 1,600, usually 430 to 560 (1,040 above)`."""
    told = _heading({**known, "event": "opened", "again_since": None}, Times(ZoneInfo("UTC"), timedelta(minutes=1)))
    return one_line(f"{told.who}{without_unit(told.said, told.unit)}", _LONGEST_SUBJECT)


class _Heading(NamedTuple):
    """The message in three parts: how bad or what became of it, who, and what; `said` begins with what joins it to who.
    `unit` is one that who says already: `requests: 1,600` is a better subject than `requests: 1,600 requests`."""

    tag: str
    who: str
    said: str
    unit: str = ""

    @property
    def sentence(self) -> str:
        return one_line(f"[{self.tag}] {self.who}{without_unit(self.said, self.unit)}")

    @property
    def subject(self) -> str:
        return one_line(self.sentence, _LONGEST_SUBJECT)


def _heading(known: Mapping[str, Any], times: Times) -> _Heading:
    severity, event, members = known["severity"], known["event"], known["members"]
    is_of_none, matter = known["source"] == OF_NO_SOURCE and not members, matter_of(str(known["cause"] or ""))
    who = _who(known)
    tag = {"opened": severity, "escalated": f"escalated to {severity}", "reminder": f"still {severity}"}.get(event, event)
    if event == "resolved":
        lasted = f" after {_lasted(known, times)}" if known["duration_seconds"] else ""
        if is_of_none:
            return _Heading(tag, str(matter or known["cause"]), lasted)
        if members and known["cause"] == GROUP:
            return _Heading(tag, who, f": {named_root_of(members, known['member_count'])}{lasted and f',{lasted}'}")
        return _Heading(tag, who if known["series"] or known["cause"] == GROUP else f"{who} {known['cause'] or ''}", lasted)
    said = _said_of_group(known) if members else _title(known)
    if is_of_none:
        again = f"again since {times.after(known['again_since'], known['opened_at'])}: " if known["again_since"] else ""
        return _Heading(tag, "", again + said)
    if event == "opened" and known["again_since"]:
        since = times.after(known["again_since"], known["opened_at"])
        who += f", worse since {since} than {known['closed_by']} left it" if known["closed_by"] else f" again since {since}"
    elif _begins_with(said, known["source"]):
        return _Heading(tag, "", said)
    if members:
        return _Heading(tag, who, f": {said}")
    return _Heading(tag, who, f": {said}", known["unit"] if known["unit"] and known["unit"] == known["metric"] else "")


def _begins_with(said: str, name: str) -> bool:
    """Whether a text names it first, as a whole word: `raw_records failed` names no source `raw`."""
    return said.startswith(name) and (len(said) == len(name) or said[len(name)] in " :,")


def _who(known: Mapping[str, Any]) -> str:
    if not known["members"]:
        return f"{known['source']} {known['series']}".strip()
    if known["cause"] == GROUP:
        return who_of(known["members"], known["member_count"], len(known["sources"]))
    return f"{known['member_count']} series of {known['source']}"


def _said_of_group(known: Mapping[str, Any]) -> str:
    """What leads a group, and how many others there are."""
    first, count = known["members"][0], known["member_count"]
    if known["cause"] == GROUP:
        return root_of(known["members"], _said_of(first), count)
    return of_group(first["series"], _said_of(first), count)


def _title(known: Mapping[str, Any]) -> str:
    """The incident in a few words; one without a title is told by its numbers."""
    if known["title"] or known["value"] is None:
        return str(known["title"] or known["cause"] or "incident")
    return of_value(known["value"], _usual(known), known["unit"] or "")


def _said_of(member: Mapping[str, Any]) -> str:
    """What is said of one series of a group, beside its name."""
    return without_unit(str(member["title"] or ""), member["unit"] if member["unit"] and member["unit"] == member["metric"] else "")


def _members(known: Mapping[str, Any]) -> Line:
    """The series of a group, the worst first; a severity is said where it is not that of the group."""
    if known["cause"] == GROUP:
        return Line("Series", tuple(_by_source(known)))
    named = known["members"][:_NAMED_MEMBERS]
    said = [_said_of_member(member, str(member["series"]), known) for member in named]
    more = [f"and {left:,} more"] if (left := known["member_count"] - len(named)) else []
    return Line("Series", (*said, *more))


def _by_source(known: Mapping[str, Any]) -> Iterator[str]:
    """The series of each source, the likely root first, and how many more each has."""
    sources = known["sources"][:_NAMED_MEMBERS]
    most = max(1, _NAMED_MEMBERS // len(sources))
    for source in sources:
        own = [member for member in known["members"] if member["source"] == source]
        yield from (_said_of_member(member, f"{source} {member['series']}".strip(), known) for member in own[:most])
        if len(own) > most:
            yield f"{source}: {len(own) - most} more"
    if left := len(known["sources"]) - len(sources):
        yield f"and {left} more sources"


def _said_of_member(member: Mapping[str, Any], name: str, known: Mapping[str, Any]) -> str:
    return f"{name}: {_said_of(member)}" + (f"; {member['severity']}" if member["severity"] != known["severity"] else "")


def _lines(known: Mapping[str, Any], times: Times) -> tuple[Line, ...]:
    """Label and text, only what is known. What happened first, what engineers ask last."""
    is_over, since = known["event"] == "resolved", known["opened_at"] or known["started_at"]
    value, usual, unit = _number(known["value"]), _usual(known), str(known["unit"] or "")
    said, distance = explanation.read(str(known["explanation"] or "")), usual.distance(value, unit)
    is_retold = said.headline == known["title"]  # the subject says it
    again = (
        f", {'worse' if known['closed_by'] else 'again'} since {times.after(known['again_since'], since)}" if known["again_since"] else ""
    )
    is_said = value == value and number(value) in _title(known)  # a flat run is told by the value that stayed
    details = said.details if is_retold else known["explanation"]  # which say from when to when
    candidates: list[tuple[str, str | tuple[str, ...] | bool | None]] = [
        ("Source", known["source"] if known["source"] != OF_NO_SOURCE else ""),
        ("Sources", ", ".join(known["sources"]) if known["cause"] == GROUP else ""),
        ("Series", known["series"]),
        ("At its worst" if is_over else "Value", measured(value, unit) if is_said else ""),
        ("Usual then", f"{usual} {unit}" if str(usual) and (is_said or value != value) else ""),
        ("Difference", distance and is_said and f"{distance} that{_percent(known)}"),
        ("Incident since", times.at(since) + again),
        ("Lasted" if is_over else "Lasting", _lasted(known, times) if known["duration_seconds"] and (is_over or not details) else ""),
        ("Details", details),
        ("Acknowledged", "" if is_over else _acknowledged(known, times)),
        ("Resolved", times.until(known["resolved_at"])),
        ("Reason", known["resolved_reason"]),
        ("Owner", _owners(known)),
        ("Runbook", known["runbook"]),
        ("Acknowledge or snooze", "" if is_over else known["act"]),
        ("Page", known["page"]),
        ("Dagster", known["link"]),
        ("Remedy", "; ".join(known["remedies"])),
        ("Next", known["next_step"]),
        ("Rules", ", ".join(known["rules"])),
        ("Type", known["anomaly_type"]),
        ("Found by", (is_retold and said.found_by) or ", ".join(known["detectors"])),
        ("Incident", known["incident_id"]),
    ]
    lines = [
        Line(label, texts, label in _FOR_ENGINEERS, texts[0] if label in _ADDRESSES else "")
        for label, value in candidates
        if (texts := _texts(value))
    ]
    if not known["members"]:
        return tuple(lines)
    return (lines[0], _members(known), *(line for line in lines[1:] if line.label not in _OF_ONE_SERIES))


def _owners(known: Mapping[str, Any]) -> str | tuple[str, ...]:
    """Who answers for it; of a group over sources each owner with the sources, the likely root first."""
    if known["cause"] != GROUP or not known["owners"]:
        return str(known["owner"] or "")
    by_owner = dict[str, list[str]]()
    for source in known["sources"]:
        by_owner.setdefault(known["owners"].get(source) or "nobody", []).append(source)
    if len(by_owner) == 1:
        return next(iter(by_owner))
    said = [f"{owner} ({', '.join(own)})" for owner, own in by_owner.items()]
    return (*said[:_NAMED_MEMBERS], *([f"and {left} more"] if (left := len(said) - _NAMED_MEMBERS) > 0 else []))


def _acknowledged(known: Mapping[str, Any], times: Times) -> str:
    """Who has it, and since when by the clock: with the day of the week where that says it, with the date where it is longer ago."""
    if not known["acknowledged_by"] or not known["acknowledged_at"]:
        return ""
    at, told = (datetime.fromisoformat(known[name]).astimezone(times.zone) for name in ("acknowledged_at", "happened_at"))
    day = f"{at:%a}" if abs(told - at) < 6 * _DAY else f"{at:%Y-%m-%d}"
    return f"by {known['acknowledged_by']}, {day} {at:%H:%M} {zone(at)}"


def _texts(value: object) -> tuple[str, ...]:
    """What there is to say of a value, which may be several texts."""
    several = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
    return tuple(text for each in several if each not in (None, False) and (text := str(each).strip()))


def _percent(known: Mapping[str, Any]) -> str:
    """How far the value is from the expected one in percent of it, where that says something."""
    percent = known["deviation_percent"]
    if percent is None or known["expected"] is None or not 1 <= abs(percent) < 10_000:
        return ""
    return f"; {number(abs(round(percent)))} % {'above' if percent > 0 else 'below'} the expected {number(known['expected'])}"


def _lasted(known: Mapping[str, Any], times: Times) -> str:
    """How long, from the beginning: a pause within `reopen_within` is a part of it."""
    return times.length(known["duration_seconds"]) + (" in all" if known["again_since"] and known["event"] == "resolved" else "")


def _usual(known: Mapping[str, Any]) -> Usual:
    return Usual(*(_number(known[name]) for name in Usual._fields))


def _number(value: float | None) -> float:
    return nan if value is None else value
