"""Rows that have a key (`read.key`): of each key there is one row, the one that came last.

It takes the place of the one before it wherever that lies, at another time and in another origin too. A row without a value in one of
the columns has no key: it replaces none, and is known by its values like any other.
"""

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.adapters.warehouse.column_types import OVERFLOW
from smartflow_assets.adapters.warehouse.row_hash import as_text, family_of
from smartflow_assets.adapters.warehouse.row_writes import single
from smartflow_assets.adapters.warehouse.writes import Load
from smartflow_assets.core.errors import WarehouseError
from smartflow_assets.core.nearest_name import did_you_mean

_SEPARATOR = " || chr(31) || "


def of_file(types: dict[str, str], write: Load) -> str:
    """The key of a staged row as text; null without one. `WarehouseError` when the file has no such column."""
    names = {name.lower(): name for name in types}
    for column in write.key:
        if column.lower() not in names:
            raise WarehouseError(
                f"read.key: there is no column '{column}'",
                source=write.source,
                where=write.origin,
                remedy=did_you_mean(column, names, "Correct read.key, or fix the feed.", quote="'"),
            )
    return _SEPARATOR.join(_text(names[column.lower()], types[names[column.lower()]]) for column in write.key)


def replace(connection: duckdb.DuckDBPyConnection, table: str, write: Load) -> int:
    """Leaves in `keys` the rows of the file that are the last of their key, and takes the stored rows away that they replace; they are in
    `displaced`. Returns how many."""
    connection.execute("CREATE TEMP TABLE keys AS SELECT _row, _row_hash, _time, _key FROM staged").fetchall()
    connection.execute(
        "DELETE FROM temp.keys WHERE _key IS NOT NULL"
        " AND _row NOT IN (SELECT max(_row) FROM temp.keys WHERE _key IS NOT NULL GROUP BY _key)"
    ).fetchall()
    raw, time = quoted(table), quoted_column(write.time_column)
    held = f"SELECT _origin, _row, _row_hash, {time} AS _time, {_of_stored(connection, table, write)} AS _key FROM {raw}"
    if write.is_old:  # what is stored of its keys came after it, but for the rows that give way to it
        away = ", ".join(map(quoted_text, write.gives_way)) or "NULL"
        connection.execute(
            f"""DELETE FROM temp.keys AS keys WHERE EXISTS (
                SELECT 1 FROM ({held}) AS held WHERE held._key = keys._key AND coalesce(_origin NOT IN ({away}), TRUE)
                AND (held._row_hash <> keys._row_hash OR held._time <> keys._time))"""
        ).fetchall()
    connection.execute(
        f"""
        CREATE TEMP TABLE displaced AS
        SELECT _origin, held._row AS _row, held._row_hash AS _row_hash, held._time AS _time
        FROM ({held}) AS held JOIN temp.keys AS keys USING (_key)
        WHERE held._row_hash <> keys._row_hash OR held._time <> keys._time"""
    ).fetchall()
    connection.execute(f"DELETE FROM {raw} WHERE (_origin, _row) IN (SELECT _origin, _row FROM temp.displaced)").fetchall()
    return single(connection, "SELECT count(*) FROM temp.displaced")


def _of_stored(connection: duckdb.DuckDBPyConnection, table: str, write: Load) -> str:
    """The key of a stored row; what did not fit its column lies beside it."""
    stored = {name.lower(): (name, type_) for name, type_, *_ in connection.execute(f"DESCRIBE {quoted(table)}").fetchall()}
    texts = []
    for column in write.key:
        text = _text(*stored[column.lower()])
        beside = f"{column.lower()}{OVERFLOW}"
        texts.append(f"coalesce({text}, {quoted_column(stored[beside][0])})" if beside in stored else text)
    return _SEPARATOR.join(texts)


def _text(name: str, type_: str) -> str:
    """The value as text, the same in every type that a column may have in a file and in the table."""
    if type_.startswith("DECIMAL") or (family_of(type_) == "DOUBLE" and type_ != "DOUBLE"):
        column = f"CAST({quoted_column(name)} AS DOUBLE)"
        whole = f"CAST(CAST({column} AS BIGINT) AS VARCHAR)"
        return f"CASE WHEN abs({column}) < 9e15 AND {column} = trunc({column}) THEN {whole} ELSE CAST({column} AS VARCHAR) END"
    return as_text(name, type_)
