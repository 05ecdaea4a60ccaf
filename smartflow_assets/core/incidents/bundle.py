"""The content of several incidents in one message: what began, what is still on, what ended, the worst first.

A bundle is a content like any other, so every format writes it; `fitted` lets a format take as many incidents as it has room for, and the
bundle says how many more there are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from smartflow_assets.core.incidents.content import Content, Line, Link, Times, in_short
from smartflow_assets.core.incidents.shortening import one_line
from smartflow_assets.core.severity import RANK, SEVERITIES, Severity, worst
from smartflow_assets.core.text_format import lasting, names

BundleKind = Literal["digest", "held_back"]
"""Why incidents are told together: that is how the channel tells all, or its rate limit left no room for each."""
Standing = Literal["began", "still on", "came and went", "ended"]
_STANDINGS: tuple[Standing, ...] = get_args(Standing)
MOST_INCIDENTS = 40
"""So many are told in a line each; programs get all."""
_FEWER = (40, 25, 15, 10, 6, 4, 2, 1)
_LONGEST_LINE, _LONGEST_SUBJECT = 300, 200


class Told(NamedTuple):
    """One incident as a bundle tells it: how it stands, how bad it became, its line, the same in short, and its last content."""

    standing: Standing
    severity: Severity
    text: str
    short: str
    content: Content

    @property
    def rank(self) -> tuple[Any, ...]:
        """The worst first, of these what is still going on, then by source."""
        facts = self.content.facts
        return (-RANK[self.severity], _STANDINGS.index(self.standing), facts["source"], facts["opened_at"] or "", facts["incident_id"])


@dataclass(frozen=True)
class Bundle(Content):
    """A content of several incidents, `told` from the worst on."""

    told: tuple[Told, ...]
    beside: tuple[Line, ...]

    def within(self, most: int) -> "Bundle":
        """The same with a line for at most so many incidents."""
        return replace(self, lines=(*_sections(self.told, most), *self.beside))


def fitted(content: Content, fits: Callable[[Content], bool]) -> Content:
    """A bundle with a line for as many incidents as fit; any other content as it is."""
    if not isinstance(content, Bundle):
        return content
    shorter = (content.within(most) for most in _FEWER)
    return next((one for one in shorter if fits(one)), content.within(_FEWER[-1]))


def told_of(contents: Sequence[Content], still_on: Sequence[Content], at: datetime) -> tuple[Told, ...]:
    """Each incident once, the worst first. `contents` are of its messages, in turn; `still_on` of those that went on without one."""
    messages = dict[str, list[Content]]()
    for content in contents:
        messages.setdefault(content.facts["incident_id"], []).append(content)
    told = [_told(_standing(own), own, at) for own in messages.values()]
    told += [_told("still on", [content], at) for content in still_on if content.facts["incident_id"] not in messages]
    return tuple(sorted(told, key=lambda one: one.rank))


def bundle_of(kind: BundleKind, told: tuple[Told, ...], known: Mapping[str, Any], *, at: datetime, timezone: str, why: str = "") -> Bundle:
    """The content of these incidents. `at` is the moment of the bundle, shown in `timezone`; `why` says why they come together.
    `known` are the facts of the message."""
    sources = list(dict.fromkeys(source for one in told for source in one.content.facts["sources"]))
    name = "digest" if kind == "digest" else "held back"
    who = _count(len(told), "incident") + (f" of {names(sources, 'source')}" if sources else "")
    how = _how(told)
    sentence = one_line(f"[{name}] {who}: {how}. Worst: {told[0].short}")
    beside = [("Why together", why), ("Time", f"{at.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M %Z}")]
    # What came and went is news to the reader, and as bad as it was; green is for what they had heard of.
    news = [one.severity for one in told if one.standing != "ended"]
    bundle = Bundle(
        event=kind,
        tone=worst(news) if news else "resolved",
        kicker=f"{name} · {who}",
        headline=how[:1].upper() + how[1:],
        sentence=sentence,
        subject=one_line(sentence, _LONGEST_SUBJECT),
        lines=(),
        links=_links(told, sources),
        timezone=timezone,
        step=timedelta(minutes=1),
        facts=known,
        told=told,
        beside=tuple(Line(label, (text,), is_small=True) for label, text in beside if text),
    )
    return bundle.within(MOST_INCIDENTS)


_OF_A_MEMBER = (
    *("incident_id", "source", "series", "cause", "state", "title", "opened_at", "resolved_at", "duration_seconds", "metric", "dimensions"),
    *("unit", "value", "expected", "lower", "upper", "deviation_percent", "anomaly_score", "rules", "member_count", "sources", "page"),
)


def member_of(one: Told) -> dict[str, Any]:
    """What programs read of one incident of a bundle."""
    facts = one.content.facts
    return {"severity": one.severity, "event": facts["event"], "standing": one.standing} | {name: facts[name] for name in _OF_A_MEMBER}


def _standing(contents: Sequence[Content]) -> Standing:
    """How an incident stands after its messages, and whether they tell its beginning."""
    is_new = any(content.event == "opened" for content in contents)
    if contents[-1].is_over:
        return "came and went" if is_new else "ended"
    return "began" if is_new else "still on"


def _told(standing: Standing, contents: Sequence[Content], at: datetime) -> Told:
    content = contents[-1]
    severity, facts = worst(content.facts["severity"] for content in contents), content.facts
    short, times = in_short(facts), Times(ZoneInfo(content.timezone), content.step)
    since = facts["opened_at"] or facts["started_at"]
    if content.is_over:
        began = f"was on from {times.at(since)}" if since else "is over"
        lasted = f"{began} for {times.length(facts['duration_seconds'])}" if facts["duration_seconds"] else began
    elif since and (length := at - datetime.fromisoformat(since)) >= timedelta(minutes=1):
        lasted = f"on for {lasting(length)}, since {times.at(since)}"
    else:
        lasted = f"since {times.at(since)}" if since else ""
    parts = (f"{severity} · {short}", lasted)
    return Told(standing, severity, one_line("; ".join(filter(None, parts)), _LONGEST_LINE), short, content)


def _how(told: Iterable[Told]) -> str:
    """What a bundle holds, in counts."""
    told = list(told)
    bad = [f"{count} {severity}" for severity in reversed(SEVERITIES) if (count := sum(one.severity == severity for one in told))]
    stand = [f"{count} {standing}" for standing in _STANDINGS if (count := sum(one.standing == standing for one in told))]
    return f"{', '.join(bad)}; {', '.join(stand)}"


def _links(told: Sequence[Told], sources: Sequence[str]) -> tuple[Link, ...]:
    """The page of the worst, and what else there is of the one source."""
    page, others = told[0].content.facts["page"], told[0].content.links
    label = "The incident" if len(told) == 1 else "The worst incident"
    return (
        *((Link(label, page),) if page else ()),
        *(link for link in others if link.address != page and len(sources) == 1),
    )


def _sections(told: Sequence[Told], most: int) -> tuple[Line, ...]:
    """A line for each standing, with the worst incidents of all in it, where their pages are, and how many more there are of it."""
    named, lines = told[:most], list[Line]()
    for standing in _STANDINGS:
        own = [one for one in named if one.standing == standing]
        texts, pages = [one.text for one in own], tuple(one.content.facts["page"] or "" for one in own)
        left = sum(one.standing == standing for one in told) - len(texts)
        more = [f"and {left:,} more" if texts else _count(left, "incident")] if left else []
        if texts or more:
            lines.append(Line(standing[:1].upper() + standing[1:], (*texts, *more), pages=(*pages, *("" for _ in more))))
    return tuple(lines)


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"
