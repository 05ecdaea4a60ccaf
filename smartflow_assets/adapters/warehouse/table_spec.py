"""What a table is: its columns with types and descriptions, its key and how it may be written.

One declaration yields the DDL, the comments that an analyst sees in DuckDB, Dagster's column schema, the data dictionary
and the check of every frame before it is written. The tables themselves are in `tables.py`; `warehouse.py` opens the
file.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.core.errors import WarehouseError
from smartflow_assets.core.json_value import json_value

WriteMode = Literal["window", "origin", "append", "fold"]
KeptAs = Literal["raw", "scores", "incidents", "ledgers", "looks"]
SOURCE_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True)
class Column:
    """One column; `type` is DuckDB's, `description` is one sentence for people, `words` are all values of a vocabulary."""

    name: str
    type: str
    description: str
    is_nullable: bool = True
    words: tuple[str, ...] = ()

    @classmethod
    def of_words(
        cls,
        name: str,
        vocabulary: Any,
        notes: Mapping[str, str] = MappingProxyType({}),
        *,
        before: str = "",
        after: str = "",
        is_nullable: bool = True,
    ) -> "Column":
        """A text column that holds the words of a `Literal`, which its description lists with a note beside some of them.

        >>> Column.of_words("state", Literal["open", "answered"], {"open": "nobody has"}).description
        'open (nobody has) or answered.'
        """
        words = get_args(vocabulary)
        listed = [f"{word} ({notes[word]})" if word in notes else word for word in words]
        text = " or ".join(filter(None, (", ".join(listed[:-1]), listed[-1])))
        return cls(name, "VARCHAR", f"{before}{text}{after}.", is_nullable, words)

    @property
    def is_nested(self) -> bool:
        """Whether a value is a map or a list."""
        return self.type.startswith("MAP") or self.type.endswith("[]")

    @property
    def from_frame(self) -> str:
        """The SQL that turns the registered column into this type; maps and lists travel as JSON text."""
        name = quoted_column(self.name)
        if self.is_nested:
            name = f"CAST({name} AS JSON)"
        return f"CAST({name} AS {self.type})"


@dataclass(frozen=True)
class Kept:
    """How long rows stay: as long as the key `key` of `retention:` says, dated by the column `by`. Of each `newest_of` the newest row
    stays, however old; what else has to stay is in `retention.py`."""

    key: KeptAs
    by: str
    newest_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSpec:
    """One table of the warehouse.

    `key` is unique (checked when written, there is no primary key: it costs 3.5 times on batches and DuckLake has none);
    windows are ranges of `time_column`; `is_open` tables take further DOUBLE columns as they come. What is written to a table that is
    not `is_audited` does not stand in `writes`: nothing follows from it, and it would be most of what stands there. Rows of a table
    without `kept` stay.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    mode: WriteMode
    time_column: str
    is_open: bool = False
    is_audited: bool = True
    kept: Kept | None = None

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def has_source(self) -> bool:
        return self.columns[0].name == "source"

    def ddl(self) -> str:
        columns = ",\n  ".join(f"{quoted_column(column.name)} {column.type}" for column in self.columns)
        return f"CREATE TABLE IF NOT EXISTS {quoted(self.name)} (\n  {columns}\n)"

    def comments(self) -> Iterator[str]:
        """Statements that write the descriptions into the file, where `duckdb_columns()` and BI tools show them."""
        yield f"COMMENT ON TABLE {quoted(self.name)} IS {quoted_text(self.description)}"
        for column in self.columns:
            name = f"{quoted(self.name)}.{quoted_column(column.name)}"
            yield f"COMMENT ON COLUMN {name} IS {quoted_text(column.description)}"

    def empty(self) -> pd.DataFrame:
        """A frame with this table's columns and dtypes and no row."""
        return pd.DataFrame({column.name: pd.Series(dtype=_DTYPES.get(column.type, "object")) for column in self.columns})

    def check(self, frame: pd.DataFrame, source: str | None = None) -> pd.DataFrame:
        """The rows as DuckDB takes them: columns in order, typed, NaN, NaT and None alike, maps and lists as JSON text.

        A missing nullable column is null, a missing `source` is filled in. Raises `WarehouseError` naming the column for
        an unknown or missing column, a type that does not fit, a null where none may be, a row of another source, and a
        key that occurs twice. Categorical columns stay categorical: many rows cost as much as their categories.
        """
        if frame.empty:
            return self.empty()
        if source is not None and self.has_source and "source" not in frame:
            frame = frame.assign(source=pd.Categorical.from_codes(np.zeros(len(frame), np.int8), categories=pd.Index([source])))
        rows = {column.name: self._values(frame, column) for column in self.columns}
        for name in frame.columns.difference(self.column_names, sort=False):
            if not self.is_open:
                raise self._error(f"has no column '{name}'", "Add it to adapters/warehouse/tables.py, or leave it out of the frame.")
            rows[name] = self._values(frame, Column(str(name), "DOUBLE", ""))
        checked = pd.DataFrame(rows, index=frame.index).reset_index(drop=True)
        if source is not None and self.has_source:
            strangers = checked.loc[checked["source"] != source, "source"].unique()
            if len(strangers):
                raise self._error(f"was to get rows of {source}, but the frame holds rows of {', '.join(map(str, strangers))}")
        self.check_unique(checked)
        return checked

    def check_unique(self, rows: pd.DataFrame) -> None:
        """Raises `WarehouseError` when two rows share a key, and shows the first such key."""
        if not self.key or _is_ascending(rows[list(self.key)]):
            return
        is_repeated = rows.duplicated(list(self.key))
        if is_repeated.any():
            first = rows.loc[is_repeated, list(self.key)].iloc[0]
            raise self._error(f"has {int(is_repeated.sum())} rows whose key is not unique, such as {_shown(first)}")

    def _values(self, frame: pd.DataFrame, column: Column) -> pd.Series:
        if column.name not in frame:
            if column.is_nullable:
                return pd.Series(None, index=frame.index, dtype="object")
            raise self._error(f"needs the column '{column.name}'")
        values = frame[column.name]
        kind = "MAP" if column.type.startswith("MAP") else "LIST" if column.type.endswith("[]") else column.type
        try:
            converted = _CONVERTERS[kind](values)
        except (TypeError, ValueError, OverflowError) as error:
            found = f"column '{column.name}' should be {column.type}, found {values.dtype}: {error}"
            raise self._error(found) from error
        if not column.is_nullable and converted.isna().any():
            raise self._error(f"column '{column.name}' must not be null, {int(converted.isna().sum())} rows are")
        return converted

    def _error(self, what: str, remedy: str = "") -> WarehouseError:
        return WarehouseError(f"table {self.name} {what}", remedy=remedy)


