"""Lists that people page through: anomalies, incidents, messages, checks.

A page ends with a cursor, the sort key of its last row, so a row that is added meanwhile neither repeats nor hides another.
"""

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.adapters.warehouse.told_together import MEMBERS

DAYS = timedelta(days=90)
"""Lists go so far back from the newest that there is, unless they are asked from a time on."""
_WORST_FIRST = "list_position(['critical', 'warning', 'info'], severity)"

Items = tuple[list[dict[str, Any]], str | None]


def encoded(key: Sequence[Any]) -> str:
    """A cursor.

    >>> decoded(encoded(["2026-03-01", 3]))
    ['2026-03-01', 3]
    """
    written = json.dumps([each.isoformat() if isinstance(each, datetime) else each for each in key])
    return base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")


def decoded(cursor: str) -> list[Any]:
    """The sort key in a cursor. ValueError for what is none."""
    key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    if not isinstance(key, list):
        raise ValueError("no cursor of ours")
    return key


def _paged(rows: list[dict[str, Any]], limit: int, key: Sequence[str]) -> Items:
    shown = rows[:limit]
    more = encoded([shown[-1][name] for name in key]) if len(rows) > limit else None
    return shown, more


def anomalies(
    snapshot: Snapshot,
    *,
    sources: list[str] | None,
    series: str | None,
    severity: list[str] | None,
    from_at: datetime | None,
    to_at: datetime | None,
    limit: int,
    after: Sequence[Any] | None,
) -> Items:
    """Anomalies, the newest first, each with the incident that it belongs to."""
    rows = snapshot.rows(
        f"""
        WITH newest AS (SELECT coalesce($4, max(started_at) - INTERVAL {DAYS.days} DAY) AS from_at FROM anomalies
                        WHERE $1 IS NULL OR list_contains($1, source)),
             found AS (SELECT * EXCLUDE (run_id) FROM anomalies
                       WHERE ($1 IS NULL OR list_contains($1, source)) AND ($2 IS NULL OR series = $2)
                         AND ($3 IS NULL OR list_contains($3, severity)) AND ended_at > (SELECT from_at FROM newest)
                         AND ($5 IS NULL OR started_at < $5)
                         AND ($6 IS NULL OR (started_at, anomaly_id) < (CAST($6 AS TIMESTAMPTZ), CAST($7 AS VARCHAR)))
                       ORDER BY started_at DESC, anomaly_id DESC LIMIT $8),
             owners AS (SELECT anomaly_id, max(incident_id) AS incident_id
                        FROM (SELECT unnest(anomaly_ids) AS anomaly_id, incident_id FROM incident_events
                              WHERE list_has_any(anomaly_ids, (SELECT list(anomaly_id) FROM found)))
                        GROUP BY anomaly_id)
        SELECT found.*, owners.incident_id, standing.incident_state
        FROM found LEFT JOIN owners USING (anomaly_id) LEFT JOIN
             (SELECT incident_id, CASE WHEN snoozed_until IS NULL OR state = 'resolved' THEN state ELSE 'snoozed' END AS incident_state
              FROM incidents) AS standing USING (incident_id)
        ORDER BY started_at DESC, anomaly_id DESC
        """,
        [sources, series, severity, from_at, to_at, *(after or (None, None)), limit + 1],
    )
    return _paged(rows, limit, ("started_at", "anomaly_id"))


