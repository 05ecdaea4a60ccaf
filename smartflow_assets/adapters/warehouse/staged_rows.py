"""Staged Parquet files as the rows of a load: with their numbers, hashes and times, and without what was pruned."""

from datetime import datetime

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted_column, quoted_text
from smartflow_assets.adapters.warehouse import row_keys
from smartflow_assets.adapters.warehouse.retention import PRUNED_TO
from smartflow_assets.adapters.warehouse.row_hash import row_hash
from smartflow_assets.adapters.warehouse.row_writes import single
from smartflow_assets.adapters.warehouse.tables import RAW_NAMES, raw_table
from smartflow_assets.adapters.warehouse.writes import Load
from smartflow_assets.core.errors import WarehouseError


def stage(connection: duckdb.DuckDBPyConnection, write: Load) -> dict[str, str]:
    """A view `staged` of the file with `_row`, `_row_hash`, `_time` and, where rows have a key, `_key`; returns its data columns with
    their types."""
    types, rows = staged_rows(connection, write)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW staged AS {rows}").fetchall()
    return types


def staged_rows(connection: duckdb.DuckDBPyConnection, write: Load) -> tuple[dict[str, str], str]:
    """The data columns of the file with their types, and the query of its rows."""
    scan = f"read_parquet({quoted_text(write.parquet)})"
    described = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    types = {name: type_ for name, type_, *_ in described if name != "_row"}
    row, reserved = "_row", RAW_NAMES
    if len(types) == len(described):
        scan = f"read_parquet({quoted_text(write.parquet)}, file_row_number = true)"
        row, reserved = "file_row_number + 1", reserved | {"file_row_number"}
    if taken := reserved & {name.lower() for name in types}:
        raise WarehouseError(f"the column name '{min(taken)}' is reserved", source=write.source, where=write.origin)
    if types.get(write.time_column) != "TIMESTAMP WITH TIME ZONE":
        found = types.get(write.time_column, "not there")
        raise WarehouseError(
            f"the staged time column '{write.time_column}' should be TIMESTAMPTZ, it is {found}",
            source=write.source,
            where=write.origin,
        )
    columns = ", ".join(f"{quoted_column(name)} AS {in_view(name)}" for name in types)
    key = f"{row_keys.of_file(types, write)} AS _key, " if write.key else ""
    rows = (
        f"SELECT {columns}, CAST({row} AS BIGINT) AS _row, {key}{row_hash(types)} AS _row_hash, {quoted_column(write.time_column)} AS _time"
        f" FROM {scan}{_unless_pruned(connection, write)}"
    )
    return types, rows


def in_view(name: str) -> str:
    """What a column of the file is called in `staged`, whose own columns begin with an underscore."""
    return quoted_column(f" {name}" if name.startswith("_") else name)


def pruned_count(connection: duckdb.DuckDBPyConnection, write: Load) -> int:
    """How many rows of the file are of a time that was pruned."""
    pruned_to = _pruned_to(connection, write)
    if pruned_to is None:
        return 0
    time, scan = quoted_column(write.time_column), f"read_parquet({quoted_text(write.parquet)})"
    return single(connection, f"SELECT count(*) FROM {scan} WHERE {time} < ?", [pruned_to])


def _unless_pruned(connection: duckdb.DuckDBPyConnection, write: Load) -> str:
    """The condition that leaves out rows of a time that was pruned, which a file may go on holding for years."""
    pruned_to = _pruned_to(connection, write)
    if pruned_to is None:
        return ""
    time = quoted_column(write.time_column)
    return f" WHERE {time} IS NULL OR {time} >= TIMESTAMPTZ {quoted_text(pruned_to.isoformat())}"


def _pruned_to(connection: duckdb.DuckDBPyConnection, write: Load) -> datetime | None:
    own = [write.source, raw_table(write.source)]
    is_pruned = single(connection, "SELECT EXISTS (FROM writes WHERE source = ? AND table_name = ? AND operation = 'prune')", own)
    return single(connection, PRUNED_TO, own) if is_pruned else None  # .6 ms, where the whole question takes 1.6
