"""Load: one origin of raw.<source> from a staged Parquet file, by SQL alone, so that ten million rows need no frame.

A row is known by its instant and the hash of its values; an origin holds so many of each at an instant. A file speaks for the instants
that it holds (`row_balance.py` says how many of each row there are to be); only instants whose rows differ are written, and `writes`
names only those. Columns are added, widen (`column_types.py`), or overflow into `<column>__text`, so that no batch fails on its types.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.adapters.warehouse import row_balance, row_keys
from smartflow_assets.adapters.warehouse.changed_windows import changed_windows, load_changes
from smartflow_assets.adapters.warehouse.column_types import (
    TextsBefore,
    numbers_in_texts,
    overflow_column,
    stored_types,
    tell_in_table,
    texts_before,
    told_beside,
    widen_to_numbers,
)
from smartflow_assets.adapters.warehouse.retained_rows import set_aside_unreadable
from smartflow_assets.adapters.warehouse.row_balance import Balance
from smartflow_assets.adapters.warehouse.row_hash import family_of
from smartflow_assets.adapters.warehouse.row_writes import AN_INSTANT, Change, has_table, single
from smartflow_assets.adapters.warehouse.staged_rows import in_view, pruned_count, stage
from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS, raw_table
from smartflow_assets.adapters.warehouse.writes import Load, Loaded, Reconcile
from smartflow_assets.core.errors import WarehouseError


class _ColumnMapping(NamedTuple):
    """Target columns in the raw table and the expressions over `staged` that fill them; `misfits` are the columns of numbers that have
    values beside them, with the condition of these and where they go."""

    names: list[str]
    values: list[str]
    misfits: dict[str, tuple[str, str]]


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
    for name, (condition, overflow) in _fit(connection, table, types).misfits.items():
        note = told_beside(connection, name, in_view(name), condition, overflow)
        evolved.notes += [note] if note else []
    return evolved


def load(connection: duckdb.DuckDBPyConnection, write: Load, run_id: str) -> tuple[Loaded, list[Change]]:
    """Applies the Load inside the open transaction. Raises `WarehouseError` for a file that is not as `Load` says."""
    table = raw_table(write.source)
    types = stage(connection, write)
    mapping = _fit(connection, table, types)
    row_count, first_at, last_at = _staged_extent(connection, write)
    last_row = _last_row(connection, table, write) if write.mode == "insert" else _highest(connection, table, write.origin)
    replaced_count = row_keys.replace(connection, table, write) if write.key else 0
    balance = row_balance.compare(connection, table, write, row_count, first_at, last_at)
    _write(connection, table, write, mapping, balance, run_id, last_row)
    rejected_count, changes = _quarantine(connection, write, run_id, last_row if write.mode == "insert" else 0)
    windows = changed_windows(connection, balance.changed, table, write.time_column) if balance.changed else []
    if not balance.changed and first_at is not None and last_at is not None:
        windows = [(first_at, last_at + AN_INSTANT)]
    written = balance.new_count + balance.gone_count + replaced_count
    changes = [*load_changes(write.source, table, windows, written, write.fingerprint), *changes]
    loaded = Loaded(
        write.source,
        write.origin,
        row_count,
        balance.new_count,
        balance.gone_count + replaced_count,
        balance.duplicate_count,
        rejected_count,
        first_at,
        last_at,
        missing_count=balance.missing_count,
        withheld_count=balance.withheld_count,
        pruned_count=pruned_count(connection, write),
    )
    if changes or write.mode == "replace" or not _is_known(connection, write):
        changes.append(ledger(connection, write, loaded, run_id, column_types={name: family_of(type_) for name, type_ in types.items()}))
    for name in ("keys", "balance", "differing", "fresh", "gone", "arrived", "displaced"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{name}").fetchall()
    connection.execute("DROP VIEW temp.staged").fetchall()
    return loaded, changes


def _highest(connection: duckdb.DuckDBPyConnection, table: str, origin: str) -> int:
    return single(connection, f"SELECT coalesce(max(_row), 0) FROM {quoted(table)} WHERE _origin = ?", [origin])


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


def _create_or_widen(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    types: dict[str, str],
    write: Load,
    earlier: Sequence[Path],
    evolved: Evolved,
) -> None:
    wanted = {name.lower(): type_ for name, type_ in write.types.items()}
    declared = {*wanted, *(name.lower() for name in (*write.texts, *write.key))}
    texts = {name: in_view(name) for name, type_ in types.items() if family_of(type_) == "VARCHAR" and name.lower() not in declared}
    found = numbers_in_texts(connection, texts)
    first_types = {name: wanted.get(name.lower(), "DOUBLE" if name in found.alone else family_of(type_)) for name, type_ in types.items()}
    if not has_table(connection, table):
        own = ", ".join(f"{quoted_column(column.name)} {column.type}" for column in RAW_COLUMNS)
        columns = ", ".join(f"{quoted_column(name)} {type_}" for name, type_ in first_types.items())
        connection.execute(f"CREATE TABLE {quoted(table)} ({columns}, {own})")
        return
    stored = stored_types(connection, table)
    for name, type_ in first_types.items():
        if name.lower() not in stored:
            connection.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted_column(name)} {type_}")
        elif stored[name.lower()] == "BIGINT" and family_of(types[name]) == "DOUBLE":
            connection.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted_column(name)} TYPE DOUBLE")
        elif stored[name.lower()] == "VARCHAR" and (first_types[name] in ("BIGINT", "DOUBLE") or name in found.beside_words):
            before = texts_before(connection, table, name, write.time_column, earlier)
            if before.first_text is None and name in found.beside_words:
                before = replace(before, first_text=found.beside_words[name], origin=write.origin)
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
    mapping, misfits = _ColumnMapping([], [], {}), {}
    for name, type_ in types.items():
        column, target = in_view(name), stored[name.lower()]
        family, value = family_of(type_), column
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
                if stored[name.lower()] in ("BIGINT", "DOUBLE"):
                    mapping.misfits[name] = condition, text
                mapping.values.append(f"CASE WHEN {condition} THEN CAST({in_view(name)} AS VARCHAR) END")
    return mapping


def _write(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    write: Load,
    mapping: _ColumnMapping,
    balance: Balance,
    run_id: str,
    last_row: int,
) -> None:
    """Writes the rows that `fresh` names in the place of those that `gone` names: instants as a whole, so that the rows of one keep the
    order of the file."""
    raw, time = quoted(table), quoted_column(write.time_column)
    came, chosen = "?", "staged"
    lowest = 1
    if not balance.is_all_new:
        lowest = single(connection, "SELECT coalesce(min(_row), 1) FROM temp.fresh")
        came = "coalesce(_arrived_at, ?)"
        chosen = "staged LEFT JOIN temp.arrived USING (_row_hash, _time) WHERE _row IN (SELECT _row FROM temp.fresh)"
        connection.execute(  # a row that only moved within the file came when it came
            f"CREATE TEMP TABLE arrived AS SELECT _row_hash, {time} AS _time, min(_ingested_at) AS _arrived_at"
            f" FROM {raw} WHERE (_origin, _row) IN (SELECT _origin, _row FROM temp.gone) GROUP BY ALL"
        ).fetchall()
        connection.execute(f"DELETE FROM {raw} WHERE (_origin, _row) IN (SELECT _origin, _row FROM temp.gone)").fetchall()
    elif write.key:
        chosen = "staged WHERE _row IN (SELECT _row FROM temp.keys)"
    number_from = last_row if write.mode == "insert" or lowest <= last_row else 0
    names = ", ".join([*mapping.names, *(column.name for column in RAW_COLUMNS)])
    connection.execute(
        f"INSERT INTO {raw} ({names}) SELECT {', '.join(mapping.values)}, ?, _row + ?, _row_hash, {came}, ? FROM {chosen}",
        [write.origin, number_from, write.ingested_at, run_id],
    ).fetchall()


def _quarantine(
    connection: duckdb.DuckDBPyConnection,
    write: Load,
    run_id: str,
    last_row: int,
) -> tuple[int, list[Change]]:
    """Holds the origin's unreadable rows; one that is held already keeps its state. A server's rows have no lasting number: there
    one that any window of the feed brought is held already."""
    if write.rejected is None and not (write.mode == "replace" and _holds_unreadable(connection, write)):
        return 0, []  # as of most files
    same = "held.source = ? AND held.origin = ? AND held.row_number = rejected.row_number AND held.record = rejected.record"
    place = write.origin
    if write.mode == "insert":
        same, place = "held.source = ? AND starts_with(held.origin, ?) AND held.record = rejected.record", write.feed
    scan = "(SELECT 0 AS row_number, '' AS record, '' AS reason LIMIT 0)"
    if write.rejected is not None:
        scan = f"read_parquet({quoted_text(write.rejected)})"
    removed = 0
    if write.mode == "replace" and _has_more(connection, write):
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


def _holds_unreadable(connection: duckdb.DuckDBPyConnection, write: Load) -> bool:
    """Whether unreadable rows of the origin are held from before."""
    held = "SELECT EXISTS (FROM quarantined_records WHERE source = ? AND origin = ?)"
    return bool(single(connection, held, [write.source, write.origin]))


def _has_more(connection: duckdb.DuckDBPyConnection, write: Load) -> bool:
    """Whether rows of the origin are stored from before the first of the file: then its unreadable rows, which have no time, may be of
    that part as well."""
    time = quoted_column(write.time_column)
    older = f"SELECT 1 FROM {quoted(raw_table(write.source))} WHERE _origin = ? AND {time} < (SELECT min(_time) FROM staged) LIMIT 1"
    is_empty = single(connection, "SELECT count(*) FROM (SELECT 1 FROM staged LIMIT 1)") == 0
    return is_empty or bool(single(connection, f"SELECT count(*) FROM ({older})", [write.origin]))


def ledger(
    connection: duckdb.DuckDBPyConnection,
    write: Load | Reconcile,
    loaded: Loaded,
    run_id: str,
    reached_at: datetime | None = None,
    column_types: Mapping[str, str] | None = None,
) -> Change:
    """Adds the row of `ingestions`; returns the change. What a page does not hold any more is known at the end of its window."""
    is_page = isinstance(write, Load) and write.mode == "insert"
    row = {
        "source": write.source,
        "origin": write.origin,
        "content_hash": write.content_hash,
        "row_count": loaded.row_count,
        "new_count": loaded.new_count,
        "duplicate_count": loaded.duplicate_count,
        "quarantined_count": loaded.quarantined_count,
        "removed_count": loaded.gone_count,
        "missing_count": None if is_page else loaded.missing_count,
        "withheld_count": None if is_page else loaded.withheld_count,
        "pruned_count": loaded.pruned_count,
        "column_types": None if column_types is None else json.dumps(column_types, ensure_ascii=False),
        "first_at": loaded.first_at,
        "last_at": loaded.last_at,
        "reached_at": reached_at,
        "ingested_at": write.ingested_at,
        "run_id": run_id,
    }
    connection.execute(f"INSERT INTO ingestions ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())).fetchall()
    return Change(write.source, "ingestions", "append", write.ingested_at, write.ingested_at + AN_INSTANT, 1)