def _shown(row: pd.Series) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items())


def _is_ascending(keys: pd.DataFrame) -> bool:
    """Whether each row's key comes after that of the row before, in categories and times, which are compared as whole numbers; so none
    occurs twice. False where it is not known at once."""
    later = np.zeros(len(keys) - 1, np.bool_)
    for name in reversed(keys.columns):
        column = keys[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            numbers = column.cat.codes.to_numpy().astype(np.int64)
        elif isinstance(column.dtype, pd.DatetimeTZDtype):
            numbers = column.to_numpy("datetime64[us]").view(np.int64)
        else:
            return False
        distances = np.diff(numbers)
        later = (distances > 0) | ((distances == 0) & later)
    return bool(later.all())


def _texts(values: pd.Series) -> pd.Series:
    if isinstance(values.dtype, pd.CategoricalDtype):
        if strangers := [value for value in values.cat.categories if not isinstance(value, str)]:
            raise TypeError(f"{strangers[0]} is not text")
        return values
    present = values.dropna()
    if strangers := [value for value in present.unique() if not isinstance(value, str)]:
        raise TypeError(f"{strangers[0]} is not text")
    return values.astype(object).where(values.notna(), None)


def _numbers(values: pd.Series) -> pd.Series:
    if values.dtype == np.float64:
        return values
    if values.dtype == object and not any(isinstance(value, str | bool) for value in values):
        values = pd.to_numeric(values)
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        raise TypeError("text and truth values are not numbers")
    return values.astype("Float64").astype("float64")


def _integers(values: pd.Series) -> pd.Series:
    return _numbers(values).astype("Int64") if values.dtype.kind not in "iu" else values.astype("Int64")


def _truths(values: pd.Series) -> pd.Series:
    return values if values.dtype == np.bool_ else values.astype("boolean")


def _times(values: pd.Series) -> pd.Series:
    if values.isna().all():
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]")
    if values.dtype == object:
        present = values.dropna()
        if any(getattr(value, "tzinfo", None) is None for value in present):
            raise TypeError("times need a time zone")
        values = pd.to_datetime(values, utc=True)
    if not isinstance(values.dtype, pd.DatetimeTZDtype):
        raise TypeError("times need a time zone")
    return values.dt.tz_convert("UTC").dt.as_unit("us")


def _as_json(is_wanted: Callable[[Any], bool], wanted: str) -> Callable[[pd.Series], pd.Series]:
    def convert(values: pd.Series) -> pd.Series:
        if isinstance(values.dtype, pd.CategoricalDtype):
            for value in values.cat.categories:  # JSON text, as no dict can be a category
                _json_text(json.loads(value), is_wanted, wanted)
            return values
        texts: dict[int, str | None] = {}  # rows of one series share one dict: 50,000 rows cost 10 texts

        def text(value: Any) -> str | None:
            key = id(value)
            if key not in texts:
                texts[key] = _json_text(value, is_wanted, wanted)
            return texts[key]

        kept = list(values)  # ids stay unique while the values live
        return pd.Series([text(value) for value in kept], index=values.index, dtype="object")

    return convert


def _json_text(value: Any, is_wanted: Callable[[Any], bool], wanted: str) -> str | None:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if not is_wanted(value):
        raise TypeError(f"{value!r} is not {wanted}")
    if isinstance(value, str):
        json.loads(value)
        return value
    return json.dumps(json_value(value, write_time=str, write_other=str), allow_nan=False, ensure_ascii=False)


_CONVERTERS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "VARCHAR": _texts,
    "DOUBLE": _numbers,
    "BIGINT": _integers,
    "BOOLEAN": _truths,
    "TIMESTAMPTZ": _times,
    "JSON": _as_json(lambda value: isinstance(value, str | dict | list | tuple), "JSON"),
    "MAP": _as_json(lambda value: isinstance(value, dict), "a dict"),
    "LIST": _as_json(lambda value: isinstance(value, list | tuple | set | frozenset | np.ndarray), "a list"),
}
_DTYPES = {"DOUBLE": "float64", "BIGINT": "int64", "BOOLEAN": "bool", "TIMESTAMPTZ": "datetime64[us, UTC]"}
