"""What people decide about incidents, written down: under the lock of their source, so that a run that is under way loses none of it.

Which incidents are meant is found here, what a decision does in `core/incidents/decisions`. That nobody's snooze is lost where no run comes
is here as well: `pass_time` is for the sensor that looks every half minute, so it costs one read where nothing is due.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.message_stories import of_incidents
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import WarehouseBusyError
from smartflow_assets.core.incidents.decisions import Decisions, Said
from smartflow_assets.core.incidents.event_log import OF_SERIES, row_dicts
from smartflow_assets.stages.alerting import committed
from smartflow_assets.stages.clock_turns import due_reminders, turned
from smartflow_assets.stages.scheduling.appearance import BY_PEOPLE

AND_THEIR_GROUPS = """
WITH RECURSIVE above AS (
    SELECT incident_id, group_id FROM incidents WHERE list_contains($1, incident_id)
    UNION SELECT incidents.incident_id, incidents.group_id FROM incidents JOIN above ON incidents.incident_id = above.group_id
), below AS (
    SELECT incident_id FROM above
    UNION SELECT incidents.incident_id FROM incidents JOIN below ON incidents.group_id = below.incident_id
)
SELECT incident_id, source FROM incidents WHERE incident_id IN (FROM below) ORDER BY source, incident_id
"""
"""The ids of incidents, and of all that people are told of with them."""
_DUE = "SELECT DISTINCT source FROM incidents WHERE snoozed_until <= ? ORDER BY source"


@dataclass(frozen=True)
class Decided:
    """What became of each incident, and the messages that this calls for (rows of alert_sends)."""

    said: Sequence[Said]
    sends: pd.DataFrame


def decide(
    warehouse: Warehouse,
    catalogue: Catalogue,
    source: str,
    ids: Sequence[str],
    what: Callable[[Decisions], None],
    *,
    by_whom: str,
    now: datetime,
    patience: timedelta,
) -> Decided:
    """Let a person decide `what` about incidents of a source. WarehouseBusyError when a run of it lasts longer than `patience`."""
    with ExitStack() as stack:
        for each in sorted({source, *warehouse.read(AND_THEIR_GROUPS, [list(ids)])["source"]}):  # `*` first, as a pass over groups does
            stack.enter_context(AdvisoryLock(catalogue.settings.source_lock(each)).exclusive(patience, holder=BY_PEOPLE))
        with warehouse.reading():
            concerned = list(warehouse.read(AND_THEIR_GROUPS, [list(ids)])["incident_id"])
            events, sends = (of_incidents(warehouse, table, concerned) for table in ("incident_events", "alert_sends"))
        decisions = Decisions(
            events,
            sends,
            catalogue.alert_policy(source),
            now=now,
            by_whom=by_whom,
            run_id=f"{BY_PEOPLE} {now.isoformat()}",  # of two like decisions each is an event
            timezone=timezone_of(catalogue, source),
        )
        what(decisions)
        step = decisions.conclude()
        committed(warehouse, BY_PEOPLE, step)
    return Decided(decisions.said, step.sends)


def timezone_of(catalogue: Catalogue, source: str) -> str:
    """The zone in which people read the times of a source; UTC for one whose file is gone."""
    return catalogue.sources[source].calendar.timezone if source in catalogue.sources else "UTC"


def end_of_data(warehouse: Warehouse, catalogue: Catalogue, incident_id: str, now: datetime) -> datetime:
    """Up to when the data of an incident's source have been judged, which is when a person resolves it, in their time; `now` for one that
    is not of series."""
    rows = row_dicts(
        warehouse.read(
            "SELECT source, cause, (SELECT max(observed_at) FROM anomaly_scores WHERE source = incidents.source) AS newest_at "
            "FROM incidents WHERE incident_id = ?",
            [incident_id],
        )
    )
    row = rows[0]
    if row["cause"] not in OF_SERIES or row["newest_at"] is None or row["source"] not in catalogue.sources:
        return now
    source = catalogue.sources[row["source"]]
    return row["newest_at"] + (source.time_bucket.every if source.is_bucket_given else timedelta(0))


def pass_time(warehouse: Warehouse, catalogue: Catalogue, *, now: datetime, run_id: str) -> int:
    """Do what the clock alone asks for, of all sources: wake what is snoozed no longer, remind people of what is open -> how many messages
    that calls for. A source with a run under way is left to it."""
    count = 0
    every = {name: source.alerts.remind_every for name, source in catalogue.sources.items() if source.alerts.remind_every}
    for source in sorted({*warehouse.read(_DUE, [now])["source"], *due_reminders(warehouse, every, now)}):
        try:
            with AdvisoryLock(catalogue.settings.source_lock(source)).exclusive(timedelta(0), holder=run_id):
                step = turned(warehouse, source, catalogue.alert_policy(source), timezone_of(catalogue, source), now=now, run_id=run_id)
                count += sum(len(each.sends) for each in committed(warehouse, run_id, step))
        except WarehouseBusyError:
            continue
    return count
