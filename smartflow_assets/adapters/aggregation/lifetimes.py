"""Which series of a source are over in which buckets, asked of the raw rows.

Rows of one combination of dimensions are what a series lives by, whatever its metric makes of them: a column that is empty for weeks is a
gap in a series, not its end. What over means is in `core.series.lifetimes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from smartflow_assets.adapters.aggregation import buckets
from smartflow_assets.adapters.aggregation.buckets import BucketPlan, Reads
from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.adapters.warehouse.blocked_loads import accepted_rows
from smartflow_assets.core.series.lifetimes import NEVER, Silence, Waiting, broken_off, most_at_once, no_absences, retired_from
from smartflow_assets.core.series.series_id import series_id


@dataclass(frozen=True)
class Lifetimes:
    """absences: as in `no_absences`, one row for each time that a series was over for a while. series_count: how many there are at
    most at once. has_pauses: whether a series may be over for a while. breaks: [since, until) of those of the whole source, in which
    there is no bucket."""

    absences: pd.DataFrame
    series_count: int
    has_pauses: bool
    breaks: Sequence[tuple[pd.Timestamp, pd.Timestamp]] = ()


def lifetimes(
    warehouse: Reads, source: str, plan: BucketPlan, waiting: Waiting, silence: Silence, since: datetime, until: datetime
) -> Lifetimes:
    """What the rows before `until` say of the buckets in [since, until); both should be starts of buckets."""
    groups = plan.by_dimensions(buckets.metrics_of(warehouse, source, plan))
    start, end = (int(number) for number in plan.grid.number([pd.Timestamp(since), pd.Timestamp(until)]))
    filled, breaks = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
    may_break = end - start > silence.longest
    if any(groups) or may_break:
        filled = buckets.filled(warehouse, source, plan, since, until)
        filled = filled[filled < end]
    if may_break:
        breaks = silence.breaks(np.append(buckets.newest_before(warehouse, source, plan, since), filled))
    found, count, has_pauses = [no_absences()], 0, len(breaks) > 0
    for dimensions, group in groups.items():
        if not dimensions:
            count += len(group)
            found += [
                pd.DataFrame({"series": series_id(metric.name, {}), "since": breaks[:, 0], "until": breaks[:, 1]})
                for metric in group
                if len(breaks)
            ]
            continue
        keys = [f"d{k}" for k in range(len(dimensions))]
        rows = _pauses(warehouse, source, plan, dimensions, waiting.least, since, until, (start, end))
        pauses, firsts = rows[rows["is_pause"]], rows.drop_duplicates(keys)
        first, last, following = (pauses[name].to_numpy(np.int64) for name in ("first", "last", "following"))
        earlier = firsts["before"].dropna().to_numpy(np.int64)  # the newest stands for all: where they lie does not matter
        ends = retired_from(first, last, following, np.append(earlier.max(keepdims=True) if len(earlier) else earlier, filled), waiting)
        ends = broken_off(last, following, ends, breaks)
        over = pauses[ends < NEVER].assign(since=ends[ends < NEVER])
        began = np.concatenate([firsts["first"].to_numpy(np.int64), over.loc[over["following"] < NEVER, "following"].to_numpy(np.int64)])
        ended = np.concatenate([over["since"].to_numpy(np.int64), np.full(len(began) - len(over), NEVER)])
        count += most_at_once(np.maximum(began, start), np.maximum(ended, start)) * len(group)
        has_pauses = has_pauses or len(pauses) > 0
        named = [dict(zip(dimensions, values, strict=True)) for values in over[keys].itertuples(index=False, name=None)]
        found += [
            pd.DataFrame({"series": [series_id(metric.name, each) for each in named], "since": over["since"], "until": over["following"]})
            for metric in group
            if named
        ]
    spans = list(zip(*(plan.grid.start(edge) for edge in breaks.T), strict=True))
    return Lifetimes(pd.concat(found, ignore_index=True), max(1, count), has_pauses, spans)


def _pauses(
    warehouse: Reads,
    source: str,
    plan: BucketPlan,
    dimensions: tuple[str, ...],
    longest: int,
    since: datetime,
    until: datetime,
    numbers: tuple[int, int],
) -> pd.DataFrame:
    """The combinations of dimensions (d0, d1, …) of the rows before `until`, each with its first bucket and the newest one before `since`,
    and with its pauses of more than `longest` buckets that reach beyond that: last, following. One row for each pause (is_pause), or one
    for none. `numbers`: those of the buckets that start at `since` and `until`."""
    time, keys = quoted_column(plan.time_column), ", ".join(f"d{k}" for k in range(len(dimensions)))
    columns = ", ".join(f"{buckets.dimension_text(name)} AS d{k}" for k, name in enumerate(dimensions))
    rows = f"SELECT {columns}, {buckets.bucket_number(plan)} AS bucket FROM {accepted_rows(source)} WHERE {time} < ?"
    first, end = (moment.tz_convert("UTC").to_pydatetime() for moment in (pd.Timestamp(since), pd.Timestamp(until)))
    return warehouse.read(
        f"""
        WITH firsts AS MATERIALIZED (
                 SELECT {keys}, min(bucket) AS first, max(bucket) FILTER (WHERE bucket < {numbers[0]}) AS before
                 FROM ({rows}) GROUP BY {keys}),
             points AS (SELECT DISTINCT {keys}, bucket FROM ({rows} AND {time} >= ?)
                        UNION ALL SELECT {keys}, before FROM firsts WHERE before IS NOT NULL),
             steps AS (SELECT {keys}, bucket AS last, lead(bucket) OVER (PARTITION BY {keys} ORDER BY bucket) AS following FROM points),
             pauses AS (SELECT {keys}, last, coalesce(following, {NEVER}) AS following, true AS is_pause FROM steps
                        WHERE coalesce(following, {numbers[1]}) - last > {longest})
        SELECT {keys}, first, before, coalesce(last, 0) AS last, coalesce(following, 0) AS following, coalesce(is_pause, false) AS is_pause
        FROM firsts LEFT JOIN pauses USING ({keys}) ORDER BY {keys}, last
        """,
        [end, end, first],
    )
