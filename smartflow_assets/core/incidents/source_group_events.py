"""The life of an incident over several sources: what its members' incidents make of it.

It says nothing of its own: it opens with them, is as bad as the worst that people are to hear of, is over when all are, and back when one
is. Its members are the leaders of their own source, which carry its id, and what is told with those. Which incidents belong together is
in `source_groups`; the messages go to the channels that those of the members would have gone to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from smartflow_assets.core.anomalies.grouping import anomaly_id
from smartflow_assets.core.anomalies.headline import of_group
from smartflow_assets.core.incidents import groups
from smartflow_assets.core.incidents.alert_planning import SEND_COLUMNS, TOLD_WITH, Advance
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import GROUP, Row, again_since, fold, in_order, is_closed, is_going_on, row_dicts
from smartflow_assets.core.incidents.incident_writer import IncidentWriter
from smartflow_assets.core.incidents.source_groups import Ties
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.severity import RANK, Severity, worst

_TELLING = ("opened", "reopened", "escalated")
_STANDING = ("last_seen_at", "title", "anomaly_count")  # what makes news when it changes
_ENDED = "all of it is over: "
_SPLIT = "nothing is told with it any more"


@dataclass(frozen=True)
class Told:
    """What a group is told with: the channels that may hear of it, what ties its sources, and who answers for each of them (owner,
    runbook, timezone, bucket_seconds by source)."""

    to: tuple[str, ...]
    ties: Ties
    about: Mapping[str, Mapping[str, Any]]


class SourceGroup:
    """One group at one moment. `incidents`: the rows of all that is told by it, of its leaders and of what is told with these, and its own
    where it is there already; `history` and `sends`: their events and messages."""

    def __init__(
        self, incidents: pd.DataFrame, history: pd.DataFrame, sends: pd.DataFrame, told: Told, *, now: datetime, run_id: str
    ) -> None:
        self._told, self._now, self._run_id, self._sends = told, pd.Timestamp(now), run_id, sends
        self._entries: dict[str, list[Row]] = {}
        for entry in in_order(history):
            self._entries.setdefault(entry["incident_id"], []).append(entry)
        rows = row_dicts(incidents)
        self.incident: Row | None = next((row for row in rows if row["cause"] == GROUP), None)
        self._members = [row for row in rows if row["cause"] != GROUP]
        policy = AlertPolicy(to=told.to, min_severity="info")
        self._writer, self._taken = IncidentWriter(history, sends, policy, now=now, run_id=run_id), list[Row]()
        self._has_grown = False

    def begin(self) -> str:
        """It opens with all that there is; -> its id."""
        first = min(self._members, key=lambda row: (row["opened_at"], row["incident_id"]))
        identity = anomaly_id(OF_NO_SOURCE, first["incident_id"], GROUP, first["opened_at"])
        opened = {"source": OF_NO_SOURCE, "incident_id": identity, "cause": GROUP, "series": ""}
        payload = self._payload() | {"opened_at": first["opened_at"]}
        entry = self._writer.append(opened, "opened", self._severity(), **payload)
        (self.incident,) = row_dicts(fold(pd.DataFrame([entry])))
        self.take([row["incident_id"] for row in self._members if row["group_id"] is None])
        return identity

    def take(self, ids: Sequence[str]) -> None:
        """These are told by it from now on, and nothing that waits of them by itself."""
        assert self.incident is not None
        name, self._has_grown = self.incident["incident_id"], True
        for member in self._members:
            if member["incident_id"] in ids:
                self._writer.note(member, "grouped", member["severity"], group_id=name)
                member["group_id"] = name
        for row in untried(self._sends):
            if row["incident_id"] in ids:
                skipped = {"status": "skipped", "error": f"{TOLD_WITH}{name}", "due_at": self._now, "happened_at": self._now}
                self._taken.append({column: row[column] for column in SEND_COLUMNS} | skipped | {"run_id": self._run_id})

    def advance(self) -> None:
        """Bring it up to its members."""
        assert self.incident is not None
        group, leaders = self.incident, [row for row in self._members if row["group_id"] == self.incident["incident_id"]]
        on = [row for row in leaders if row["state"] != "resolved"]
        severity = worst([group["severity"], self._severity()])
        if group["state"] == "resolved":
            if on:
                self._append("reopened", severity, again_since=self._again_since(on))
            elif is_closed(group) and not any(is_going_on(row) for row in leaders):
                self._append("resolved", group["severity"], **self._end(leaders))
            return
        if not on:
            self._append("resolved", severity, **self._end(leaders))
        elif RANK[severity] > RANK[group["severity"]]:
            self._append("escalated", severity)
        elif self._has_grown or any(group[name] != value for name, value in self._payload().items() if name in _STANDING):
            self._append("seen", group["severity"])

    def conclude(self) -> Advance:
        """What is to be written of all that, in one commit."""
        step = self._writer.conclude()
        taken = pd.DataFrame(self._taken, columns=SEND_COLUMNS)
        sends = step.sends if taken.empty else pd.concat([step.sends, taken.astype(step.sends.dtypes)], ignore_index=True)
        return Advance(step.events, step.incidents, sends)

    def _append(self, kind: Any, severity: Severity, **more: Any) -> None:
        assert self.incident is not None
        again = self._writer.again_since(self.incident)
        payload = self._payload() | ({} if again is None else {"again_since": again}) | more
        entry = self._writer.append(self.incident, kind, severity, **payload)
        (self.incident,) = row_dicts(fold(pd.DataFrame([entry]), onto=pd.DataFrame([self.incident])))

    def _payload(self) -> Row:
        """All that a message says of it, and how it stands."""
        facts = [self._facts(row["incident_id"]) for row in self._members]
        depths = self._told.ties.depths(dict.fromkeys(row["source"] for row in self._members))
        told = groups.members_told(self._members, facts, depths)
        if not told["members"]:
            assert self.incident is not None
            return groups.members_of(self._entries.get(self.incident["incident_id"], ()))
        sources = list(dict.fromkeys(member["source"] for member in told["members"]))
        sources += sorted({row["source"] for row in self._members} - {*sources})
        about = [self._told.about.get(source, {}) for source in sources]
        zones = {each.get("timezone", "UTC") for each in about}
        root = {name: about[0][name] for name in ("owner", "runbook") if about[0].get(name)}
        told |= {"sources": sources, "timezone": zones.pop() if len(zones) == 1 else "UTC"} | root
        told["bucket_seconds"] = min(each.get("bucket_seconds", 60.0) for each in about)
        title = title_of(told["members"], told["member_count"], len(sources))
        seen = [row["last_seen_at"] or row["opened_at"] for row in self._members]
        count = sum(row["anomaly_count"] for row in self._members)
        return told | {"title": title, "body": title, "last_seen_at": max(seen), "anomaly_count": count}

    def _severity(self) -> Severity:
        """The worst that people are to have heard of the members: one that somebody has silenced is none of it."""
        heard = [row for row in self._members if row["state"] != "suppressed"] or self._members
        told = [entry["severity"] for row in heard for entry in self._entries.get(row["incident_id"], ()) if entry["event"] in _TELLING]
        return worst(told)

    def _facts(self, incident_id: str) -> Row:
        known = [entry["payload"] for entry in self._entries.get(incident_id, ()) if "metric" in entry["payload"]]
        return known[-1] if known else {}

    def _again_since(self, on: Sequence[Row]) -> pd.Timestamp:
        told = [again_since(self._entries.get(row["incident_id"], [])) for row in on]
        return min((moment for moment in told if moment is not None), default=self._now)

    def _end(self, leaders: Sequence[Row]) -> Row:
        ends = [(row["recovered_at"] if row["resolved_by"] else None) or row["resolved_at"] for row in leaders]
        if not leaders:
            return {"resolved_at": self._now, "resolved_reason": _SPLIT}
        last = max(zip(ends, (row["incident_id"] for row in leaders), leaders, strict=True), key=lambda each: each[:2])
        return {"resolved_at": last[0], "resolved_reason": f"{_ENDED}{last[2]['source']} last, {last[2]['resolved_reason']}"}


def title_of(members: Sequence[Mapping[str, Any]], count: int, sources: int) -> str:
    """A group in a few words: how much it is, and the likely root.

    >>> title_of([{"source": "shop", "series": "revenue", "title": "0 EUR, usually 120 to 180"}], 20, 3)
    '20 series of 3 sources: shop revenue 0 EUR, usually 120 to 180, and 19 more'
    """
    return f"{who(members, count, sources)}: {root_of(members, str(members[0]['title'] or ''), count)}"


def root_of(members: Sequence[Mapping[str, Any]], said: str, count: int) -> str:
    """The first of a group with what is said of it, and how many others there are.

    >>> root_of([{"source": "shop", "series": ""}], "no rows since Mon 09:00 UTC", 3)
    'shop: no rows since Mon 09:00 UTC, and 2 more'
    """
    root = members[0]
    return of_group(f"{root['source']} {root['series']}" if root["series"] else f"{root['source']}:", said, count)


def named_root_of(members: Sequence[Mapping[str, Any]], count: int) -> str:
    """The first of a group by its name, and how many others there are.

    >>> named_root_of([{"source": "shop", "series": "packs"}], 6), named_root_of([{"source": "shop", "series": ""}], 1)
    ('shop packs and 5 more', 'shop')
    """
    root = f"{members[0]['source']} {members[0]['series']}".strip()
    return f"{root} and {count - 1:,} more" if count > 1 else root


def who(members: Sequence[Mapping[str, Any]], count: int, sources: int) -> str:
    """What a group is of; where a whole source is a member it is no series.

    >>> who([{"series": "a"}], 20, 3), who([{"series": ""}, {"series": ""}], 2, 2), who([{"series": ""}, {"series": "a"}], 2, 2)
    ('20 series of 3 sources', '2 sources', '2 incidents of 2 sources')
    """
    named = {bool(member["series"]) for member in members}
    if named == {False} and count == sources:
        return f"{sources} sources"
    return f"{count} {'series' if named == {True} else 'incidents'} of {sources} sources"


def untried(sends: pd.DataFrame) -> list[Row]:
    """The messages that are planned and that nobody has tried to send or taken back: the row of each."""
    started = set(sends.loc[sends["status"] != "planned", "idempotency_key"])
    return [row for row in row_dicts(sends) if row["idempotency_key"] not in started]
