"""How a home stands: its sources, totals, days, and the last beat of what drives it."""

from datetime import datetime
from typing import Any

from smartflow_assets.adapters.warehouse.marts import JUDGED
from smartflow_assets.adapters.warehouse.published_copy import Snapshot

_TOTALS = f"""
SELECT (SELECT count(value) FROM clean_series) AS point_count, (SELECT count(*) FROM anomalies) AS anomaly_count,
       coalesce(sum(judged_count), 0)::BIGINT AS judged_count, sum(anomalous_count) / nullif(sum(judged_count), 0) AS anomaly_rate,
       (SELECT max(ended_at) FROM run_log) AS last_run_at, (SELECT published_at FROM snapshot_info) AS published_at
FROM ({JUDGED})
"""
_HEALTH = """
SELECT COLUMNS(lambda name: name NOT IN ('judged_count', 'anomalous_count', 'anomaly_rate')) FROM marts.source_health
"""  # those are not asked of it, so it does not work them out
_JUDGED = f"SELECT *, anomalous_count / nullif(judged_count, 0) AS anomaly_rate FROM ({JUDGED})"  # marts of an older copy have it not
_UNJUDGED = {"judged_count": 0, "anomalous_count": 0, "anomaly_rate": None}
_OPEN = "SELECT severity, count(*) AS n FROM marts.open_incidents GROUP BY severity"
_SERIES = "SELECT source, count(DISTINCT series) AS series_count, count(value) AS record_count FROM clean_series GROUP BY source"
_WORST = """
SELECT source, ['info', 'warning', 'critical'][max(list_position(['info', 'warning', 'critical'], severity))] AS worst_severity
FROM incidents WHERE state IN ('open', 'acknowledged') GROUP BY source
"""
_BUCKETS = """
SELECT source, median(gap) AS bucket_seconds FROM (
    SELECT source, epoch(observed_at) - epoch(lag(observed_at) OVER (PARTITION BY source, series ORDER BY observed_at)) AS gap
    FROM (SELECT source, series, observed_at FROM clean_series
          WHERE observed_at >= (SELECT max(observed_at) - INTERVAL 400 DAY FROM clean_series)
          QUALIFY row_number() OVER (PARTITION BY source, series ORDER BY observed_at DESC) <= 20)
) GROUP BY source
"""
_DAYS = """
SELECT day, source, severity, sum(anomaly_count)::BIGINT AS anomalies FROM marts.anomaly_history
WHERE day > $1 AND day <= $2 AND ($3 IS NULL OR list_contains($3, source)) GROUP BY ALL ORDER BY day, source, severity LIMIT 20000
"""
_SENDS = """
SELECT channel, status, count(*) AS count FROM alert_sends
WHERE status IN ('sent', 'failed', 'skipped') AND happened_at >= $1 AND ($2 IS NULL OR list_contains($2, source))
GROUP BY channel, status ORDER BY channel, status
"""


def totals(snapshot: Snapshot) -> dict[str, Any]:
    """point_count, anomaly_count, judged_count, anomaly_rate, last_run_at and published_at of the home."""
    return snapshot.rows(_TOTALS)[0]


def open_incidents(snapshot: Snapshot) -> dict[str, int]:
    """How many incidents are open that people are told of, by severity."""
    return {str(row["severity"]): int(row["n"]) for row in snapshot.rows(_OPEN)}


def health(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """marts.source_health by source, with series_count, worst_severity and bucket_seconds."""
    found = {str(row["source"]): row | _UNJUDGED for row in snapshot.rows(_HEALTH)}
    for sql in (_JUDGED, _SERIES, _WORST, _BUCKETS):
        for row in snapshot.rows(sql):
            if row["source"] in found:
                found[row["source"]] |= row
    return found


def by_day(snapshot: Snapshot, from_at: datetime, to_at: datetime, sources: list[str] | None) -> list[dict[str, Any]]:
    """Anomalies by day (UTC), source and severity."""
    return snapshot.rows(_DAYS, [from_at.date(), to_at.date(), sources])


def sends(snapshot: Snapshot, from_at: datetime, sources: list[str] | None) -> list[dict[str, Any]]:
    """Messages by channel and status since a time."""
    return snapshot.rows(_SENDS, [from_at, sources])


def newest_day(snapshot: Snapshot, sources: list[str] | None) -> datetime | None:
    """The newest time of any of these sources' data."""
    rows = snapshot.rows("SELECT max(observed_at) AS newest FROM clean_series WHERE $1 IS NULL OR list_contains($1, source)", [sources])
    return rows[0]["newest"]


def stored_sources(snapshot: Snapshot) -> list[str]:
    """Every source of which a run or an incident is stored, whether its file is still there or not."""
    return snapshot.columns("SELECT source FROM run_log UNION SELECT source FROM incidents")["source"]