def incidents(
    snapshot: Snapshot,
    *,
    state: str,
    sources: list[str] | None,
    severity: list[str] | None,
    text: str | None,
    limit: int,
    after: Sequence[Any] | None,
) -> Items:
    """Incidents that people are told of, the worst and then the newest first; each with how many are told with it."""
    is_in_state = {
        "going_on": "state <> 'resolved'",
        "open": "state = 'open' AND snoozed_until IS NULL",
        "acknowledged": "state = 'acknowledged'",
        "snoozed": "snoozed_until IS NOT NULL",
        "resolved": "state = 'resolved'",
        "all": "TRUE",
    }[state]
    rows = snapshot.rows(
        f"""
        SELECT found.*, {_WORST_FIRST} AS rank, coalesce(members.member_count, 0) AS member_count FROM incidents AS found
        LEFT JOIN (SELECT incident_id, member_count FROM {MEMBERS}) AS members USING (incident_id)
        WHERE ({is_in_state}) AND found.group_id IS NULL AND ($1 IS NULL OR list_contains($1, source))
          AND ($2 IS NULL OR list_contains($2, severity))
          AND ($3 IS NULL OR contains(lower(concat_ws(' ', title, series, source, cause, incident_id)), lower($3)))
          AND ($4 IS NULL OR {_WORST_FIRST} > CAST($4 AS BIGINT) OR ({_WORST_FIRST} = CAST($4 AS BIGINT)
               AND (opened_at, found.incident_id) < (CAST($5 AS TIMESTAMPTZ), CAST($6 AS VARCHAR))))
        ORDER BY rank, opened_at DESC, found.incident_id DESC LIMIT $7
        """,
        [sources, severity, text, *(after or (None, None, None)), limit + 1],
    )
    page, more = _paged(rows, limit, ("rank", "opened_at", "incident_id"))
    for row in page:
        del row["rank"]
    return page, more


def deliveries(
    snapshot: Snapshot, *, sources: list[str] | None, channel: str | None, status: str | None, limit: int, after: Sequence[Any] | None
) -> Items:
    """What became of messages, the newest attempt of each, the newest first."""
    rows = snapshot.rows(
        f"""
        WITH newest AS (SELECT max(happened_at) - INTERVAL {DAYS.days} DAY AS from_at FROM alert_sends),
             log AS (SELECT *, concat_ws(':', idempotency_key, incident_id, event, channel, attempt, status) AS send_id
                     FROM alert_sends WHERE happened_at >= (SELECT from_at FROM newest))
        SELECT log.* EXCLUDE (run_id), incidents.series, incidents.title, incidents.severity FROM log
        LEFT JOIN (SELECT incident_id, series, title, severity FROM incidents) AS incidents USING (incident_id)
        WHERE ($1 IS NULL OR list_contains($1, log.source)) AND ($2 IS NULL OR channel = $2) AND ($3 IS NULL OR status = $3)
          AND ($4 IS NULL OR (happened_at, send_id) < (CAST($4 AS TIMESTAMPTZ), CAST($5 AS VARCHAR)))
        QUALIFY row_number() OVER (PARTITION BY log.source, idempotency_key, log.incident_id, event, channel
            ORDER BY attempt DESC, happened_at DESC,
                     list_position(['skipped', 'failed', 'sent', 'claimed', 'planned'], status)) = 1
        ORDER BY happened_at DESC, send_id DESC LIMIT $6
        """,
        [sources, channel, status, *(after or (None, None)), limit + 1],
    )
    return _paged(rows, limit, ("happened_at", "send_id"))


def checks(snapshot: Snapshot, sources: list[str] | None) -> list[dict[str, Any]]:
    """The newest answer of each expectation, what is not met first; at most 1,000."""
    return snapshot.rows(
        """
        SELECT * EXCLUDE (run_id) FROM schema_checks WHERE $1 IS NULL OR list_contains($1, source)
        QUALIFY row_number() OVER (PARTITION BY source, check_name, column_name ORDER BY checked_at DESC) = 1
        ORDER BY coalesce(is_passed, FALSE), source, check_name, column_name LIMIT 1000
        """,
        [sources],
    )


def drift(snapshot: Snapshot, sources: list[str] | None) -> list[dict[str, Any]]:
    """The newest comparison of each column, the furthest first; at most 1,000."""
    return snapshot.rows("SELECT * FROM marts.drift WHERE $1 IS NULL OR list_contains($1, source) LIMIT 1000", [sources])
