"""Warming up, with what is missing: how many series are not judged yet, how many rows they have, and how many they need.

Asked of the live tables by a run, of the published copy by `smartflow show`. A series that is over is not waited for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smartflow_assets.config.source import Source
from smartflow_assets.core.detection import minimum_rows

UNJUDGED = """
SELECT metric, count(*) AS series_count, max(row_count) AS row_count FROM (
    SELECT metric, series, count(value) AS row_count FROM anomaly_scores WHERE source = ? GROUP BY metric, series
    HAVING count(*) FILTER (state = 'scored') = 0
       AND max(observed_at) >= (SELECT max(observed_at) FROM anomaly_scores WHERE source = ?) - INTERVAL 7 DAY
) GROUP BY metric ORDER BY metric
"""
"""metric, series_count and row_count, those of its longest series, of the series of a source that have no score yet."""


@dataclass(frozen=True)
class Warming:
    """Series that are not judged yet: how many, the rows of the longest of them, and how many rows are learnt from before that."""

    series_count: int
    row_count: int
    needed_count: int

    def __str__(self) -> str:
        if self.row_count < self.needed_count:
            return f"{self.series_count:,} series, {self.row_count:,} of {self.needed_count:,} rows"
        counts = f"{self.series_count:,} series, {self.row_count:,} rows are there and {self.needed_count:,} needed"
        return f"{counts}: judged after the next training"


def warming_up(source: Source, step: timedelta, unjudged: Iterable[Mapping[Any, Any]]) -> str:
    """`54 series, 12 of 200 rows`, for each number of rows that is needed; empty when all is judged. `unjudged`: rows of `UNJUDGED`."""
    waiting: dict[int, list[Mapping[Any, Any]]] = {}
    for metric in unjudged:
        waiting.setdefault(minimum_rows(source.detection(str(metric["metric"])), step), []).append(metric)
    found = (
        Warming(sum(int(each["series_count"]) for each in metrics), max(int(each["row_count"]) for each in metrics), needed)
        for needed, metrics in sorted(waiting.items())
    )
    return "; ".join(map(str, found))
