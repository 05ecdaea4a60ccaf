"""Parquet as a scan: columns keep the types of the file, structs become one column for each field, lists and maps JSON text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from smartflow_assets.adapters.duckdb_errors import damaged_parquet
from smartflow_assets.adapters.scans.base import Layout, Scan
from smartflow_assets.adapters.scans.delimited import one_path
from smartflow_assets.adapters.scans.plain_text import TextFile, as_binary, checked_names
from smartflow_assets.adapters.sql_quoting import quoted_column, quoted_text

_INTEGERS = {"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger"}
_REALS = {"float", "double", "decimal", "ubigint", "hugeint", "uhugeint"}
_KEPT = {"boolean": "BOOLEAN", "date": "DATE", "timestamp with time zone": "TIMESTAMPTZ"}
_NESTED = {"list", "array", "map", "union", "variant"}
_TEXTS = {"varchar", "enum", "json"}


@dataclass(frozen=True)
class Parquet(Layout):
    """Parquet files, plain or gzipped; several are one content when a reader staged it in parts."""

    name = "Parquet"

    def open(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[TextFile],
        declared: Sequence[tuple[str, str]],
        *,
        is_rewritten: bool = False,
    ) -> "Scan":
        """A scan of all files, one after the other."""
        return _ParquetScan(connection, files)


class _ParquetScan(Scan):
    def __init__(self, connection: duckdb.DuckDBPyConnection, files: Sequence[TextFile]) -> None:
        parts, merged = [], {}
        for file in files:
            scan = f"read_parquet({quoted_text(one_path(as_binary(file, b'PAR1', 'Parquet')))})"
            try:
                found = connection.sql(f"FROM {scan}")
            except duckdb.Error as error:
                raise damaged_parquet(error, file.error) from None
            columns = {name: (type_, value) for name, type_, value in _leaves(found.columns, found.types)}
            checked_names(list(columns), file)
            parts.append((scan, columns))
            for name, (type_, _) in columns.items():
                merged[name] = _joined(merged[name], type_) if name in merged else type_
        self.names, self.types = checked_names(list(merged), files[0]), tuple(merged.values())
        selects = []
        for scan, columns in parts:
            values = (
                f"{columns[name][1] if name in columns else 'CAST(NULL AS VARCHAR)'} AS c{index}" for index, name in enumerate(self.names)
            )
            selects.append(f"SELECT {', '.join(values)} FROM {scan}")
        self.relation = f"({' UNION ALL '.join(selects)})"


def _leaves(names: Sequence[str], types: Sequence[Any], before: str = "", within: str = "") -> Iterator[tuple[str, str | None, str]]:
    """(name, type or None, SQL of the text) of every column; the fields of a struct are called struct.field."""
    for name, type_ in zip(names, types, strict=True):
        value = f"struct_extract({within}, {quoted_text(name)})" if within else quoted_column(name)
        kind = type_.id
        if kind == "struct":
            yield from _leaves([child for child, _ in type_.children], [child for _, child in type_.children], f"{before}{name}.", value)
        else:
            yield f"{before}{name}", _type(kind), _text(kind, value)


def _type(kind: str) -> str | None:
    """The type of a raw column; None for a column without any value, which DuckDB calls null."""
    if kind in _INTEGERS:
        return "BIGINT"
    if kind in _REALS:
        return "DOUBLE"
    if kind.startswith("timestamp") and "zone" not in kind:
        return "TIMESTAMP"
    return None if kind in ("null", "sqlnull") else _KEPT.get(kind, "VARCHAR")


def _text(kind: str, value: str) -> str:
    if kind in _NESTED:
        return f"CAST(to_json({value}) AS VARCHAR)"
    if kind in ("float", "double"):  # writers of Parquet mean "no value" by it
        return f"CASE WHEN NOT isnan({value}) THEN CAST({value} AS VARCHAR) END"
    return f"nullif(CAST({value} AS VARCHAR), '')" if kind in _TEXTS else f"CAST({value} AS VARCHAR)"


def _joined(one: str | None, other: str | None) -> str | None:
    """The type of a column that has these in two parts of a content; the texts decide when they are of different kinds."""
    if one == other:
        return one
    return "DOUBLE" if {one, other} == {"BIGINT", "DOUBLE"} else None
