"""Groups over several sources: made before messages are sent, and brought up to their members after each run.

One pass does both (`group_sources`). It is under the lock of what is of no source (`*`), which people's decisions about such incidents take
too. What it writes of a member it writes under the lock of its source, so that no run folds from events that it has read before; and what
it takes back of a channel under the lock of that channel, so that it is not sent meanwhile. What is locked elsewhere is left to the next
pass.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from smartflow_assets.adapters.message_stories import of_incidents
from smartflow_assets.adapters.outbox import channel_lock
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.source_ties import ties_of
from smartflow_assets.core.errors import WarehouseBusyError
from smartflow_assets.core.incidents.event_log import GROUP, Row, row_dicts
from smartflow_assets.core.incidents.holds import HELD
from smartflow_assets.core.incidents.source_group_events import SourceGroup, Told, untried
from smartflow_assets.core.incidents.source_groups import OF_GROUPS, OF_LOADS, Beginning, OpenGroup, together
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.stages.incident_writes import committed

PATIENCE = timedelta(seconds=20)
"""So long a pass waits for another one, or for a channel on which somebody sends."""

# What stands, with nothing of it tried yet and nothing that waits for another reason; and groups that are not over, or whose members are
# not.
_NEWS = f"""
WITH messages AS (
    SELECT incident_id, bool_or(status NOT IN ('planned', 'skipped')) AS is_tried,
           bool_or(status = 'planned') AND NOT bool_or(status = 'skipped') AS is_waiting,
           bool_or(status = 'planned' AND (
               due_at > $2 OR coalesce(starts_with(error, '{HELD}'), FALSE) OR list_contains($3, run_id))) AS is_later
    FROM alert_sends GROUP BY incident_id, idempotency_key, channel
), untold AS (
    SELECT incident_id FROM messages GROUP BY incident_id
    HAVING NOT bool_or(is_tried) AND bool_or(is_waiting) AND NOT bool_or(is_waiting AND is_later)
)
SELECT * FROM incidents WHERE CASE WHEN source = '{OF_NO_SOURCE}' THEN cause = '{GROUP}' AND (
    state <> 'resolved' OR (resolved_by IS NOT NULL AND recovered_at IS NULL)
    OR EXISTS (SELECT 1 FROM incidents AS member WHERE member.group_id = incidents.incident_id AND member.state <> 'resolved'))
ELSE group_id IS NULL AND state IN ('open', 'acknowledged') AND (list_contains($1, cause) OR starts_with(cause, '{OF_LOADS}'))
    AND incident_id IN (FROM untold)
    AND incident_id NOT IN (SELECT incident_id FROM incident_events WHERE event = 'grouped') END
