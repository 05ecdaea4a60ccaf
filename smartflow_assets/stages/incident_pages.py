"""The page of an incident as a file: one HTML file in data/reports/incidents, which holds all that is known of it.

What the page says is in `core.reports.incident_page`; here it is read, also what changed before it began. A page is written anew as a
whole, and goes when its incident does.
"""

import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from smartflow_assets.adapters.files.report_file import write_report
from smartflow_assets.adapters.warehouse.readable import Readable
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.plan import said_differences
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.incidents.event_log import GROUP, Row, read_payload, row_dicts
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.reports import html_page
from smartflow_assets.core.reports.document import Link, safe_address
from smartflow_assets.core.reports.incident_page import IncidentFacts, incident_document
from smartflow_assets.core.text_format import zone
from smartflow_assets.stages.decisions import timezone_of
from smartflow_assets.stages.incident_views import Known, known, members_called, sql_command, state_of, told_of, unowned
from smartflow_assets.stages.message_background import MessageBackground, page_path, ui_address
from smartflow_assets.stages.run import SourceRun

_log = logging.getLogger(__name__)
_ID = re.compile("[0-9a-f]{16}")
BEFORE = timedelta(days=1)
"""So long before an incident what changed is looked for."""
MOST_CHANGES = 15
MOST_PAGES = 20
"""So many pages a run writes."""


def _near(column: str) -> str:
    """Within a day before it began, or before it was found: rows may come long after their time."""
    return f"({column} BETWEEN $2 AND $3 OR {column} BETWEEN $4 AND $5)"


# A load is told where it came in that day, or brought the rows in which the incident begins.
_CHANGES = f"""
SELECT changed_at AS at, 'column ' || column_name || ': ' || change
       || coalesce(' (was ' || name_before || ')', coalesce(' (' || type_before || ' -> ' || type_after || ')', '')) AS what
FROM schema_changes WHERE source = $1 AND state <> 'gone' AND {_near("changed_at")}
AND load_id <> (SELECT arg_min(load_id, changed_at) FROM schema_changes WHERE source = $1)
UNION ALL
SELECT changed_at, 'model of ' || series || ' (' || detector || '): ' || change || coalesce(', ' || nullif(reason, ''), '')
       || coalesce(', by ' || nullif(changed_by, ''), '')
FROM trained_models WHERE source = $1 AND status = 'current' AND {_near("changed_at")}
UNION ALL
SELECT ingested_at, 'load of ' || origin || ': ' || new_count || ' new rows'
       || CASE WHEN quarantined_count > 0 THEN ', ' || quarantined_count || ' unreadable' ELSE '' END
       || CASE WHEN removed_count > 0 THEN ', ' || removed_count || ' removed' ELSE '' END
       || CASE WHEN $3 BETWEEN first_at AND last_at AND NOT ({_near("ingested_at")})
          THEN ' (it brought the rows in which the incident begins)' ELSE '' END
FROM ingestions WHERE source = $1 AND new_count + removed_count + quarantined_count > 0
AND ({_near("ingested_at")} OR ($3 BETWEEN first_at AND last_at AND ingested_at <= $5))
UNION ALL
SELECT happened_at, 'remedy ' || action || ': ' || status || coalesce(', ' || nullif(message, ''), '')
FROM remediations WHERE source = $1 AND status <> 'dry' AND {_near("happened_at")}
UNION ALL
SELECT changed_at, 'load ' || load_id || ': ' || state || coalesce(', ' || nullif(reason, ''), '')
FROM blocked_loads WHERE source = $1 AND {_near("changed_at")}
"""
_CONFIGURATIONS = f"""
SELECT held_from, configuration, lag(configuration) OVER (ORDER BY rowid) AS before, is_gone FROM configurations WHERE source = $1
QUALIFY {_near("held_from")} ORDER BY held_from
"""
_TOUCHED = """
SELECT * FROM incidents WHERE incident_id IN (
    SELECT coalesce(own.group_id, own.incident_id) FROM incident_events AS events JOIN incidents AS own USING (incident_id)
    WHERE events.run_id = $1 AND events.source = $2)
AND incident_id IN (SELECT incident_id FROM alert_sends WHERE source = $2)
ORDER BY list_position(['critical', 'warning', 'info'], severity), opened_at DESC, incident_id LIMIT $3
"""


_TOLD = """
SELECT * FROM incidents WHERE incident_id IN (SELECT incident_id FROM alert_sends WHERE run_id = $1 AND status IN ('sent', 'failed'))
ORDER BY list_position(['critical', 'warning', 'info'], severity), opened_at DESC, incident_id LIMIT $2
"""


