"""What is said of an incident over several sources: of which of its members it is said, and what becomes of the group itself.

A word on such a group is one word (one `feedback_id`) on all of its members that were detected. What happened, such as a silence or a
blocked load, can be right and nothing else: other words leave it out, and say so. How a word is written is in `feedback`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from smartflow_assets.adapters.message_stories import of_incidents
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import DecisionError
from smartflow_assets.core.feedback import Verdict
from smartflow_assets.core.incidents.alert_planning import Advance
from smartflow_assets.core.incidents.decisions import SHORT, Decisions, Said
from smartflow_assets.core.incidents.event_log import GROUP, OF_SERIES, Row, fold, row_dicts
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.stages.decisions import AND_THEIR_GROUPS

MOST_NAMED = 5
_TOLD = f"""
SELECT DISTINCT incident_id FROM incident_events WHERE source = '{OF_NO_SOURCE}' AND cause = '{GROUP}' AND event = 'judged'
AND payload->>'feedback_id' = ?
"""


@dataclass(frozen=True)
class Members:
    """Of a group: `meant` are the incidents of which a word is said, each with what is told with it in its source; `judged` how many that
    makes, `left_out` those of which it cannot be said."""

    meant: Sequence[Row]
    judged: Sequence[Row]
    left_out: Sequence[Row]

    @property
    def sources(self) -> list[str]:
        """The sources of those that are judged."""
        return sorted({row["source"] for row in self.judged})


def members_meant(warehouse: Warehouse, group_id: str, verdict: Verdict, where: str = "") -> Members:
    """Of which members of a group a word is said. DecisionError where it can be said of none."""
    ids = list(warehouse.read(AND_THEIR_GROUPS, [[group_id]])["incident_id"])
    rows = row_dicts(warehouse.read("SELECT * FROM incidents WHERE list_contains(?, incident_id) ORDER BY opened_at, incident_id", [ids]))
    rows = [row for row in rows if row["incident_id"] != group_id]
    fit = {row["incident_id"] for row in rows if verdict == "true_positive" or row["cause"] in OF_SERIES}
    meant = [row for row in rows if row["incident_id"] in fit and (row["group_id"] == group_id or row["group_id"] not in fit)]
    names = {row["incident_id"] for row in meant}
    judged = [row for row in rows if row["incident_id"] in names or (row["group_id"] in names and row["cause"] in OF_SERIES)]
    left_out = [row for row in rows if row not in judged]
    if not meant:
        short = group_id[:SHORT]
        what = f"{short} is of {_named(rows)}: that is not detected but happened, so it cannot be {verdict}"
        remedy = f"`smartflow feedback {short} true_positive` can be said of it; `smartflow incidents resolve {short}` ends it."
        raise DecisionError(what if rows else f"nothing is told with {short} any more", where=where, remedy=remedy)
    return Members(meant, judged, left_out)


def groups_judged(warehouse: Warehouse, feedback_id: str) -> list[str]:
    """The groups over several sources of which a word was said."""
    return list(warehouse.read(_TOLD, [feedback_id])["incident_id"])


class GroupFeedback:
    """What becomes of groups over several sources at one moment, once it is known what becomes of their members (`steps`)."""

    def __init__(
        self,
        warehouse: Warehouse,
        catalogue: Catalogue,
        ids: Sequence[str],
        steps: Sequence[Advance],
        *,
        now: datetime,
        by_whom: str,
        run_id: str,
    ) -> None:
        concerned = list(warehouse.read(AND_THEIR_GROUPS, [list(ids)])["incident_id"])
        history, sends = (of_incidents(warehouse, table, concerned) for table in ("incident_events", "alert_sends"))
        history, sends = _with(history, [step.events for step in steps]), _with(sends, [step.sends for step in steps])
        policy = catalogue.alert_policy(OF_NO_SOURCE)
        self._incidents = {row["incident_id"]: row for row in row_dicts(fold(history))}
        self.decisions = Decisions(history, sends, policy, now=now, by_whom=by_whom, run_id=run_id)

    def give(self, group_id: str, verdict: Verdict, note: str, feedback_id: str, members: Members, news: int) -> None:
        """One word was said of its members, new of `news` of them."""
        if not news:
            self.decisions.said.append(Said(group_id, f"is called {verdict} already{_left(members)}", has_changed=False))
            return
        self.decisions.judge(group_id, "; ".join(filter(None, (verdict, note))), feedback_id)
        count, sources = len(members.judged), members.sources
        of = f"{count} of {len(sources)} sources ({', '.join(sources)})" if len(sources) > 1 else f"{count} of {sources[0]}"
        self.decisions.said.append(Said(group_id, f"called {verdict}, said of {of}{_left(members)} ({feedback_id[:SHORT]})"))
        leaders = [row for row in self._incidents.values() if row["group_id"] == group_id]
        is_over = all(row["state"] == "resolved" for row in leaders)
        if verdict == "false_positive" and is_over and self._incidents[group_id]["state"] != "resolved":
            at = max(row["resolved_at"] for row in leaders)
            self.decisions.resolve(group_id, at, "; ".join(filter(None, ("false positive", note))))

    def undo(self, group_id: str, verdict: Verdict, feedback_id: str) -> None:
        """The word was taken back of its members."""
        self.decisions.judge(group_id, f"{verdict} taken back", feedback_id)


def _left(members: Members) -> str:
    if not members.left_out:
        return ""
    return f"; of {_named(members.left_out)} it cannot be said, since that is not detected but happened"


def _named(rows: Sequence[Mapping[str, str]]) -> str:
    def each() -> Iterator[str]:
        for row in rows[:MOST_NAMED]:
            yield f"{row['source']} {row['series'] or row['cause']} ({row['incident_id'][:SHORT]})"
        if len(rows) > MOST_NAMED:
            yield f"{len(rows) - MOST_NAMED} more"

    return ", ".join(each())


def _with(rows: pd.DataFrame, more: Sequence[pd.DataFrame]) -> pd.DataFrame:
    new = [frame for frame in more if len(frame)]
    return pd.concat([rows, *new], ignore_index=True) if new else rows
