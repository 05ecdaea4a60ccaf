"""What is new in a copy: anomalies, what happened to incidents, what became of messages.

Each is found by the windows of `writes` since the last look, so rows that were there may come again; their keys tell.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from smartflow_assets.adapters.warehouse.published_copy import Snapshot

MOST_AT_ONCE = 5_000
"""Of what came in one copy, the newest so many of each kind are news."""
_UNTOLD = ("seen", "grouped", "suppressed")
_TOUCHED = """
WITH touched AS (
    SELECT DISTINCT source, table_name, from_at, to_at FROM writes
    WHERE written_at > $1 AND table_name = $2 AND operation NOT IN ('seen', 'left', 'delete', 'prune')
)
"""
_IS_TOUCHED = "EXISTS (FROM touched WHERE coalesce(touched.source, {0}.source) = {0}.source AND {1} >= from_at AND {1} < to_at)"
_ANOMALIES = f"""
{_TOUCHED}
SELECT found.* EXCLUDE (run_id, contributions, slices, extreme) FROM anomalies AS found
WHERE {_IS_TOUCHED.format("found", "found.started_at")}
ORDER BY ended_at DESC, anomaly_id LIMIT {MOST_AT_ONCE}
"""
_INCIDENTS = f"""
{_TOUCHED}
SELECT log.event_id, log.incident_id, log.event, log.source, log.series, log.severity, log.happened_at AS "at", log.by_whom AS "by",
       incidents.title, incidents.cause, incidents.state
FROM incident_events AS log JOIN incidents USING (incident_id)
WHERE log.event NOT IN {_UNTOLD} AND {_IS_TOUCHED.format("log", "log.happened_at")}
ORDER BY log.happened_at DESC, event_id LIMIT {MOST_AT_ONCE}
"""
_DELIVERIES = f"""
{_TOUCHED}
SELECT sends.source, sends.channel, sends.event, sends.status, sends.incident_id, sends.attempt, sends.idempotency_key, sends.error,
       sends.happened_at AS "at", incidents.series, incidents.title, incidents.severity
FROM alert_sends AS sends LEFT JOIN incidents USING (incident_id)
WHERE sends.status IN ('sent', 'failed') AND {_IS_TOUCHED.format("sends", "sends.happened_at")}
ORDER BY sends.happened_at DESC, idempotency_key LIMIT {MOST_AT_ONCE}
"""
_KEYS = """
SELECT 'anomaly:' || anomaly_id AS key FROM anomalies
UNION ALL SELECT 'incident:' || event_id FROM incident_events
UNION ALL SELECT concat_ws(':', 'delivery', idempotency_key, channel, incident_id, event, attempt, status) FROM alert_sends
"""

Made = tuple[str, str, str, dict[str, Any]]


def news(snapshot: Snapshot, since: datetime) -> Iterator[Made]:
    """(key, kind, source, facts) of all that was written since a moment and may be new, the oldest first."""
    for row in reversed(snapshot.rows(_ANOMALIES, [since, "anomalies"])):
        yield f"anomaly:{row['anomaly_id']}", "anomaly", row["source"], row
    for row in reversed(snapshot.rows(_INCIDENTS, [since, "incident_events"])):
        yield f"incident:{row.pop('event_id')}", "incident", row["source"], row
    for row in reversed(snapshot.rows(_DELIVERIES, [since, "alert_sends"])):
        parts = ("idempotency_key", "channel", "incident_id", "event", "attempt", "status")
        key = ":".join(str(row[part]) for part in parts if row[part] is not None)
        del row["idempotency_key"]
        yield f"delivery:{key}", "delivery", row["source"], row


def known_keys(snapshot: Snapshot) -> list[str]:
    """The keys of all that a copy has."""
    return snapshot.columns(_KEYS)["key"]


def newest_write(snapshot: Snapshot) -> datetime | None:
    """When the warehouse of a copy was written last; None for an empty one."""
    return snapshot.rows("SELECT max(written_at) AS at FROM writes")[0]["at"]


def published_at(snapshot: Snapshot) -> datetime | None:
    """When the copy was made."""
    return snapshot.rows("SELECT published_at FROM snapshot_info")[0]["published_at"]


def touched_sources(snapshot: Snapshot, since: datetime) -> list[str]:
    """The sources that were written to since a moment."""
    return snapshot.columns(
        "SELECT DISTINCT source FROM writes WHERE written_at > $1 AND source IS NOT NULL AND operation <> 'seen' ORDER BY source", [since]
    )["source"]
