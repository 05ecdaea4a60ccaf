"""Which time windows a stage has to work on: what its upstream wrote since it last wrote, or what a person asked for by name."""
from collections.abc import Iterable, Sequence
from datetime import datetime

import pandas as pd

from smartflow_assets.stages.run import SourceRun

Window = tuple[datetime, datetime]


def pending_windows(run: SourceRun, table: str, upstream: Sequence[str]) -> list[Window]:
    """Windows [from, to) of `upstream` that `table` has not seen yet, merged and in order; with --since, that window alone."""
    if run.since is not None:
        return [(run.since, run.until or run.now)]
    windows = run.warehouse.pending(run.name, table, upstream)
    return merged((start, min(end, run.until) if run.until else end) for start, end in windows)


def merged(windows: Iterable[Window]) -> list[Window]:
    """Overlapping and touching windows as one; empty ones left out.

    >>> merged([(3, 5), (1, 2), (2, 3), (9, 9)])
    [(1, 5)]
    """
    result: list[Window] = []
    for start, end in sorted(window for window in windows if window[0] < window[1]):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def within(frame: pd.DataFrame, window: Window, column: str = "observed_at") -> pd.DataFrame:
    """The rows of `frame` whose time lies in the window."""
    return frame[(frame[column] >= window[0]) & (frame[column] < window[1])]


def table_rows(run: SourceRun, table: str) -> int:
    """Rows of the source in a table, for the row count that Dagster shows."""
    return int(run.warehouse.read(f"SELECT count(*) AS n FROM {table} WHERE source = ?", [run.name])["n"].iloc[0])
