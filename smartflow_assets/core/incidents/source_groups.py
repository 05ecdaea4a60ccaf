"""What breaks together in several sources: which incidents are one matter, and where it is likely to have begun.

Two sources belong together where something ties them: a tag, a reference of a contract, an origin. Three and more that begin together
need no tie: that is no accident. Only incidents of which nobody has been told yet can be told together. What becomes of a group is in
`source_group_events`; groups within a source are in `groups`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from smartflow_assets.core.incidents.event_log import FRESHNESS, OF_SERIES

OF_GROUPS = (*OF_SERIES, FRESHNESS)
"""Causes of incidents that may be told with those of other sources, beside blocked loads (`OF_LOADS`): what data say. A step that failed,
a delivery or a run is a matter of the machinery."""
OF_LOADS = "load:"
"""So begins the cause of a load that is blocked."""
FEW = 2
"""So many sources need a tie."""


class Beginning(NamedTuple):
    """An incident of which nobody has been told yet; `within`: the source's `group_within`, `channels`: who is to hear of it."""

    opened_at: datetime
    source: str
    incident_id: str
    within: timedelta
    channels: frozenset[str] = frozenset()


class OpenGroup(NamedTuple):
    """A group that is not over, the sources of its members, and who has heard of it."""

    opened_at: datetime
    incident_id: str
    sources: frozenset[str]
    channels: frozenset[str] = frozenset()


class Found(NamedTuple):
    """Groups of incident ids to be made, and the group that each newcomer joins."""

    new: list[list[str]]
    joins: dict[str, str]


@dataclass(frozen=True)
class Ties:
    """What sources have in common, by source: tags, where rows come from, and the sources that a contract refers to."""

    tags: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict[str, frozenset[tuple[str, str]]])
    origins: Mapping[str, str] = field(default_factory=dict[str, str])
    upstream: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def between(self, one: str, other: str) -> bool:
        """Whether anything ties two sources.

        >>> ties = Ties(origins={"a": "orders.csv", "b": "orders.csv"}, upstream={"c": frozenset({"b"})})
        >>> ties.between("a", "b"), ties.between("b", "c"), ties.between("a", "c")
        (True, True, False)
        """
        origin, nothing = self.origins.get(one), frozenset[str]()
        return (
            one == other
            or bool(self.tags.get(one, frozenset()) & self.tags.get(other, frozenset()))
            or (origin is not None and origin == self.origins.get(other))
            or other in self.upstream.get(one, nothing)
            or one in self.upstream.get(other, nothing)
        )

    def depths(self, sources: Iterable[str]) -> dict[str, int]:
        """How many of these sources each depends on, directly or through others: none of a likely root.

        >>> Ties(upstream={"orders": frozenset({"customers"}), "revenue": frozenset({"orders"})}).depths(["revenue", "customers"])
        {'revenue': 1, 'customers': 0}
        """
        among = list(sources)
        return {source: len(self._above.get(source, frozenset()) & {*among} - {source}) for source in among}

    @cached_property
    def _above(self) -> dict[str, frozenset[str]]:
        """All that a source depends on."""
        return {source: frozenset(self._reached(source)) for source in self.upstream}

    def _reached(self, source: str) -> set[str]:
        found, left = set[str](), [source]
        while left:
            fresh = self.upstream.get(left.pop(), frozenset()) - found
            found |= fresh
            left += fresh
        return found


def together(beginnings: Iterable[Beginning], groups: Sequence[OpenGroup], ties: Ties, within: timedelta) -> Found:
    """Which of the beginnings are told together, and which join a group that there is; `within`: how long after its beginning.

    Whoever joins does so without a message, so it needs a tie to one of the group, however many they are, and all who are to hear of it
    have heard of the group.
    """
    joins, left = dict[str, str](), list[Beginning]()
    for each in sorted(beginnings, key=lambda each: each[:3]):
        if not each.within:
            continue
        near = (group for group in sorted(groups, key=lambda group: group[:2]) if _is_near(each, group, within))
        group = next((group for group in near if any(ties.between(each.source, source) for source in group.sources)), None)
        if group is None:
            left.append(each)
        else:
            joins[each.incident_id] = group.incident_id
    new = list[list[str]]()
    while left:
        begun = _begun_with(left)
        sources = {each.source for each in begun}
        is_one = len(sources) > FEW or (len(sources) == FEW and ties.between(*sources))
        if is_one:
            new.append([each.incident_id for each in begun])
        left = [each for each in left if each not in begun] if is_one else left[1:]
    return Found(new, joins)


def _is_near(each: Beginning, group: OpenGroup, within: timedelta) -> bool:
    return abs(each.opened_at - group.opened_at) <= min(within, each.within) and each.channels <= group.channels


def _begun_with(sorted_beginnings: Sequence[Beginning]) -> list[Beginning]:
    """The first, and what began so near to it and to each other as all of their sources allow."""
    found = list[Beginning]()
    for each in sorted_beginnings:
        if all(each.opened_at - other.opened_at <= min(each.within, other.within) for other in found):
            found.append(each)
    return found
