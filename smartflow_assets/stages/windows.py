"""Which time windows a stage has to work on: what its upstream wrote since it last wrote, and what a person asked for by name.

A stage works on them in `batches`, so that its memory is bounded however long they are. The commit of a batch names what stays
pending after it; a run that is killed between two batches is finished by the next.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from pandas.api.types import union_categoricals

from smartflow_assets.adapters.warehouse.writes import LeavePending
from smartflow_assets.stages.run import SourceRun

Window = tuple[datetime, datetime]
BATCH_ROWS = 250_000
"""Rows (buckets x series) that a stage holds at once: 100 to 300 MB in frames."""
MOST_PARTS = 32
"""Parts of the series, each of which reads the windows anew."""
LEAST_BUCKETS = 100
"""Buckets of a batch, however many series there are: a call for each series and batch costs as much as some hundred rows."""


def pending_windows(run: SourceRun, table: str, upstream: Sequence[str]) -> list[Window]:
    """Windows [from, to) of `upstream` that `table` has not seen yet, and with --since that window, merged and in order."""
    asked = [] if run.since is None else [(run.since, run.until or run.now)]
    return merged([*run.warehouse.pending(run.name, table, upstream), *asked])


@dataclass(frozen=True)
class SeriesPart:
    """Some of the series of a source, or all of them (`is_whole`)."""

    names: tuple[str, ...]
    is_whole: bool = True
    is_last: bool = True

    @property
    def narrowed(self) -> tuple[str, ...] | None:
        """Their names where there are others."""
        return None if self.is_whole else self.names


def series_parts(
    run: SourceRun, windows: Sequence[Window], table: str, *, is_whole: bool = False, only: Collection[str] | None = None
) -> Iterator[SeriesPart]:
    """The series of the source, those that only `table` has among them, in parts whose rows in the windows are `BATCH_ROWS` each, at
    most `MOST_PARTS`. For a stage whose cost is the state of a series: a part goes through all windows before the next begins. `only`
    these are one part, however many there are."""
    if not windows:
        return
    names = run.warehouse.read(
        f"SELECT series FROM clean_series WHERE source = ? UNION SELECT series FROM {table} WHERE source = ? ORDER BY series",
        [run.name, run.name],
    )["series"].tolist()
    if only is not None:
        wanted = tuple(name for name in names if name in only)
        yield SeriesPart(wanted, is_whole=len(wanted) == len(names))
        return
    buckets = sum(((end - start) for start, end in windows), timedelta(0)) // run.source.time_bucket.every
    size = max(BATCH_ROWS // max(1, buckets), -(-len(names) // MOST_PARTS), 1)
    if is_whole or size >= len(names):
        yield SeriesPart(tuple(names))
        return
    for first in range(0, len(names), size):
        yield SeriesPart(tuple(names[first : first + size]), is_whole=False, is_last=first + size >= len(names))


def batches(
    run: SourceRun, windows: Sequence[Window], series: int | None = None, step: timedelta | None = None
) -> Iterator[tuple[list[Window], list[Window]]]:
    """The windows (merged, in order) in batches of `BATCH_ROWS` rows, or `LEAST_BUCKETS` buckets if that is more; each with the
    windows that stay pending after it. `series`: how many are looked at; all of the source by default. `step`: of a bucket that is not the
    source's own."""
    if not windows:
        return
    if series is None:
        series = int(run.warehouse.read("SELECT count(DISTINCT series) AS n FROM clean_series WHERE source = ?", [run.name])["n"].iloc[0])
    longest = max(LEAST_BUCKETS, BATCH_ROWS // max(1, series)) * (step or run.source.time_bucket.every)
    rest = list(windows)
    while rest:
        end, room = rest[0][0], longest
        for start, until in rest:
            end = start + room if room < until - start else until  # buckets of months: the sum may lie beyond the year 9999
            room -= end - start
            if not room:
                break
        batch, rest = split(rest, end)
        yield batch, rest


def split(windows: Iterable[Window], at: datetime) -> tuple[list[Window], list[Window]]:
    """The windows before and after a moment; one that it lies in is cut.

    >>> split([(1, 4), (6, 9)], 3)
    ([(1, 3)], [(3, 4), (6, 9)])
    """
    windows = list(windows)
    return merged((start, min(end, at)) for start, end in windows), merged((max(start, at), end) for start, end in windows)


def leave_pending(run: SourceRun, table: str, windows: Iterable[Window]) -> list[LeavePending]:
    """For the commit of a batch: the windows that stay pending."""
    return [LeavePending(table, run.name, *window) for window in windows]


def without(breaks: Sequence[Window], since: datetime, until: datetime) -> list[Window]:
    """What is left of [since, until) outside of breaks, which are in order.

    >>> day = [datetime(2026, 3, number) for number in range(1, 10)]
    >>> [(start.day, end.day) for start, end in without([(day[2], day[4]), (day[6], day[8])], day[0], day[7])], without([], day[1], day[1])
    ([(1, 3), (5, 7)], [])
    """
    edges = [since, *(min(max(edge, since), until) for each in breaks for edge in each), until]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]


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


def rows_in(frame: pd.DataFrame, window: Window, column: str = "observed_at") -> pd.DataFrame:
    """The rows of `frame` whose time lies in the window."""
    is_in = (frame[column] >= window[0]) & (frame[column] < window[1])
    return frame if is_in.all() else frame[is_in]


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames, numbered anew. What is categorical stays so, also where each frame has series of its own: pandas would make
    texts of it, and maps travel as categories.

    >>> ab, bc = (pd.DataFrame({"series": pd.Categorical(list(names))}) for names in ("ab", "bc"))
    >>> joined([ab, bc])["series"].cat.categories.tolist(), joined([ab, bc])["series"].tolist()
    (['a', 'b', 'c'], ['a', 'b', 'b', 'c'])
    """
    first, *more = [frame for frame in frames if len(frame)] or frames[:1]
    if not more:
        return first.reset_index(drop=True)
    rows = pd.concat([first, *more], ignore_index=True)
    for name, type_ in first.dtypes.items():
        if isinstance(type_, pd.CategoricalDtype) and any(frame[name].dtype != type_ for frame in more):
            rows[name] = union_categoricals([first[name], *(frame[name] for frame in more)])
    return rows


def series_rows(
    run: SourceRun, table: str, columns: str, since: datetime, until: datetime, where: str = "", bound: Sequence[Any] = ()
) -> pd.DataFrame:
    """Rows of a series table in [since, until) as series, `columns`, metric, dimensions. All rows of a series share one dict: a
    dict of its own for each of 250,000 rows takes a second to read and two to write."""
    chosen, values = f"FROM {table} WHERE source = ? AND observed_at >= ? AND observed_at < ? {where}", [run.name, since, until, *bound]
    with run.warehouse.reading():
        rows = run.warehouse.read(f"SELECT series, {columns} {chosen}", values)
        names = run.warehouse.read(
            f"SELECT series, any_value(metric) AS metric, any_value(dimensions) AS dimensions {chosen} GROUP BY series", values
        )
    return rows.merge(names, on="series", how="left")


def table_rows(run: SourceRun, table: str) -> int:
    """Rows of the source in a table, for the row count that Dagster shows."""
    return int(run.warehouse.read(f"SELECT count(*) AS n FROM {table} WHERE source = ?", [run.name])["n"].iloc[0])
