"""Between which values the metrics of a source lie: what a slider of a limit reaches over. Of its last four weeks."""

from typing import Any, NamedTuple

from smartflow_assets.adapters.warehouse.published_copy import Snapshot

_RANGES = """
SELECT metric, min(value) AS least, quantile_cont(value, 0.01) AS low, quantile_cont(value, 0.999) AS high, max(value) AS largest
FROM clean_series WHERE source = $1 AND isfinite(value) AND observed_at >= (
    SELECT max(observed_at) FROM clean_series WHERE source = $1) - INTERVAL 28 DAY
GROUP BY metric ORDER BY metric LIMIT 1000
"""


class ValueRange(NamedTuple):
    """The least and the largest value of a metric, and its 1st and 99.9th percentile."""

    least: float
    low: float
    high: float
    largest: float


def value_ranges(snapshot: Snapshot, source: str) -> dict[str, ValueRange]:
    """By metric; those without a value are left out."""
    found: list[dict[str, Any]] = snapshot.rows(_RANGES, [source])
    return {str(row["metric"]): ValueRange(*(float(row[name]) for name in ValueRange._fields)) for row in found}
