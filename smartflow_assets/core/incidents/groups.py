"""What breaks together: incidents of one source that begin in the same buckets are one matter, told once.

The first of them leads: people hear of the others by it, and it is over when all are. Which incidents belong together follows
from when they began and from nothing else, so it is the same however runs cut the data. How an incident comes to be and to its
end is in `lifecycle`; groups over several sources are in `source_groups`.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from smartflow_assets.core.incidents.event_log import Row
from smartflow_assets.core.series.intervals import GAP_BUCKETS
from smartflow_assets.core.severity import RANK

MOST_MEMBERS = 100
"""So many members stand in a message, the worst; the others are counted."""
_OF_MEMBERS = ("members", "member_count", "members_seen_at", "sources", "owner", "runbook")
_FACTS = ("metric", "dimensions", "unit", "value", "expected", "lower", "upper", "deviation_percent", "anomaly_score", "rules")


class Start(NamedTuple):
    """When and where an incident began: at some time from the start of its first bucket, `opened_at`, to that of the last of the source's
    buckets in it, `latest_at`, which is the same but for a series whose buckets are longer than the source's."""

    latest_at: datetime
    series: str
    incident_id: str
    opened_at: datetime


class Move(NamedTuple):
    """One of a group begins (+1) or recovers (-1); ends come before beginnings of the same moment, as they do within a series."""

    at: datetime
    step: Literal[-1, 1]
    series: str
    reason: str = ""


class Turn(NamedTuple):
    """The whole group is over (`resolved`), or there again (`reopened`)."""

    kind: Literal["resolved", "reopened"]
    at: datetime
    reason: str = ""


def reach(step: timedelta, calm_buckets: int) -> timedelta:
    """How much later than the leader another incident may begin. Never so late that the leader could be over by then.

    `calm_buckets`: how many calm buckets end an incident. Half a bucket of slack, since a day may have 25 hours.
    """
    return (min(GAP_BUCKETS, calm_buckets) + 0.5) * step


def leaders(heads: Iterable[Start], newcomers: Iterable[Start], within: timedelta) -> dict[str, str]:
    """The leader of each newcomer that has one, by incident id. `heads` are incidents that follow no other. What is known to the hour
    follows what is known to the minute, whichever began first.

    >>> a, b, c = (Start(at, "s", f"{at:%M}", at) for at in (datetime(2026, 3, 2, 9, minute) for minute in (0, 10, 20)))
    >>> leaders([a], [b, c], timedelta(minutes=10)), leaders([], [c, b, a], timedelta(minutes=10))
    ({'10': '00'}, {'10': '00'})
    >>> leaders([], [Start(b.latest_at + timedelta(minutes=45), "rows", "hour", a.opened_at), c], timedelta(minutes=10))
    {'hour': '20'}
    """
    known, found = sorted(heads), dict[str, str]()
    for start in sorted(newcomers):
        place = bisect_left(known, (start.opened_at - within,))
        near = (each for each in known[place:] if each.opened_at <= start.latest_at + within)
        if (leader := next(near, None)) is not None:
            found[start.incident_id] = leader.incident_id
        else:
            insort(known, start)
    return found


def turns(on_before: int, moves: Iterable[Move]) -> list[Turn]:
    """When all of a group were over and when one was back, after a time when `on_before` of them were on.

    The first beginning in a group of which none is on counts as a return; whoever opens the group leaves it out.
    """
    found, on, reasons = list[Turn](), on_before, Counter[str]()
    for move in sorted(moves):
        on += move.step
        reasons[move.reason] += move.step == -1
        if (move.step, on) == (1, 1):
            found.append(Turn("reopened", move.at))
        elif (move.step, on) == (-1, 0):
            found.append(Turn("resolved", move.at, _in_words(move.reason, reasons)))
            reasons.clear()
    return found


def _in_words(last: str, reasons: Counter[str]) -> str:
    """Why a group is over: the reason of the last of it, and of how many it was another.

    >>> _in_words("back to normal for 1 h", Counter({"back to normal for 1 h": 3, "the series is over": 1}))
    'back to normal for 1 h; 1 other: the series is over'
    """
    others = [f"{count} other{'s' if count > 1 else ''}: {reason}" for reason, count in sorted(reasons.items()) if count and reason != last]
    return "; ".join([last, *others])


def members_told(
    incidents: Sequence[Mapping[str, Any]], facts: Sequence[Mapping[str, Any]], depths: Mapping[str, int] | None = None
) -> Row:
    """What the payload of a group's event says of its members, its leader among them: `members`, the worst first, as far as they are
    named, `member_count`, and `members_seen_at`, when the last of them was last there. `incidents` and, for each, what is known of its
    newest anomaly. `depths`: of a group over sources, how far downstream each source is; the likely root comes first then, which is the
    furthest upstream, the earliest, the worst."""

    def order(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> tuple[Any, ...]:
        incident, known = pair
        first = () if depths is None else (depths[incident["source"]], incident["opened_at"])
        return (*first, *_badness(incident, known), incident["source"])

    both = sorted(zip(incidents, facts, strict=True), key=order)
    named = [
        {name: incident.get(name) for name in ("incident_id", "source", "series", "cause", "severity", "title", "opened_at")}
        | {name: known.get(name) for name in _FACTS}
        for incident, known in both[:MOST_MEMBERS]
    ]
    last_seen = max((seen for incident in incidents if (seen := incident.get("last_seen_at")) is not None), default=None)
    return {"members": named, "member_count": len(both), "members_seen_at": last_seen}


def members_of(entries: Iterable[Row]) -> Row:
    """What was told last of the members of a group, by the entries (of `event_log.in_order`) of its leader; nothing for one alone."""
    told = [entry["payload"] for entry in entries if entry["payload"].get("members")]
    return {name: told[-1][name] for name in _OF_MEMBERS if name in told[-1]} if told else {}


def _badness(incident: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[int, float, float, str]:
    score, percent = (abs(float(facts.get(name) or 0.0)) for name in ("anomaly_score", "deviation_percent"))
    return -RANK[incident["severity"]], -score, -percent, incident["series"]
