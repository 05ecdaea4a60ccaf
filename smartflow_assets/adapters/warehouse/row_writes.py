"""What a write means in SQL, inside a transaction that somebody else opened.

Replace, Append, Rewrite, Delete and what a step says of its upstream are here; `load.py` has Load, `reconciliation.py`
Reconcile, `retention.py` Prune. Each returns what it changed, as rows of `writes`. The SQL is plain (no primary key, no
sequence, no ON CONFLICT), so that it runs on DuckLake too; all rules a database could hold are checked here instead.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import duckdb
import pandas as pd

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.table_spec import TableSpec
from smartflow_assets.adapters.warehouse.tables import raw_table, table_spec
from smartflow_assets.adapters.warehouse.vocabularies import WriteOperation
from smartflow_assets.adapters.warehouse.writes import Append, Delete, LeavePending, LookAgain, MarkProcessed, Replace, Rewrite
from smartflow_assets.core.errors import WarehouseError

AN_INSTANT = timedelta(microseconds=1)


class Change(NamedTuple):
    """One row of `writes`, before its run and time; [from_at, to_at) is what downstream has to look at again."""

    source: str | None
    table_name: str
    operation: WriteOperation
    from_at: datetime | None
    to_at: datetime | None
    row_count: int
    fingerprint: str | None = None


def evolve(connection: duckdb.DuckDBPyConnection, write: Replace) -> None:
    """Adds the columns of an open table that the frame has and the table has not."""
    spec = table_spec(write.table)
    if spec.is_open and (new := set(write.frame.columns) - set(spec.column_names)):
        stored = {name for name, *_ in connection.execute(f"DESCRIBE {quoted(spec.name)}").fetchall()}
        for name in sorted(new - stored):
            connection.execute(f"ALTER TABLE {quoted(spec.name)} ADD COLUMN {quoted_column(name)} DOUBLE")


def replace(connection: duckdb.DuckDBPyConnection, write: Replace) -> list[Change]:
    spec = _spec_for(write.table, "window")
    since, until = _aware(write.since), _aware(write.until)
    rows = spec.check(write.frame, write.source)
    if rows.empty and not write.is_empty_allowed:
        raise WarehouseError(
            f"an empty frame would wipe {spec.name} from {since} to {until}",
            source=write.source,
            remedy="Pass is_empty_allowed=True where no row is a right answer.",
        )
    times = rows[spec.time_column]
    if (outside := ~((times >= since) & (times < until))).any():
        raise WarehouseError(
            f"{int(outside.sum())} rows are outside the window {since} to {until}, such as {times[outside].iloc[0]}",
            source=write.source,
            where=f"table {spec.name}",
        )
    where, bound = f"source = ? AND {spec.time_column} >= ? AND {spec.time_column} < ?", [write.source, since, until]
    if write.series is not None:
        if strangers := set(rows["series"].unique()) - set(write.series):
            raise WarehouseError(f"{spec.name} was to get other series than {min(strangers)}", source=write.source)
        where, bound = f"{where} AND series IN (SELECT unnest(?))", [*bound, list(write.series)]
    connection.execute(f"DELETE FROM {quoted(spec.name)} WHERE {where}", bound).fetchall()
    if spec.time_column not in spec.key:
        _refuse_known_keys(connection, spec, rows)
    _insert(connection, spec, rows)
    return [Change(write.source, spec.name, "replace", since, until, len(rows), write.fingerprint)]


def append(connection: duckdb.DuckDBPyConnection, write: Append) -> list[Change]:
    spec = _spec_for(write.table, "append")
    rows = spec.check(write.frame)
    _refuse_known_keys(connection, spec, rows)
    _insert(connection, spec, rows)
    return list(_changes(spec, "append", rows)) if spec.is_audited else []


def rewrite(connection: duckdb.DuckDBPyConnection, write: Rewrite) -> list[Change]:
    spec = _spec_for(write.table, "fold")
    (key,) = spec.key
    rows = spec.check(write.frame)
    if strangers := set(rows[key]) - set(write.keys):
        raise WarehouseError(f"{spec.name} was to get only the named rows, but {key} {min(strangers)} is not among them")
    connection.execute(f"DELETE FROM {quoted(spec.name)} WHERE list_contains(?, {key})", [list(write.keys)]).fetchall()
    _insert(connection, spec, rows)
    return list(_changes(spec, "rewrite", rows)) if spec.is_audited else []


def delete(connection: duckdb.DuckDBPyConnection, write: Delete) -> list[Change]:
    if write.table != raw_table(write.source):
        return [_delete_rows(connection, table_spec(write.table).name, write.source)]
    changes = [_delete_rows(connection, name, write.source) for name in ("ingestions", "quarantined_records")]
    count = 0
    if has_table(connection, write.table):
        count = single(connection, f"SELECT count(*) FROM {quoted(write.table)}")
        connection.execute(f"DROP TABLE {quoted(write.table)}")
    return [Change(write.source, write.table, "delete", None, None, count), *changes]


def look_again(write: LookAgain) -> list[Change]:
    return [Change(write.source, raw_table(write.source), "rewrite", _aware(write.since), _aware(write.until), 0)]


def mark_processed(write: MarkProcessed) -> list[Change]:
    return [Change(write.source, table_spec(write.table).name, "seen", _aware(write.since), _aware(write.until), 0)]


def leave_pending(write: LeavePending) -> list[Change]:
    return [Change(write.source, table_spec(write.table).name, "left", _aware(write.since), _aware(write.until), 0)]


def has_table(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    schema, _, table = name.rpartition(".")
    sql = "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ? AND table_name = ?"
    return single(connection, sql, [schema or "main", table]) > 0


def single(connection: duckdb.DuckDBPyConnection, sql: str, bound: list | None = None):
    """The first value of the first row."""
    return connection.execute(sql, bound or []).fetchall()[0][0]


def _delete_rows(connection: duckdb.DuckDBPyConnection, table: str, source: str) -> Change:
    (count,) = connection.execute(f"DELETE FROM {quoted(table)} WHERE source = ?", [source]).fetchall()[0]
    return Change(source, table, "delete", None, None, count)


def _insert(connection: duckdb.DuckDBPyConnection, spec: TableSpec, rows: pd.DataFrame) -> None:
    if rows.empty:
        return
    known = {column.name: column for column in spec.columns}
    names = ", ".join(quoted_column(name) for name in rows.columns)
    values = {name: known[name].from_frame if name in known else quoted_column(name) for name in rows.columns}
    joined, views = "", {"incoming": rows}
    for name in rows.columns:
        if name in known and known[name].is_nested and isinstance(rows[name].dtype, pd.CategoricalDtype):
            # made of JSON once for each category: for each row it would take as long as all else
            view = f"made_{name}"
            made = pd.DataFrame({"_code": range(len(rows[name].cat.categories)), name: rows[name].cat.categories.astype(object)})
            joined += f" LEFT JOIN (SELECT _code, {known[name].from_frame} AS _made FROM {view}_texts) AS {view} ON {view}._code = _{name}"
            values[name] = f"{view}._made"
            views[f"{view}_texts"] = made
            views["incoming"] = views["incoming"].drop(columns=name).assign(**{f"_{name}": rows[name].cat.codes})
    for view, frame in views.items():
        connection.register(view, frame)
    connection.execute(f"INSERT INTO {quoted(spec.name)} ({names}) SELECT {', '.join(values.values())} FROM incoming{joined}").fetchall()
    for view in views:
        connection.unregister(view)


def _refuse_known_keys(connection: duckdb.DuckDBPyConnection, spec: TableSpec, rows: pd.DataFrame) -> None:
    if rows.empty or not spec.key:
        return
    connection.register("incoming", rows[list(spec.key)])
    keys = ", ".join(spec.key)
    found = connection.execute(f"SELECT {keys} FROM {quoted(spec.name)} SEMI JOIN incoming USING ({keys}) LIMIT 1").fetchall()
    connection.unregister("incoming")
    if found:
        shown = ", ".join(f"{name}={value}" for name, value in zip(spec.key, found[0], strict=True))
        raise WarehouseError(f"table {spec.name} already has the row {shown}")


def _changes(spec: TableSpec, operation: WriteOperation, rows: pd.DataFrame) -> Iterator[Change]:
    for source, its_rows in rows.groupby("source", sort=False):
        times = its_rows[spec.time_column]
        yield Change(str(source), spec.name, operation, times.min(), times.max() + AN_INSTANT, len(its_rows))


def _spec_for(table: str, mode: str) -> TableSpec:
    spec = table_spec(table)
    if spec.mode != mode:
        raise WarehouseError(f"table {table} is written by {spec.mode}, not by {mode}")
    return spec


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise WarehouseError(f"the time {moment} has no time zone")
    return moment
