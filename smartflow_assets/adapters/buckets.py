"""Raw rows to time buckets, in SQL inside the warehouse: ten million rows come out as a few thousand buckets.

Holds which aggregates there are and how rows become series. Gaps, fills and repairs are core.cleaning; reading files into
`raw.<source>` is adapters.ingest.
"""
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from smartflow_assets.core.calendar import Calendar

Aggregate = Literal["mean", "sum", "count", "min", "max", "median", "last", "first", "p95", "distinct_count"]


@dataclass(frozen=True)
class MetricColumn:
    """One metric: the column it is made from and how the rows of a bucket become one value. `column` None counts rows."""

    name: str
    column: str | None
    aggregate: Aggregate = "mean"


@dataclass(frozen=True)
class BucketPlan:
    """All that the SQL needs to know of a source. No `metrics`: every numeric column of the raw table, mean."""

    time_column: str
    every: timedelta
    metrics: tuple[MetricColumn, ...] = ()
    dimensions: tuple[str, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
