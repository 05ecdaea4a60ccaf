"""The columns of some raw rows as they were read: which there were, what they held, and the values that did not fit the stored type.

raw.<source> never loses a column, and a text among numbers lies beside them in `<column>__text`; a contract is about the rows as they came.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from smartflow_assets.adapters.aggregation.buckets import feed_types
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.column_types import OVERFLOW
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.contracts.column_changes import ValueKind

_TYPES: Mapping[str, ValueKind] = {"BIGINT": "number", "DOUBLE": "number", "BOOLEAN": "boolean", "VARCHAR": "text"}


@dataclass(frozen=True)
class LoadColumn:
    """One column: the SQL of its values, what most of them are, and how many rows have one."""

    sql: str
    kind: ValueKind
    value_count: int


def load_columns(warehouse: Warehouse, source: str, load_id: str, condition: str) -> dict[str, LoadColumn]:
    """The columns of the raw rows for which `condition` holds, those of a load. One that was not read is left out; where the ledger does
    not say what was read, one without values."""
    stored = feed_types(warehouse, source)
    told = warehouse.read(
        "SELECT DISTINCT column_types FROM ingestions WHERE source = ? AND run_id = ? AND column_types IS NOT NULL", [source, load_id]
    )["column_types"]
    read = {name.lower() for each in told for name in json.loads(each)}
    beside = {name: f"{name}{OVERFLOW}" for name in stored if f"{name}{OVERFLOW}" in stored and f"{name}{OVERFLOW}".lower() not in read}
    names = [name for name in stored if name not in beside.values()]
    counted = ", ".join(f"count({quoted_column(name)})" for name in (*names, *beside.values()))
    counts = warehouse.read(f"SELECT {counted} FROM {quoted(raw_table(source))} WHERE {condition}").iloc[0].astype(int).tolist()
    values, misfits = dict(zip(names, counts, strict=False)), dict(zip(beside, counts[len(names) :], strict=True))
    found = dict[str, LoadColumn]()
    for name in names:
        column, misfit = quoted_column(name), misfits.get(name, 0)
        if not (name.lower() in read if read else values[name] or misfit):
            continue
        sql = f"coalesce({quoted_column(beside[name])}, CAST({column} AS VARCHAR)) AS {column}" if misfit else column
        kind = "text" if misfit > values[name] else _TYPES.get(stored[name], "time")
        found[name] = LoadColumn(sql, kind, values[name] + misfit)
    return found