def incident_page(warehouse: Warehouse, catalogue: Catalogue, incident: Row, *, now: datetime, environment: Mapping[str, str]) -> str:
    """The page of an incident as it stands, as HTML. The same rows, `now` and environment give the same text."""
    with warehouse.reading():
        return html_page.render(incident_document(incident_facts(warehouse, catalogue, incident, now, environment)))


def write_pages(
    warehouse: Warehouse,
    catalogue: Catalogue,
    settings: Settings,
    incidents: Iterable[Row],
    *,
    now: datetime,
    environment: Mapping[str, str],
) -> list[Path]:
    """Write the pages of these incidents; their paths."""
    paths = []
    for incident in incidents:
        paths.append(page_path(settings, str(incident["incident_id"])))
        page = incident_page(warehouse, catalogue, incident, now=now, environment=environment)
        write_report(paths[-1], page.encode(), catalogue.home.share)
    return paths


def write_touched(run: SourceRun, environment: Mapping[str, str]) -> list[Path]:
    """Write the pages of the incidents that this run has moved and that messages are of, the worst MOST_PAGES; of a group its leader's."""
    incidents = row_dicts(run.warehouse.read(_TOUCHED, [run.run_id, run.name, MOST_PAGES]))
    return write_pages(run.warehouse, run.catalogue, run.settings, incidents, now=run.now, environment=environment)


def write_told(warehouse: Warehouse, catalogue: Catalogue, run_id: str, *, now: datetime, environment: Mapping[str, str]) -> None:
    """Write the pages of the incidents that a run of several sources has told of, groups over sources among them: they say who was told.
    No page stops a run."""
    try:
        incidents = row_dicts(warehouse.read(_TOLD, [run_id, MOST_PAGES]))
        write_pages(warehouse, catalogue, catalogue.settings, incidents, now=now, environment=environment)
    except Exception as error:
        _log.warning("the pages of incidents were not written: %s: %s", type(error).__name__, error)


def remove_pages(settings: Settings, warehouse: Warehouse) -> int:
    """Remove the pages of incidents that are no longer there; how many. A file that is not called as pages are stays."""
    pages = {path.stem: path for path in page_path(settings, "").parent.glob("*.html") if _ID.fullmatch(path.stem)}
    if not pages:
        return 0
    kept = set(warehouse.read("SELECT incident_id FROM incidents WHERE list_contains($1, incident_id)", [sorted(pages)])["incident_id"])
    for name in pages.keys() - kept:
        pages[name].unlink(missing_ok=True)
    return len(pages.keys() - kept)


def incident_facts(
    warehouse: Readable, catalogue: Catalogue, incident: Row, now: datetime, environment: Mapping[str, str], *, is_drawn: bool = True
) -> IncidentFacts:
    """What a page says of an incident; its picture only where `is_drawn`."""
    source = str(incident["source"])
    background = MessageBackground(warehouse, catalogue, environment)
    beside = {
        **background.facts(source, str(incident["incident_id"])),
        "page": None,
        "act": None,
    }  # a page does not lead to itself, and lies open
    each = known(warehouse, incident, timezone_of(catalogue, source), now, beside)
    timezone = each.message.content.timezone

    began = {} if source == OF_NO_SOURCE else {source: incident["opened_at"]}
    if incident["cause"] == GROUP:  # of which each source changes by itself
        for member in reversed(each.members):
            began[member["source"]] = member["opened_at"]

    def at(moment: datetime) -> str:
        local = pd.Timestamp(moment).tz_convert(timezone)
        return f"{local:%Y-%m-%d %H:%M} {zone(local)}"

    return IncidentFacts(
        incident_id=str(incident["incident_id"]),
        content=each.message.content,
        state=state_of(incident, at),
        shown_at=at(now),
        picture=background.picture(each.message) if is_drawn else None,
        changes=_changes(warehouse, began, each.events[0]["happened_at"], at),
        changes_asked=bool(began),
        timeline=[
            [at(event["happened_at"]), event["event"], event["by_whom"] or "", event["severity"], said]
            for event, said in told_of(each.events, at)
        ],
        deliveries=[
            [at(send["happened_at"]), send["event"], send["channel"], send["status"], str(send["attempt"]), send["error"] or ""]
            for send in each.sends
        ],
        untold=_untold(catalogue, source),
        comments=[
            [at(event["happened_at"]), event["by_whom"] or "", str(event["payload"].get("note") or "")]
            for event in each.events
            if event["event"] == "commented"
        ],
        members=_members(each, at),
        members_called=members_called(each),
        reasons=_reasons(each),
        links=_links(each, environment),
        steps=_steps(each),
        sql=sql_command(each.sql),
        unowned=unowned(incident),
    )