"""
_MEMBERS = """
WITH leaders AS (SELECT incident_id FROM incidents WHERE group_id = $1 OR list_contains($2, incident_id))
SELECT * FROM incidents WHERE incident_id = $1 OR incident_id IN (FROM leaders) OR group_id IN (FROM leaders)
ORDER BY opened_at, incident_id
"""
_OVER_SOURCES = f"""
SELECT incident_id, group_id FROM incidents WHERE list_contains(?, incident_id)
AND group_id IN (SELECT incident_id FROM incidents WHERE source = '{OF_NO_SOURCE}' AND cause = '{GROUP}')
"""


def over_sources(warehouse: Warehouse, ids: Collection[str]) -> dict[str, str]:
    """The group over several sources that tells of each of these incidents that is of one."""
    return {row["incident_id"]: row["group_id"] for row in row_dicts(warehouse.read(_OVER_SOURCES, [list(ids)]))}


def group_sources(
    warehouse: Warehouse,
    catalogue: Catalogue,
    *,
    now: datetime,
    run_id: str,
    holding: Collection[str] = (),
    leaving: Collection[str] = (),
) -> int:
    """Make the groups that there are, and bring those that there were up to their members -> how many commits that took.

    `holding`: sources whose lock the caller has; `leaving`: runs that are under way and whose messages are theirs to send. Costs one read
    where nothing waits and no group is open.
    """
    one = _Pass(warehouse, catalogue, now, run_id, frozenset(leaving))
    groups, waiting = one.news()
    if not groups and len({row["source"] for row in waiting}) < 2:
        return 0
    warehouse.release()
    with ExitStack() as stack:
        try:
            stack.enter_context(AdvisoryLock(catalogue.settings.source_lock(OF_NO_SOURCE)).exclusive(PATIENCE, holder=run_id))
        except WarehouseBusyError:
            return 0
        free = set(holding)
        for source in sorted({row["source"] for row in waiting} - free):
            try:
                stack.enter_context(AdvisoryLock(catalogue.settings.source_lock(source)).exclusive(timedelta(0), holder=run_id))
                free.add(source)
            except WarehouseBusyError:
                continue
        try:
            for channel in one.channels_of(waiting):
                stack.enter_context(channel_lock(warehouse, channel).exclusive(PATIENCE, holder=run_id))
        except WarehouseBusyError:
            free = set()
        with warehouse.reading():
            return one.do(free, {row["incident_id"] for row in waiting})


@dataclass(frozen=True)
class _Pass:
    warehouse: Warehouse
    catalogue: Catalogue
    now: datetime
    run_id: str
    leaving: frozenset[str]

    def news(self) -> tuple[list[Row], list[Row]]:
        """The groups that may have news, and what nobody has been told of yet."""
        rows = row_dicts(self.warehouse.read(_NEWS, [list(OF_GROUPS), self.now, list(self.leaving)]))
        return [row for row in rows if row["cause"] == GROUP], [row for row in rows if row["cause"] != GROUP]

    def channels_of(self, waiting: list[Row]) -> list[str]:
        """The channels that would be told of these."""
        sends = of_incidents(self.warehouse, "alert_sends", [row["incident_id"] for row in waiting])
        return sorted({row["channel"] for row in untried(sends)})

    def do(self, free: Collection[str], seen: Collection[str]) -> int:
        """All of it, for sources that nobody else works on; what was not `seen` before its channels were locked is left."""
        groups, waiting = self.news()
        waiting = [row for row in waiting if row["source"] in free and row["incident_id"] in seen]
        members = {group["incident_id"]: self._members(group["incident_id"]) for group in groups}
        channels = self._channels_by([row["incident_id"] for row in (*groups, *waiting)])
        untold = [
            Beginning(row["opened_at"], row["source"], name, self.catalogue.alert_policy(row["source"]).group_within, channels[name])
            for row in waiting
            if (name := row["incident_id"])
        ]
        standing = [
            OpenGroup(group["opened_at"], name, frozenset(members[name]["source"]) - {OF_NO_SOURCE}, channels[name])
            for group in groups
            if (name := group["incident_id"]) and group["state"] != "resolved"
        ]
        ties = ties_of(self.catalogue)
        found = together(untold, standing, ties, self.catalogue.default_policy.group_within)
        count = 0
        for ids in found.new:
            group = self._group("", self._members("", ids), ties)
            group.begin()
            count += len(committed(self.warehouse, self.run_id, group.conclude()))
        for each in groups:
            name = each["incident_id"]
            joining = [incident_id for incident_id, group_id in found.joins.items() if group_id == name]
            group = self._group(name, self._members(name, joining) if joining else members[name], ties)
            if joining:
                group.take(joining)
            group.advance()
            count += len(committed(self.warehouse, self.run_id, group.conclude()))
        return count

    def _channels_by(self, ids: list[str]) -> dict[str, frozenset[str]]:
        """The channels that are or were told of each."""
        sends = of_incidents(self.warehouse, "alert_sends", ids)
        return {name: frozenset(sends.loc[sends["incident_id"] == name, "channel"]) for name in ids}

    def _members(self, group_id: str, joining: Collection[str] = ()) -> pd.DataFrame:
        return self.warehouse.read(_MEMBERS, [group_id, list(joining)])

    def _group(self, name: str, rows: pd.DataFrame, ties: Any) -> SourceGroup:
        history, sends = (of_incidents(self.warehouse, table, rows["incident_id"]) for table in ("incident_events", "alert_sends"))
        told = [row for row in row_dicts(rows) if row["cause"] != GROUP]
        waiting = {row["channel"] for row in untried(sends) if row["incident_id"] != name}
        to = dict.fromkeys([*sorted(waiting), *(channel for row in told for channel in self._channels(row))] if name else sorted(waiting))
        about = dict(self._about({row["source"] for row in told}))
        return SourceGroup(rows, history, sends, Told(tuple(to), ties, about), now=self.now, run_id=self.run_id)

    def _channels(self, row: Row) -> tuple[str, ...]:
        """Who would hear of a member that is there again, or worse."""
        policy = self.catalogue.alert_policy(row["source"])
        is_heard = policy.is_worth_telling(row["severity"]) and row["state"] in ("open", "acknowledged")
        return policy.channels(row["severity"], row["cause"], row["series"] or "", self.now) if is_heard else ()

    def _about(self, sources: Collection[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for name in sources:
            source = self.catalogue.sources.get(name)
            if source is not None:
                step = source.time_bucket.every.total_seconds() if source.is_bucket_given else 60.0
                known = {"timezone": source.calendar.timezone, "bucket_seconds": step}
                yield name, known | {"owner": source.owner, "runbook": source.runbook}
