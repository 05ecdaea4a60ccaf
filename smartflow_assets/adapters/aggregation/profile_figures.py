"""What the rows of each bucket are like, in SQL: how many there are, what their columns hold, how late they came.

Reads the raw table itself, rows of blocked loads too. Each figure is a function of the rows of its bucket, to the last bit, whichever way
they lie in the table: sums are taken in the order of the values, and the spread is the distance of the quartiles. The delay alone says when
rows came.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd

from smartflow_assets.adapters.aggregation.buckets import NUMERIC, BucketPlan, Reads, bucket_number, feed_types
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.column_types import OVERFLOW
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.core.profiles.figures import Figure, Kind
from smartflow_assets.core.series.series_id import series_id

LONGEST_CATEGORY = 60
"""A column with longer texts in a bucket has no categories there."""
MOSTLY_DIFFERENT = 0.9
"""Nor has one where, of more than two values, such a share are different: ids, or free text."""
_COLUMNS = ("series", "metric", "dimensions", "category", "observed_at", "value")
_OF_NUMBERS: Mapping[Kind, str] = {
    "mean": "sum({x} ORDER BY {x}) / nullif(count({x}), 0)",
    "spread": "quantile_cont({x}, 0.75) - quantile_cont({x}, 0.25)",
    "min": "min({x})",
    "max": "max({x})",
}


@dataclass(frozen=True)
class ProfiledColumn:
    """A column of the raw table: the SQL of its values, null where there is none, and what they are."""

    name: str
    sql: str
    kind: Literal["number", "text", "other"]


def profiled_columns(warehouse: Reads, source: str, hidden: Collection[str]) -> list[ProfiledColumn]:
    """The columns of the raw rows of a source but those that are `hidden`, in the order of the table. A text among numbers counts as a
    value, a number that is none (NaN) does not."""
    types = feed_types(warehouse, source)
    beside = {f"{name}{OVERFLOW}" for name in types} & types.keys()
    left_out = {name.lower() for name in hidden}
    found: list[ProfiledColumn] = []
    for name, type_ in types.items():
        if name in beside or name.lower() in left_out or name.removesuffix(OVERFLOW).lower() in left_out:
            continue
        column, is_number = quoted_column(name), type_.partition("(")[0] in NUMERIC
        sql = f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END" if type_ in ("DOUBLE", "FLOAT") else column
        if f"{name}{OVERFLOW}" in beside:
            sql = f"coalesce({quoted_column(name + OVERFLOW)}, CAST({sql} AS VARCHAR))"
        found.append(ProfiledColumn(name, sql, "number" if is_number else "text" if type_ in ("VARCHAR", "BOOLEAN") else "other"))
    return found


def extent(warehouse: Reads, source: str, time_column: str) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """The times of the oldest and the newest raw row; None without any."""
    time = quoted_column(time_column)
    found = warehouse.read(f"SELECT min({time}) AS oldest, max({time}) AS newest FROM {quoted(raw_table(source))}").iloc[0]
    return None if pd.isna(found["oldest"]) else (found["oldest"], found["newest"])


def profile(
    warehouse: Reads,
    source: str,
    plan: BucketPlan,
    columns: Sequence[ProfiledColumn],
    since: datetime,
    until: datetime,
    *,
    categories: int,
    known_from: Mapping[str, pd.Timestamp],
) -> pd.DataFrame:
    """The figures of the buckets of [since, until), starts of buckets: series, metric, dimensions (JSON text), category (empty where it is
    of none), observed_at and value.

    A bucket without rows has a row_count of 0 and nothing else. A column has figures from `known_from` on, or from its first value in
    [since, until) on where that is earlier or nothing is known. Shares of categories are there where a text column has at most
    `categories` different values in the bucket, and some of them more than once.
    """
    time, raw = quoted_column(plan.time_column), quoted(raw_table(source))
    rows = f"""
        SELECT {bucket_number(plan)} AS bucket, {time} AS happened_at, _ingested_at
               {"".join(_inputs(k, column) for k, column in enumerate(columns))}
        FROM {raw} WHERE {time} >= ? AND {time} < ?"""
    values = "".join(f", {_figures(k, column)}" for k, column in enumerate(columns))
    window = [pd.Timestamp(at).tz_convert("UTC").to_pydatetime() for at in (since, until)]
    found = warehouse.read(
        f"SELECT bucket, count(*) AS row_count, median(epoch(_ingested_at) - epoch(happened_at)) AS delay{values} "
        f"FROM ({rows}) GROUP BY bucket ORDER BY bucket",
        window,
    )
    numbers = plan.grid.numbers(since, until)
    frames = [_series(Figure("row_count"), numbers, found.set_index("bucket")["row_count"].reindex(numbers, fill_value=0).to_numpy(float))]
    frames.append(_series(Figure("delay"), found["bucket"].to_numpy(np.int64), found["delay"].to_numpy(float)))
    few: dict[int, list[int]] = {}
    for k, column in enumerate(columns):
        filled = found["bucket"][found[f"present{k}"] > 0]
        starts = [int(plan.grid.number([known_from[column.name]])[0])] if column.name in known_from else []
        starts += [int(filled.iloc[0])] if len(filled) else []
        if not starts:
            continue
        own = found[found["bucket"] >= min(starts)]
        frames += _of_column(k, column, own)
        if column.kind == "text":
            different = own[f"different{k}"]
            is_few = different.between(1, categories) & ((different <= 2) | (different <= MOSTLY_DIFFERENT * own[f"present{k}"]))
            few[k] = [int(each) for each in own["bucket"][is_few]]
    frames += _shares(warehouse, rows, window, columns, {k: buckets for k, buckets in few.items() if buckets})
    made = pd.concat([each for each in frames if len(each)], ignore_index=True)
    made = made[made["value"].notna()]
    made["observed_at"] = plan.grid.start(made.pop("bucket").to_numpy(np.int64))
    return made[list(_COLUMNS)].sort_values(["series", "observed_at"], ignore_index=True)


def _inputs(k: int, column: ProfiledColumn) -> str:
    if column.kind != "number":
        return f", {column.sql} AS a{k}"
    number = f"TRY_CAST({quoted_column(column.name)} AS DOUBLE)"
    return f", {column.sql} AS a{k}, CASE WHEN isfinite({number}) THEN {number} END AS x{k}"


def _figures(k: int, column: ProfiledColumn) -> str:
    counted = f"count(a{k}) AS present{k}, count(DISTINCT a{k}) AS different{k}"
    if column.kind != "number":
        return counted
    return counted + "".join(f", CAST({sql.format(x=f'x{k}')} AS DOUBLE) AS {kind}{k}" for kind, sql in _OF_NUMBERS.items())


def _of_column(k: int, column: ProfiledColumn, found: pd.DataFrame) -> Iterator[pd.DataFrame]:
    buckets, rows = found["bucket"].to_numpy(np.int64), found["row_count"].to_numpy(float)
    yield _series(Figure("null_share", column.name), buckets, (rows - found[f"present{k}"].to_numpy(float)) / rows)
    yield _series(Figure("distinct_count", column.name), buckets, found[f"different{k}"].to_numpy(float))
    if column.kind == "number":
        for kind in _OF_NUMBERS:
            yield _series(Figure(kind, column.name), buckets, found[f"{kind}{k}"].to_numpy(dtype=float, na_value=np.nan))


def _shares(
    warehouse: Reads, rows: str, window: Sequence[datetime], columns: Sequence[ProfiledColumn], few: Mapping[int, list[int]]
) -> Iterator[pd.DataFrame]:
    """The shares of the categories of columns in the buckets in which they have few, in one more statement."""
    if not few:
        return
    counted = ", ".join(f"histogram(CAST(a{k} AS VARCHAR)) FILTER (list_contains(?, bucket)) AS counts{k}" for k in few)
    found = warehouse.read(f"SELECT bucket, {counted} FROM ({rows}) GROUP BY bucket ORDER BY bucket", [*few.values(), *window])
    for k in few:
        shares: dict[str, list[tuple[int, float]]] = {}
        for bucket, counts in zip(found["bucket"], found[f"counts{k}"], strict=True):
            if not isinstance(counts, dict) or not counts or max(map(len, counts)) > LONGEST_CATEGORY:
                continue
            total = sum(counts.values())
            for category, count in counts.items():
                shares.setdefault(category, []).append((int(bucket), count / total))
        for category, own in shares.items():
            yield _series(
                Figure("category_share", columns[k].name), *(np.array(each) for each in zip(*own, strict=True)), category=category
            )


def _series(figure: Figure, buckets: np.ndarray, values: np.ndarray, category: str | None = None) -> pd.DataFrame:
    dimensions = {} if category is None else {figure.column: category}
    return pd.DataFrame(
        {
            "bucket": buckets,
            "series": series_id(str(figure), dimensions),
            "metric": str(figure),
            "dimensions": json.dumps(dimensions, ensure_ascii=False),
            "category": category or "",
            "value": values,
        }
    )
