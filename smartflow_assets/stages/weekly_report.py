"""The report of a week: what the warehouse knows of it, read in a few queries whatever the number of sources.

What is said of it is in `core.reports.weekly_report`. An incident belongs to the week in which it began, in the time of its data; messages,
loads, checks and remedies to the week in which they happened, by the clock.
"""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from smartflow_assets.adapters.warehouse.told_together import MEMBERS
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue, defaults_of
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.incidents.event_log import GROUP, Row, row_dicts
from smartflow_assets.core.incidents.length import end_of, last_there
from smartflow_assets.core.reports.weekly_report import SourceWeek, WeekFacts, WeekIncident
from smartflow_assets.core.temporal.week import Period
from smartflow_assets.stages.message_background import page_path

_INCIDENTS = f"""
WITH events AS (
    SELECT incident_id, min(happened_at) FILTER (event = 'opened') AS found_at,
           arg_min(run_id, happened_at) FILTER (event = 'opened') AS found_by,
           min(happened_at) FILTER (event = 'acknowledged') AS acknowledged_at,
           max(happened_at) FILTER (event = 'resolved') AS closed_at, arg_max(run_id, happened_at) FILTER (event = 'resolved') AS closed_by
    FROM incident_events GROUP BY incident_id),
sent AS (SELECT incident_id, count(*) AS messages FROM alert_sends WHERE status = 'sent' GROUP BY incident_id),
members AS (SELECT * FROM {MEMBERS}),
points AS (SELECT incident_id, sum(point_count) AS point_count
           FROM (SELECT DISTINCT incident_id, unnest(anomaly_ids) AS anomaly_id FROM incident_events) JOIN anomalies USING (anomaly_id)
           WHERE started_at >= $1 - INTERVAL 30 DAY GROUP BY incident_id)
SELECT own.*, coalesce(events.found_at, own.opened_at) AS found_at, events.acknowledged_at AS first_acknowledged_at,
       CASE WHEN own.state = 'resolved' AND closed_by <> found_by THEN events.closed_at END AS closed_at,
       coalesce(messages, 0) AS messages, coalesce(member_count, 0) AS member_count, coalesce(point_count, 0) AS point_count,
       members.sources, members.member_causes, members.members_seen_at
FROM incidents AS own LEFT JOIN events USING (incident_id) LEFT JOIN sent USING (incident_id) LEFT JOIN members USING (incident_id)
LEFT JOIN points USING (incident_id)
WHERE own.group_id IS NULL AND own.opened_at >= $1 AND own.opened_at < $2 ORDER BY own.opened_at, own.incident_id
"""
_OPEN_TIMES = """
SELECT source, opened_at, coalesce(resolved_at, $2) AS ended_at FROM incidents
WHERE opened_at < $2 AND (resolved_at IS NULL OR resolved_at > $1) ORDER BY source, opened_at
"""
# Of its own are the incidents that people hear of by themselves or by one of several sources.
_OF_SOURCES = """
SELECT source, severity, count(*) AS n FROM incidents WHERE opened_at >= $1 AND opened_at < $2
AND (group_id IS NULL OR group_id IN (SELECT incident_id FROM incidents WHERE cause = 'group')) GROUP BY source, severity
"""
_STILL_OPEN = "SELECT count(*) AS n FROM incidents WHERE group_id IS NULL AND state <> 'resolved' AND opened_at < $1"
_SOURCES = """
SELECT source, loads.row_count, newest.newest_at, first.first_at, models.model_trained_at, checks.failed_checks, runs.status, open.severity
FROM (SELECT unnest($3::VARCHAR[]) AS source)
LEFT JOIN (SELECT source, sum(new_count) AS row_count FROM ingestions WHERE ingested_at >= $1 AND ingested_at < $2 GROUP BY source) AS loads
  USING (source)
LEFT JOIN (SELECT source, max(last_at) AS newest_at FROM ingestions WHERE ingested_at < $2 GROUP BY source) AS newest USING (source)
LEFT JOIN (SELECT source, min(first_at) AS first_at FROM ingestions GROUP BY source) AS first USING (source)
LEFT JOIN (SELECT source, max(trained_at) AS model_trained_at FROM trained_models WHERE trained_at < $2 GROUP BY source) AS models
  USING (source)
LEFT JOIN (SELECT source, count(*) AS failed_checks FROM schema_checks WHERE NOT is_passed AND checked_at >= $1 AND checked_at < $2
           GROUP BY source) AS checks USING (source)
LEFT JOIN (SELECT source, arg_max(status, started_at) AS status FROM run_log WHERE as_of < $2 GROUP BY source) AS runs USING (source)
LEFT JOIN (SELECT source, arg_min(severity, list_position(['critical', 'warning', 'info'], severity)) AS severity FROM incidents
           WHERE opened_at < $2 AND (resolved_at IS NULL OR resolved_at >= $2) GROUP BY source) AS open USING (source)
"""
_MESSAGES = """
SELECT channel, status, count(*) AS n FROM marts.alert_log WHERE is_newest AND happened_at >= $1 AND happened_at < $2 GROUP BY ALL
"""
_SENT = "SELECT count(*) AS n FROM alert_sends WHERE status = 'sent' AND happened_at >= $1 AND happened_at < $2"
_READ = "SELECT coalesce(sum(new_count), 0) AS n FROM ingestions WHERE ingested_at >= $1 AND ingested_at < $2"
_REMEDIES = """
SELECT action, status, count(*) AS n FROM remediations WHERE status <> 'dry' AND happened_at >= $1 AND happened_at < $2
GROUP BY ALL ORDER BY n DESC, action, status
"""
_DRIFT = """
SELECT source, string_agg(DISTINCT column_name, ', ' ORDER BY column_name) AS columns, arg_max(message, checked_at) AS message
FROM drift_checks WHERE is_drifted AND checked_at >= $1 AND checked_at < $2 GROUP BY source ORDER BY count(*) DESC, source
"""
_BREACHES = """
SELECT source, check_name || coalesce(' of ' || nullif(column_name, ''), '') AS promise, severity, count(*) AS n,
       arg_max(message, checked_at) AS message
FROM schema_checks WHERE NOT is_passed AND checked_at >= $1 AND checked_at < $2 GROUP BY source, promise, severity
ORDER BY list_position(['critical', 'warning', 'info'], severity), n DESC, source, promise
"""
# The newest word on an incident counts, unless it was taken back.
_VERDICTS = """
SELECT verdict, count(*) AS n FROM (
    SELECT incident_id, arg_max(verdict, given_at) AS verdict FROM feedback AS said
    WHERE verdict IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM feedback AS undone WHERE undone.undoes = said.feedback_id AND undone.incident_id = said.incident_id)
    GROUP BY incident_id)
JOIN incidents USING (incident_id) WHERE group_id IS NULL AND opened_at >= $1 AND opened_at < $2 GROUP BY verdict
"""
_VERDICT_COLUMNS = {"incident_id", "feedback_id", "verdict", "undoes", "given_at"}


