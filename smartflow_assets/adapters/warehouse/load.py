"""Load: one origin of raw.<source> from a staged Parquet file, by SQL alone, so that ten million rows need no frame.

The rows are compared with what the origin holds by number and hash; only those that differ are written, and `writes` names
only the times whose content changed, however rows moved within the file. Columns are added, widen (`column_types.py`), or overflow
into `<column>__text`, so that no batch fails on its types.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.adapters.warehouse.column_types import (
    TextsBefore,
    overflow_column,
    stored_types,
    tell_in_table,
    texts_before,
    widen_to_numbers,
)
from smartflow_assets.adapters.warehouse.retained_rows import set_aside, set_aside_unreadable
from smartflow_assets.adapters.warehouse.row_writes import AN_INSTANT, Change, has_table, single
from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS, raw_table
from smartflow_assets.adapters.warehouse.writes import Load, Loaded, Reconcile
from smartflow_assets.core.errors import WarehouseError

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_REALS = {"FLOAT", "DOUBLE", "UBIGINT", "HUGEINT", "UHUGEINT"}
_KEPT = {"BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}


class _ColumnMapping(NamedTuple):
    """Target columns in the raw table and the expressions over `staged` that fill them."""

    names: list[str]
    values: list[str]


@dataclass(frozen=True)
class _Difference:
    """What a Load has to change; the row numbers are in the temporary tables `fresh` and `gone` unless all rows are new."""

    is_all_new: bool
    new_count: int
    gone_count: int
    duplicate_count: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass
class Evolved:
    """What became of the columns of raw tables: rows whose value is another now, and what a person should hear."""

    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def evolve(connection: duckdb.DuckDBPyConnection, write: Load, earlier: Sequence[Load] = ()) -> Evolved:
    """Makes the raw table fit for the file. `commit` does so for all its Loads before the first row changes: DuckDB 1.5 does not
    alter a table from which the transaction has deleted rows. `earlier` are the Loads of the same commit that come before."""
    table, evolved = raw_table(write.source), Evolved()
    types = stage(connection, write)
    _create_or_widen(connection, table, types, write, [load.parquet for load in earlier if load.source == write.source], evolved)
    _fit(connection, table, types)
    return evolved


def load(connection: duckdb.DuckDBPyConnection, write: Load, run_id: str) -> tuple[Loaded, list[Change]]:
    """Applies the Load inside the open transaction. Raises `WarehouseError` for a file that is not as `Load` says, and for an
    empty file where the origin has rows, unless that is allowed."""
    table = raw_table(write.source)
    mapping = _fit(connection, table, stage(connection, write))
    last_row = _last_row(connection, table, write) if write.mode == "insert" else 0
    row_count, first_at, last_at = _staged_extent(connection, write)
    held = single(connection, f"SELECT count(*) FROM {quoted(table)} WHERE _origin = ?", [write.origin])
    keeps_older = write.mode == "replace" and write.on_missing_rows == "keep_older" and bool(held)
    if not row_count and held and write.mode == "replace" and not write.is_empty_allowed and not keeps_older:
        raise WarehouseError(
            f"the file is empty now, but {held} of its rows are stored",
            source=write.source,
            where=write.origin,
            remedy="They are kept. If it is meant to be empty, rebuild the source with `smartflow plan`.",
        )
    has_older = keeps_older and set_aside(connection, table, write, write.held_from or first_at)
    difference = _compare(connection, table, write, held, first_at, last_at, row_count)
    _write(connection, table, write, mapping, difference, run_id, last_row)
    rejected_count, changes = _quarantine(connection, write, run_id, last_row, has_older)
    if difference.first_at is not None and difference.last_at is not None:
        changed = difference.new_count + difference.gone_count
        window = (difference.first_at, difference.last_at + AN_INSTANT)
        changes.insert(0, Change(write.source, table, "load", *window, changed, write.fingerprint))
    loaded = Loaded(
        write.source,
        write.origin,
        row_count,
        difference.new_count,
        difference.gone_count,
        difference.duplicate_count,
        rejected_count,
        first_at,
        last_at,
    )
    if changes or write.mode == "replace" or not _is_known(connection, write):
        changes.append(ledger(connection, write, loaded, run_id))
    for name in ("keys", "fresh", "gone", "arrived"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
    connection.execute("DROP VIEW temp.staged")
    return loaded, changes


def _last_row(connection: duckdb.DuckDBPyConnection, table: str, write: Load) -> int:
    """The highest row number that the origin has given so far, to good rows and to bad ones."""
    bound = [write.origin, write.source, write.origin]
    return single(
        connection,
        f"""SELECT greatest((SELECT coalesce(max(_row), 0) FROM {quoted(table)} WHERE _origin = ?),
        (SELECT coalesce(max(row_number), 0) FROM quarantined_records WHERE source = ? AND origin = ?))""",
        bound,
    )


def _is_known(connection: duckdb.DuckDBPyConnection, write: Load) -> bool:
    bound = [write.source, write.origin, write.content_hash]
    return bool(single(connection, "SELECT count(*) FROM ingestions WHERE source = ? AND origin = ? AND content_hash = ?", bound))


def stage(connection: duckdb.DuckDBPyConnection, write: Load) -> dict[str, str]:
    """A view `staged` of the file with `_row`, `_row_hash` and `_time`; returns its data columns with their types."""
    scan = f"read_parquet({quoted_text(write.parquet)})"
    described = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    types = {name: type_ for name, type_, *_ in described if name != "_row"}
    row, reserved = "_row", {column.name for column in RAW_COLUMNS}
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
    columns = ", ".join(f"{quoted_column(name)} AS {_in_view(name)}" for name in types)
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW staged AS SELECT {columns}, CAST({row} AS BIGINT) AS _row,"
        f" {_hash(types)} AS _row_hash, {quoted_column(write.time_column)} AS _time FROM {scan}{_unless_pruned(connection, write)}"
    )
    return types


def _in_view(name: str) -> str:
    """What a column of the file is called in `staged`, whose own columns begin with an underscore."""
    return quoted_column(f" {name}" if name.startswith("_") else name)


def _unless_pruned(connection: duckdb.DuckDBPyConnection, write: Load) -> str:
    """The condition that leaves out rows of a time that was pruned, which a file may go on holding for years."""
    pruned = single(
        connection,
        """
        WITH own AS (SELECT * FROM writes WHERE source = ? AND table_name = ?)
        SELECT max(to_at) FROM own WHERE operation = 'prune' AND written_at > coalesce(
            (SELECT max(written_at) FROM own WHERE operation = 'delete'), TIMESTAMPTZ '1970-01-01')""",
        [write.source, raw_table(write.source)],
    )
    if pruned is None:
        return ""
    time = quoted_column(write.time_column)
    return f" WHERE {time} IS NULL OR {time} >= TIMESTAMPTZ {quoted_text(pruned.isoformat())}"


def _staged_extent(connection: duckdb.DuckDBPyConnection, write: Load) -> tuple[int, datetime | None, datetime | None]:
    row_count, first_at, last_at, timeless = connection.execute(
        "SELECT count(*), min(_time), max(_time), count(*) FILTER (WHERE _time IS NULL) FROM staged"
    ).fetchall()[0]
    if timeless:
        raise WarehouseError(
            f"{timeless} staged rows have no time in '{write.time_column}'",
            source=write.source,
            where=write.origin,
            remedy="A reader quarantines such rows.",
        )
    return row_count, first_at, last_at


def _hash(types: dict[str, str]) -> str:
    """The same for a row whatever the order of its columns, with and without columns that are null, and for 5 and 5.0."""
    texts = []
    for name in sorted(types, key=str.lower):
        column = quoted_column(name)
        text = f"CAST({column} AS VARCHAR)"
        if _family(types[name]) == "DOUBLE":
            whole = f"CAST(CAST({column} AS BIGINT) AS VARCHAR)"
            text = f"CASE WHEN abs({column}) < 9e15 AND {column} = trunc({column}) THEN {whole} ELSE {text} END"
        elif types[name].startswith("TIMESTAMP"):
            text = f"CAST(epoch_us({column}) AS VARCHAR)"  # 20 times faster than writing the date
        texts.append(f"{quoted_text(name.lower() + '=')} || {text}")
    return f"md5_number_lower(concat_ws(chr(31), {', '.join(texts)}))"


def _family(type_: str) -> str:
    """The type that a raw column is given for a type in a file."""
    if type_ in _INTEGERS:
        return "BIGINT"
    if type_ in _REALS or type_.startswith("DECIMAL"):
        return "DOUBLE"
    return type_ if type_ in _KEPT else "VARCHAR"


def _create_or_widen(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    types: dict[str, str],
    write: Load,
    earlier: Sequence[Path],
    evolved: Evolved,
) -> None:
    wanted = {name.lower(): type_ for name, type_ in write.types.items()}
    first_types = {name: wanted.get(name.lower(), _family(type_)) for name, type_ in types.items()}
    if not has_table(connection, table):
        own = ", ".join(f"{quoted_column(column.name)} {column.type}" for column in RAW_COLUMNS)
        columns = ", ".join(f"{quoted_column(name)} {type_}" for name, type_ in first_types.items())
        connection.execute(f"CREATE TABLE {quoted(table)} ({columns}, {own})")
        return
    stored = stored_types(connection, table)
    for name, type_ in first_types.items():
        if name.lower() not in stored:
            connection.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted_column(name)} {type_}")
        elif stored[name.lower()] == "BIGINT" and _family(types[name]) == "DOUBLE":
            connection.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted_column(name)} TYPE DOUBLE")
        elif stored[name.lower()] == "VARCHAR" and _family(types[name]) in ("BIGINT", "DOUBLE"):
            before = texts_before(connection, table, name, write.time_column, earlier)
            _widen_text(connection, table, types, name, before, write, evolved)


def _widen_text(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    types: dict[str, str],
    name: str,
    before: TextsBefore,
    write: Load,
    evolved: Evolved,
) -> None:
    """Numbers have come into a column of texts: it becomes one of numbers where nothing speaks against it, else that is told once."""
    if before.first_text is None:
        overflow = overflow_column(name, stored_types(connection, table), types)
        widen_to_numbers(connection, table, name, overflow)
        if before.first_at is not None and before.last_at is not None:
            evolved.changes.append(Change(write.source, table, "load", before.first_at, before.last_at + AN_INSTANT, before.row_count))
            evolved.notes.append(
                f"column '{name}' holds numbers from now on: all that it held were numbers and marks of no value; "
                f"{before.mark_count} of these are kept in '{overflow}'"
            )
    elif before.is_new:
        evolved.notes.append(before.told(name))
        tell_in_table(connection, table, name, before)


def _fit(connection: duckdb.DuckDBPyConnection, table: str, types: dict[str, str]) -> _ColumnMapping:
    """Each staged column into its stored type; what does not fit into `<column>__text`, created when first needed."""
    stored = stored_types(connection, table)
    mapping, misfits = _ColumnMapping([], []), {}
    for name, type_ in types.items():
        column, target = _in_view(name), stored[name.lower()]
        family, value = _family(type_), column
        if target == "VARCHAR" or (family, target) == ("BIGINT", "DOUBLE") or family == target:
            value = f"CAST({column} AS {target})"
        else:
            value = f"TRY_CAST({column} AS {target})" if family == "VARCHAR" else f"CAST(NULL AS {target})"
            misfits[name] = f"{column} IS NOT NULL AND {value} IS NULL"
        mapping.names.append(quoted_column(name))
        mapping.values.append(value)
    if misfits:
        counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in misfits.values())
        found = connection.execute(f"SELECT {counts} FROM staged").fetchall()[0]
        for (name, condition), count in zip(misfits.items(), found, strict=True):
            if count:
                text = overflow_column(name, stored, types)
                if text.lower() not in stored:
                    connection.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted_column(text)} VARCHAR")
                    stored[text.lower()] = "VARCHAR"
                mapping.names.append(quoted_column(text))
                mapping.values.append(f"CASE WHEN {condition} THEN CAST({_in_view(name)} AS VARCHAR) END")
    return mapping


def _compare(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    write: Load,
    held: int,
    first_at: datetime | None,
    last_at: datetime | None,
    row_count: int,
) -> _Difference:
    raw, time = quoted(table), quoted_column(write.time_column)
    is_other, is_mine = ("_origin <> ?", "_origin = ?") if write.mode == "replace" else ("? IS NOT NULL", "_origin = ? AND FALSE")
    if write.read_anew:
        is_other += f" AND _origin NOT IN ({', '.join(map(quoted_text, write.read_anew))})"
    beside = f"SELECT _row_hash, {time} AS _time FROM {raw} WHERE {is_other} AND {time} BETWEEN ? AND ?"
    bound = [write.origin, first_at, last_at]
    if (not held or write.mode == "insert") and not single(connection, f"SELECT count(*) FROM ({beside})", bound):
        return _Difference(True, row_count, 0, 0, first_at, last_at)
    connection.execute("CREATE TEMP TABLE keys AS SELECT _row, _row_hash, _time FROM staged").fetchall()
    mine = f"SELECT _row, _row_hash, {time} AS _time FROM {raw} WHERE {is_mine}"
    connection.execute(
        f"CREATE TEMP TABLE fresh AS SELECT * FROM temp.keys ANTI JOIN ({mine}) AS mine USING (_row, _row_hash)",
        [write.origin],
    ).fetchall()
    is_covered, covered = "TRUE", []
    if write.on_missing_rows == "keep_older":
        is_covered, covered = "_time >= ?", [write.held_from or first_at]  # for no time, with an empty file, none is
    connection.execute(
        f"CREATE TEMP TABLE gone AS SELECT * FROM (SELECT * FROM ({mine}) WHERE {is_covered}) AS mine"
        " ANTI JOIN temp.keys USING (_row, _row_hash)",
        [write.origin, *covered],
    ).fetchall()
    (duplicate_count,) = connection.execute(f"DELETE FROM temp.fresh WHERE (_row_hash, _time) IN ({beside})", bound).fetchall()[0]
    new_count, gone_count, changed_from, changed_to = connection.execute(
        """SELECT coalesce(sum(balance) FILTER (WHERE balance > 0), 0), coalesce(-sum(balance) FILTER (WHERE balance < 0), 0),
                  min(_time), max(_time)
           FROM (SELECT _row_hash, _time, sum(side) AS balance
                 FROM (SELECT _row_hash, _time, 1 AS side FROM temp.fresh
                       UNION ALL SELECT _row_hash, _time, -1 AS side FROM temp.gone)
                 GROUP BY _row_hash, _time HAVING sum(side) <> 0)"""
    ).fetchall()[0]
    return _Difference(False, int(new_count), int(gone_count), duplicate_count, changed_from, changed_to)


def _write(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    write: Load,
    mapping: _ColumnMapping,
    difference: _Difference,
    run_id: str,
    last_row: int,
) -> None:
    came, chosen = "?", "staged"
    if not difference.is_all_new:
        came = "coalesce(_arrived_at, ?)"
        chosen = "staged LEFT JOIN temp.arrived USING (_row_hash, _time) WHERE _row IN (SELECT _row FROM temp.fresh)"
        connection.execute(  # in a file that begins later each row has another place, and came when it came
            f"CREATE TEMP TABLE arrived AS SELECT _row_hash, {quoted_column(write.time_column)} AS _time, min(_ingested_at) AS _arrived_at"
            f" FROM {quoted(table)} WHERE _origin = ? AND _row IN (SELECT _row FROM temp.gone) GROUP BY ALL",
            [write.origin],
        ).fetchall()
        connection.execute(
            f"DELETE FROM {quoted(table)} WHERE _origin = ? AND _row IN (SELECT _row FROM temp.gone)", [write.origin]
        ).fetchall()
    names = ", ".join([*mapping.names, *(column.name for column in RAW_COLUMNS)])
    connection.execute(
        f"INSERT INTO {quoted(table)} ({names}) SELECT {', '.join(mapping.values)}, ?, _row + ?, _row_hash, {came}, ? FROM {chosen}",
        [write.origin, last_row, write.ingested_at, run_id],
    ).fetchall()


def _quarantine(
    connection: duckdb.DuckDBPyConnection,
    write: Load,
    run_id: str,
    last_row: int,
    has_older: bool,
) -> tuple[int, list[Change]]:
    """Holds the origin's unreadable rows; one that is held already keeps its state. A server's rows have no lasting number: there
    one that any window of the feed brought is held already."""
    same = "held.source = ? AND held.origin = ? AND held.row_number = rejected.row_number AND held.record = rejected.record"
    place = write.origin
    if write.mode == "insert":
        same, place = "held.source = ? AND starts_with(held.origin, ?) AND held.record = rejected.record", write.feed
    scan = "(SELECT 0 AS row_number, '' AS record, '' AS reason LIMIT 0)"
    if write.rejected is not None:
        scan = f"read_parquet({quoted_text(write.rejected)})"
    removed = 0
    if has_older:
        removed = set_aside_unreadable(connection, write, scan)
    elif write.mode == "replace":
        (removed,) = connection.execute(
            f"DELETE FROM quarantined_records AS held WHERE source = ? AND origin = ?"
            f" AND NOT EXISTS (SELECT 1 FROM {scan} AS rejected WHERE {same})",
            [write.source, write.origin, write.source, write.origin],
        ).fetchall()[0]
    (added,) = connection.execute(
        f"INSERT INTO quarantined_records (source, origin, row_number, record, reason, state, run_id, quarantined_at)"
        f" SELECT ?, ?, row_number + ?, record, reason, 'held', ?, ? FROM {scan} AS rejected"
        f" WHERE NOT EXISTS (SELECT 1 FROM quarantined_records AS held WHERE {same})",
        [write.source, write.origin, last_row, run_id, write.ingested_at, write.source, place],
    ).fetchall()[0]
    count = single(connection, f"SELECT count(*) FROM {scan}") if write.mode == "replace" else added
    if not (removed or added):
        return count, []
    window = (write.ingested_at, write.ingested_at + AN_INSTANT)
    return count, [Change(write.source, "quarantined_records", "load", *window, removed + added)]


def ledger(
    connection: duckdb.DuckDBPyConnection,
    write: Load | Reconcile,
    loaded: Loaded,
    run_id: str,
    reached_at: datetime | None = None,
) -> Change:
    """Adds the row of `ingestions`; returns the change."""
    row = {
        "source": write.source,
        "origin": write.origin,
        "content_hash": write.content_hash,
        "row_count": loaded.row_count,
        "new_count": loaded.new_count,
        "duplicate_count": loaded.duplicate_count,
        "quarantined_count": loaded.quarantined_count,
        "first_at": loaded.first_at,
        "last_at": loaded.last_at,
        "reached_at": reached_at,
        "ingested_at": write.ingested_at,
        "run_id": run_id,
    }
    connection.execute(f"INSERT INTO ingestions ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())).fetchall()
    return Change(write.source, "ingestions", "append", write.ingested_at, write.ingested_at + AN_INSTANT, 1)
