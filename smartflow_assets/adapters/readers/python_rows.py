"""DataFrames and dicts as files that staging reads: frames as Parquet, so that columns keep their types, dicts as JSON lines."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from smartflow_assets.adapters.duckdb_errors import in_one_line
from smartflow_assets.adapters.scans import JsonRecords, Layout, Parquet
from smartflow_assets.adapters.sql_quoting import quoted_text

PART = 100_000  # rows that are stored in one go
Part = pd.DataFrame | list[Mapping[str, Any]]


def parts(items: Iterable[pd.DataFrame | Mapping[str, Any]]) -> Iterator[Part]:
    """Frames and rows in their order, in parts of about PART rows: small frames of the same columns are joined."""
    rows: list[Mapping[str, Any]] = []
    frames: list[pd.DataFrame] = []
    for item in items:
        is_frame = isinstance(item, pd.DataFrame)
        if rows and (is_frame or len(rows) >= PART):
            yield rows
            rows = []
        if frames and (not is_frame or sum(map(len, frames)) + len(item) > PART or not _is_like(item, frames[0])):
            yield pd.concat(frames)
            frames = []
        if not is_frame:
            rows.append(item)
            continue
        for first in range(0, len(item), PART):
            frames.append(item.iloc[first : first + PART])
            if len(item) > PART:
                yield frames.pop()
    if rows:
        yield rows
    if frames:
        yield pd.concat(frames)


def _is_like(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return one.columns.equals(other.columns) and list(one.dtypes) == list(other.dtypes) and one.index.names == other.index.names


def write_part(part: Part, stem: Path, time_columns: Sequence[str]) -> tuple[Path, Layout]:
    """Write it beside the stem; the path, and how it is laid out. The index of a frame is taken when it has the name of a time
    column. TypeError or ValueError for what cannot be written."""
    if not isinstance(part, pd.DataFrame):
        path = stem.with_suffix(".jsonl")
        with path.open("w", encoding="utf-8") as lines:
            for row in part:
                lines.write(json.dumps(dict(row), default=_json_default) + "\n")
        return path, JsonRecords()
    path = stem.with_suffix(".parquet")
    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        frame = _with_plain_columns(part, time_columns)
        try:
            connection.register("part", frame)
            connection.execute(f"COPY (SELECT * FROM part) TO {quoted_text(path)} (FORMAT parquet)").fetchall()
        except duckdb.Error as error:
            raise ValueError(in_one_line(error, 200)) from None
    return path, Parquet()


def _with_plain_columns(frame: pd.DataFrame, time_columns: Sequence[str]) -> pd.DataFrame:
    """The frame with columns whose names are texts and whose values have one type."""
    is_index = any(name not in frame.columns and name in frame.index.names for name in time_columns)
    frame = frame.reset_index(drop=not is_index)
    frame.columns = [".".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in frame.columns]
    if twice := next(iter(frame.columns[frame.columns.duplicated()]), None):
        raise ValueError(f"the column '{twice}' occurs twice")
    for name, dtype in frame.dtypes.items():
        if dtype == "object":
            frame[name] = _of_one_type(frame[name])
        elif isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype):
            frame[name] = frame[name].astype("str")
    return frame


def _of_one_type(column: pd.Series) -> pd.Series:
    """The column with the one type that all its values have, else as texts, whose type staging leaves as it is."""
    column = column.infer_objects()
    if column.dtype != "object":
        return column
    given = column.dropna()
    if len(given) and all(isinstance(value, Decimal | int | float) and not isinstance(value, bool) for value in given):
        return column.astype("float64")
    if len(given) and all(isinstance(value, datetime) and value.tzinfo is not None for value in given):
        return pd.to_datetime(column, utc=True)
    return column.map(_text, na_action="ignore").astype("str")


def _text(value: Any) -> str:
    if isinstance(value, dict | list | tuple | set):
        return json.dumps(value, default=_json_default)
    known = _json_default(value)
    return known if isinstance(known, str) else str(known).lower() if isinstance(known, bool) else str(known)


def _json_default(value: Any) -> Any:
    """A value that JSON does not know as one that it does: the `default` of `json.dumps`, which writes NaN by itself."""
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if hasattr(value, "tolist"):  # numpy's values and arrays
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)