def home_timezone(settings: Settings) -> str:
    """The zone in which weeks of the home are cut: that of the calendar in data/defaults.yaml, else UTC."""
    defaults, _ = defaults_of(settings)
    calendar = (defaults.values if defaults else {}).get("calendar")
    zone = calendar.get("timezone") if isinstance(calendar, Mapping) else None
    try:
        return ZoneInfo(str(zone)).key if zone else "UTC"
    except (KeyError, ValueError, OSError):  # validate names it
        return "UTC"


def week_facts(
    warehouse: Warehouse | None, catalogue: Catalogue, period: Period, *, now: datetime, folder: Path | None = None
) -> WeekFacts:
    """Everything that the report of a period says. `folder` is where the report will lie, from which links lead to pages."""
    if warehouse is None:
        return WeekFacts(period, now, [_source(name, {}, 1.0, {}, catalogue, now) for name in catalogue.names], [], [])
    start, end = period.start, min(period.end, now)
    before = period.earlier(4).start
    with warehouse.reading():

        def rows(query: str, *given: Any) -> list[Row]:
            return row_dicts(warehouse.read(query, list(given or (start, end))))

        own: dict[str, dict[str, int]] = {}
        for row in rows(_OF_SOURCES):
            own.setdefault(row["source"], {})[row["severity"]] = int(row["n"])
        calm = _calm_shares(warehouse.read(_OPEN_TIMES, [start, end]), start, end)
        return WeekFacts(
            period=period,
            made_at=now,
            sources=[
                _source(row["source"], row, calm.get(row["source"], 1.0), own.get(row["source"], {}), catalogue, end)
                for row in rows(_SOURCES, start, end, list(catalogue.names))
            ],
            incidents=[_incident(row, catalogue.settings, folder) for row in rows(_INCIDENTS, start, end)],
            earlier=[_incident(row, catalogue.settings, None) for row in rows(_INCIDENTS, before, start)],
            still_open=int(rows(_STILL_OPEN, end)[0]["n"]),
            messages={(row["channel"], row["status"]): int(row["n"]) for row in rows(_MESSAGES)},
            sent_before=int(rows(_SENT, before, start)[0]["n"]),
            rows_before=int(rows(_READ, before, start)[0]["n"]),
            verdicts={row["verdict"]: int(row["n"]) for row in rows(_VERDICTS)} if _has_feedback(warehouse) else None,
            remedies=[[row["action"], row["status"], f"{row['n']:,}"] for row in rows(_REMEDIES)],
            drift=[[row["source"], row["columns"], row["message"] or ""] for row in rows(_DRIFT)],
            breaches=[
                [row["source"], row["promise"], row["severity"] or "", f"{row['n']:,}", row["message"] or ""] for row in rows(_BREACHES)
            ],
        )