def _changes(
    warehouse: Readable, began: Mapping[str, datetime], found_at: datetime, at: Callable[[datetime], str]
) -> Sequence[tuple[str, str]]:
    """What changed within a day before it began, by source, or was found, the newest first; of several sources each names its own."""
    rows = {
        (moment, f"{source}: {what}" if len(began) > 1 else what)
        for source, began_at in began.items()
        for moment, what in _changes_of(warehouse, source, began_at, found_at)
    }
    newest = sorted(rows, reverse=True)
    more = [("", f"and {len(newest) - MOST_CHANGES:,} more")] if len(newest) > MOST_CHANGES else []
    return [*((at(moment), what) for moment, what in newest[:MOST_CHANGES]), *more]


def _changes_of(warehouse: Readable, source: str, began_at: datetime, found_at: datetime) -> list[tuple[datetime, str]]:
    given = [source, began_at - BEFORE, began_at, found_at - BEFORE, found_at]
    rows = [(row["at"], str(row["what"])) for row in row_dicts(warehouse.read(_CHANGES, given))]
    for row in row_dicts(warehouse.read(_CONFIGURATIONS, given)):
        if row["is_gone"]:
            rows.append((row["held_from"], "the file of the source is gone"))
        elif row["before"] and row["configuration"]:
            differences = said_differences(read_payload(row["before"]), read_payload(row["configuration"]))
            rows += [(row["held_from"], f"setting {each}") for each in differences]
    return rows


def _members(each: Known, at: Callable[[datetime], str]) -> list[list[str]]:
    """Its own series first, where others are told with it, then these, the worst first. A group over sources has none of its own, and each
    row begins with its source."""
    is_group = each.incident["cause"] == GROUP
    if not each.members:
        return []
    order = {"critical": 0, "warning": 1, "info": 2}
    others = sorted(each.members, key=lambda row: (order.get(row["severity"], 3), row["opened_at"], row["source"], row["series"]))
    rows = others if is_group else [each.incident, *others]
    return [
        [
            *([str(row["source"])] if is_group else []),
            str(row["series"] or row["cause"]),
            row["severity"],
            state_of(row, at),
            str(row["title"]),
        ]
        for row in rows
    ]


def _reasons(each: Known) -> list[tuple[str, str]]:
    """Of a group over sources what is known of each member, the likely root first."""
    if each.incident["cause"] != GROUP:
        return []
    known_of = {row["incident_id"]: row for row in each.members}
    told = [known_of[member["incident_id"]] for member in each.message.facts["members"] if member["incident_id"] in known_of]
    return [(f"{row['source']} {row['series'] or row['cause']}", str(row["body"] or row["title"])) for row in told]


def _links(each: Known, environment: Mapping[str, str]) -> list[Link]:
    """The runbook, the incidents of the source in Dagster, and the run that opened it; only addresses that a browser may follow."""
    facts, ui = each.message.facts, ui_address(environment)
    links = [Link(facts["runbook"], facts["runbook"])] if facts["runbook"] and safe_address(facts["runbook"]) else []
    root = facts["sources"][0] if each.incident["cause"] == GROUP and facts["sources"] else "its source"
    links += [Link(f"{root} in Dagster", facts["link"])] if facts["link"] else []
    runs = [str(event["run_id"]) for event in each.events if event["event"] in ("opened", "reopened") and _is_run(str(event["run_id"]))]
    return [*links, *([Link(f"the run that opened it ({runs[-1][:8]})", f"{ui}/runs/{runs[-1]}")] if ui and runs else [])]


def _is_run(run_id: str) -> bool:
    """Whether it is the id of a run of Dagster: what people do bears a word."""
    try:
        return str(uuid.UUID(run_id)) == run_id
    except ValueError:
        return False


def _steps(each: Known) -> list[str]:
    """What to look at, and what may be decided; nothing once it is over."""
    if each.incident["state"] == "resolved":
        return []
    step = str(each.message.facts["next_step"] or "").removeprefix("Run: ")
    short = str(each.incident["incident_id"])[:12]
    decisions = [f'smartflow incidents ack {short} --note "…"', f"smartflow incidents snooze {short} 2h"]
    return [*([step] if step else []), *decisions, f'smartflow incidents resolve {short} --note "…"']


def _untold(catalogue: Catalogue, source: str) -> str:
    policy = catalogue.alert_policy(source)
    if not policy.all_channels:
        return "Nobody: alerts names no channel."
    return f"Nobody: it is told from {policy.min_severity} on, or with another one."
