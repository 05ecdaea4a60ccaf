"""Series as a chart shows them: values, bands, scores, in no more points than there are pixels for them.

Where more buckets lie in the window, a point is a stretch of them: its value is the strangest (of quiet ones the middle), `low` and
`high` the least and the largest, the band the outermost, the severity the worst. So a spike of one bucket is seen whatever the zoom.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smartflow_assets.adapters.warehouse.published_copy import Snapshot

RANK = "list_position(['info', 'warning', 'critical'], {})"
_SERIES = """
SELECT series, any_value(metric) AS metric, any_value(dimensions) AS dimensions, count(*) AS point_count
FROM clean_series WHERE source = $1 AND observed_at >= $2 AND observed_at < $3
  AND ($4 IS NULL OR list_contains($4, series)) AND ($5 IS NULL OR metric = $5) AND series > $6
  AND ($7 IS NULL OR contains(lower(series), lower($7)))
GROUP BY series ORDER BY series LIMIT $8
"""
_POINTS = f"""
WITH clean AS (
    SELECT series, observed_at, value FROM clean_series
    WHERE source = $1 AND observed_at >= $2 AND observed_at < $3 AND list_contains($4, series)
), scores AS (
    SELECT series, observed_at, expected, lower, upper, anomaly_score, is_anomaly, severity FROM anomaly_scores
    WHERE source = $1 AND observed_at >= $2 AND observed_at < $3 AND list_contains($4, series)
), broken AS (
    SELECT series, observed_at, max({RANK.format("severity")}) AS rank FROM rule_violations
    WHERE source = $1 AND observed_at >= $2 AND observed_at < $3 AND list_contains($4, series) GROUP BY series, observed_at
), rows AS (
    SELECT clean.series, clean.observed_at, clean.value, expected, lower, upper, anomaly_score AS score,
           greatest(CASE WHEN is_anomaly THEN {RANK.format("severity")} END, broken.rank) AS rank
    FROM clean LEFT JOIN scores USING (series, observed_at) LEFT JOIN broken USING (series, observed_at)
)
"""
_EACH = """
SELECT series, epoch_ms(observed_at) AS point_at, value, expected, lower, upper, score, ['info', 'warning', 'critical'][rank] AS severity
FROM rows ORDER BY series, point_at
"""
_STRETCHES = """
SELECT series, CAST(epoch_ms($2) + floor((epoch_ms(observed_at) - epoch_ms($2)) / $5) * $5 AS BIGINT) AS point_at,
       CASE WHEN max(rank) IS NULL THEN avg(value) ELSE arg_max(value, rank * 10 + coalesce(score, 0)) END AS value,
       min(value) AS low, max(value) AS high, avg(expected) AS expected, min(lower) AS lower, max(upper) AS upper, max(score) AS score,
       ['info', 'warning', 'critical'][max(rank)] AS severity
FROM rows GROUP BY series, point_at ORDER BY series, point_at
"""
_BUCKET = """
SELECT median(gap) AS gap FROM (
    SELECT epoch(observed_at) - epoch(lag(observed_at) OVER (PARTITION BY series ORDER BY observed_at)) AS gap
    FROM (SELECT series, observed_at FROM clean_series WHERE source = $1 ORDER BY observed_at DESC LIMIT 500)
)
"""
_STORED = """
SELECT series FROM clean_series WHERE $1 IS NULL OR list_contains($1, source)
UNION SELECT series FROM anomaly_scores WHERE $1 IS NULL OR list_contains($1, source)
UNION SELECT series FROM anomalies WHERE $1 IS NULL OR list_contains($1, source)
UNION SELECT series FROM incidents WHERE series IS NOT NULL AND ($1 IS NULL OR list_contains($1, source))
"""
_NEWEST = "SELECT max(observed_at) AS at FROM clean_series WHERE source = $1"


@dataclass(frozen=True)
class Window:
    """From when, until when (not included), and how long a point of the answer is."""

    from_at: datetime
    to_at: datetime
    resolution: timedelta


def newest_at(snapshot: Snapshot, source: str) -> datetime | None:
    """Start of the newest bucket of a source; None where it has none."""
    return snapshot.rows(_NEWEST, [source])[0]["at"]


def stored_series(snapshot: Snapshot, sources: list[str] | None) -> list[str]:
    """Every series of these sources, or of all, of which a value, a score, an anomaly or an incident is stored."""
    return snapshot.columns(_STORED, [sources])["series"]


def bucket_of(snapshot: Snapshot, source: str) -> timedelta:
    """How long a bucket is, by its newest rows; an hour where one row alone is there."""
    return timedelta(seconds=snapshot.rows(_BUCKET, [source])[0]["gap"] or 3600)


def window(from_at: datetime, to_at: datetime, bucket: timedelta, points: int) -> Window:
    """The window with the shortest resolution, in whole buckets, that gives at most so many points.

    >>> from datetime import UTC
    >>> day = datetime(2026, 3, 1, tzinfo=UTC)
    >>> window(day, day + timedelta(days=7), timedelta(minutes=5), 400).resolution
    datetime.timedelta(seconds=1800)
    """
    buckets = max(1, math.ceil((to_at - from_at) / bucket))
    return Window(from_at, to_at, bucket * max(1, math.ceil(buckets / points)))


def names(
    snapshot: Snapshot,
    source: str,
    span: Window,
    *,
    series: list[str] | None,
    metric: str | None,
    text: str | None,
    after: str,
    limit: int,
) -> list[dict[str, Any]]:
    """series, metric, dimensions and point_count of what has points in the window, by name, after the name `after`."""
    return snapshot.rows(_SERIES, [source, span.from_at, span.to_at, series, metric, after, text or None, limit])


def points(snapshot: Snapshot, source: str, span: Window, bucket: timedelta, series: list[str]) -> dict[str, dict[str, list[Any]]]:
    """For each series its columns: at (milliseconds), value, low, high, expected, lower, upper, score, severity."""
    given: list[Any] = [source, span.from_at, span.to_at, series]
    if span.resolution > bucket:
        columns = snapshot.columns(_POINTS + _STRETCHES, [*given, span.resolution / timedelta(milliseconds=1)])
    else:
        columns = snapshot.columns(_POINTS + _EACH, given)
    found: dict[str, dict[str, list[Any]]] = {}
    of, columns["at"] = columns.pop("series"), columns.pop("point_at")
    start = 0
    for end in range(1, len(of) + 1):
        if end == len(of) or of[end] != of[start]:
            found[of[start]] = {name: values[start:end] for name, values in columns.items()}
            start = end
    return found


def incidents_in(snapshot: Snapshot, source: str, span: Window) -> list[dict[str, Any]]:
    """The incidents of a source that overlap the window, the newest 200, as a chart shades them."""
    return snapshot.rows(
        'SELECT incident_id, series, cause, severity, state, title, opened_at AS "from", coalesce(resolved_at, last_seen_at) AS "to" '
        "FROM incidents WHERE source = $1 AND opened_at < $3 AND (coalesce(resolved_at, last_seen_at) >= $2 OR state <> 'resolved') "
        "ORDER BY opened_at DESC LIMIT 200",
        [source, span.from_at, span.to_at],
    )