def _has_feedback(warehouse: Warehouse) -> bool:
    """Whether the table is there, with what is asked of it: older homes have none."""
    columns = warehouse.read("SELECT column_name FROM information_schema.columns WHERE table_schema = 'main' AND table_name = 'feedback'")
    return set(columns["column_name"]) >= _VERDICT_COLUMNS


def _incident(row: Row, settings: Settings, folder: Path | None) -> WeekIncident:
    page = page_path(settings, row["incident_id"])
    has_page = folder is not None and page.is_file()
    return WeekIncident(
        incident_id=row["incident_id"],
        source=row["source"],
        series=row["series"] or "",
        cause=row["cause"],
        severity=row["severity"],
        state="snoozed" if row["state"] == "suppressed" else row["state"],
        title=row["title"] or row["cause"],
        began_at=row["opened_at"],
        ended_at=None if row["resolved_at"] is None else end_of(row),
        last_seen_at=last_there(row),
        found_at=row["found_at"],
        acknowledged_at=row["first_acknowledged_at"],
        closed_at=row["closed_at"],
        by_whom=row["acknowledged_by"] or row["resolved_by"] or "",
        member_count=int(row["member_count"]),
        point_count=int(row["point_count"]),
        messages=int(row["messages"]),
        page=Path(os.path.relpath(page, folder)).as_posix() if has_page and folder is not None else "",
        sources=tuple(row["sources"]) if row["cause"] == GROUP and row["sources"] is not None else (),
    )


def _source(name: str, row: Row, calm_share: float, severities: Mapping[str, int], catalogue: Catalogue, end: datetime) -> SourceWeek:
    is_broken, first_at = name in catalogue.broken, row.get("first_at")
    is_watched = bool(row.get("status") or row.get("newest_at") or severities or (first_at is not None and first_at < end))
    status, severity = row.get("status"), row.get("severity")
    went = f"last run {status}" if status not in (None, "success") else "calm" if is_watched else "not watched yet"
    state = "its file is broken" if is_broken else severity or went
    return SourceWeek(
        source=name,
        state=state,
        newest_at=row.get("newest_at"),
        row_count=int(row.get("row_count") or 0),
        calm_share=calm_share,
        failed_checks=int(row.get("failed_checks") or 0),
        model_trained_at=row.get("model_trained_at"),
        is_broken=is_broken,
        severities=severities,
        is_watched=is_watched,
    )


def _calm_shares(intervals: pd.DataFrame, start: datetime, end: datetime) -> dict[str, float]:
    """The share of the time in which no incident of a source was open, for sources that had one."""
    whole, shares = end - start, dict[str, float]()
    for source, own in intervals.groupby("source"):
        open_for, reached = timedelta(0), start
        for opened_at, ended_at in zip(own["opened_at"], own["ended_at"], strict=True):
            begins, ends = max(opened_at.to_pydatetime(), reached), min(ended_at.to_pydatetime(), end)
            if ends > begins:
                open_for += ends - begins
                reached = ends
        shares[str(source)] = 1 - open_for / whole if whole > timedelta(0) else 1.0
    return shares
