"""Single rows that a contract diverts: found, held, let through and put away, one row of the table `diverted_rows` for each.

A row is known by its hash, which its time and its values make, so it is the same in whatever load it comes, and rows that are equal share
their fate. Its values stay in raw.<source>; `blocked_loads.accepted_rows` leaves it out while it is held or dropped. Which rows break a
promise is a function of the stored rows: of those that came, those that are held, and the others that they are compared with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.adapters.warehouse.blocked_loads import asked_rows, loads_in
from smartflow_assets.adapters.warehouse.changed_windows import changed_windows
from smartflow_assets.adapters.warehouse.row_writes import AN_INSTANT, Change, has_table, single
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.vocabularies import RowState
from smartflow_assets.adapters.warehouse.writes import DecideRows, DivertRows

ROW_ID = "lpad(lower(to_hex(row_hash)), 16, '0')"
"""The SQL of what people call a row by."""


def breaking_rows(write: DivertRows) -> str:
    """SQL of the raw rows that break a promise: row_hash, load_id, observed_at, and `broken`, the numbers of the promises from 1 on. A row
    may come twice: by itself, and as one of several that may not be alike."""
    numbered = list(enumerate(write.promises, 1))
    alone = {at: promise.breach for at, promise in numbered if not promise.is_mutual}
    mutual = {at: promise.breach for at, promise in numbered if promise.is_mutual}
    parts = [(candidates(write), alone), (asked_rows(write.source, write.loads), mutual)]
    return " UNION ALL ".join(_breaking(write, rows, breaches) for rows, breaches in parts if breaches)


def _breaking(write: DivertRows, rows: str, breaches: Mapping[int, str]) -> str:
    flags = "".join(f", coalesce({breach}, FALSE) AS _breach{at}" for at, breach in breaches.items())
    numbers = ", ".join(f"CASE WHEN _breach{at} THEN {at} END" for at in breaches)
    return f"""
        SELECT _row_hash AS row_hash, _run_id AS load_id, {quoted_column(write.time_column)} AS observed_at,
               list_filter([{numbers}], lambda number: number IS NOT NULL) AS broken
        FROM (SELECT *{flags} FROM {rows} WHERE {_is_undecided(write)}) WHERE {" OR ".join(f"_breach{at}" for at in breaches)}"""


def candidates(write: DivertRows) -> str:
    """SQL of the raw rows that are asked one by one: those that came with one of the loads, and those that are held, or were."""
    asked, loads = asked_rows(write.source, write.loads), ", ".join(map(quoted_text, write.loads)) or "''"
    held = _rows_in(write.source, "held", "mended")  # a contract that is taken away and put back finds what it had found
    return f"""(SELECT * FROM {asked} WHERE _run_id IN ({loads})
                UNION ALL SELECT * FROM {asked} WHERE _run_id NOT IN ({loads}) AND _row_hash IN ({held}))"""


def _is_undecided(write: DivertRows) -> str:
    released = loads_in(write.source, "released")
    return f"_row_hash NOT IN ({_rows_in(write.source, 'released')}) AND _run_id NOT IN ({released})"


def _rows_in(source: str, *states: RowState) -> str:
    return f"SELECT row_hash FROM diverted_rows WHERE source = {quoted_text(source)} AND state IN ({', '.join(map(quoted_text, states))})"


def divert(connection: duckdb.DuckDBPyConnection, write: DivertRows, run_id: str) -> list[Change]:
    """Holds the rows that break a promise and ends what is held without a reason; all that is made of either is due again."""
    raw, is_held = raw_table(write.source), f"source = {quoted_text(write.source)} AND state = 'held'"
    found = "SELECT 0::UBIGINT AS row_hash, '' AS load_id, now() AS observed_at, CAST([] AS INTEGER[]) AS broken LIMIT 0"
    if write.promises and has_table(connection, raw):
        found = breaking_rows(write)
    columns = [list(promise.columns) for promise in write.promises]
    connection.execute(
        f"""
        CREATE TEMP TABLE breaking AS
        SELECT row_hash, load_id, observed_at, list_distinct(flatten(list_transform(broken, lambda n: columns[n]))) AS column_names,
               list_transform(broken, lambda n: reasons[n]) AS reasons
        FROM (SELECT row_hash, max(load_id) AS load_id, min(observed_at) AS observed_at,
                     list_sort(list_distinct(flatten(list(broken)))) AS broken FROM ({found}) GROUP BY row_hash) AS found,
             (SELECT CAST(? AS VARCHAR[][]) AS columns, CAST(? AS VARCHAR[]) AS reasons) AS told""",
        [columns, [promise.reason for promise in write.promises]],
    ).fetchall()
    connection.execute(
        f"""
        CREATE TEMP TABLE turned AS
        SELECT row_hash, TRUE AS is_held FROM temp.breaking WHERE row_hash NOT IN (SELECT row_hash FROM diverted_rows WHERE {is_held})
        UNION ALL
        SELECT row_hash, FALSE AS is_held FROM diverted_rows WHERE {is_held} AND row_hash NOT IN (SELECT row_hash FROM temp.breaking)"""
    ).fetchall()
    ended = "row_hash IN (SELECT row_hash FROM temp.turned WHERE NOT is_held)"
    connection.execute(
        f"UPDATE diverted_rows SET state = 'mended', changed_at = ?, changed_by = '', run_id = ? WHERE {is_held} AND {ended}",
        [write.changed_at, run_id],
    ).fetchall()
    ((told_anew,),) = connection.execute(
        f"""
        UPDATE diverted_rows AS held SET load_id = breaking.load_id, column_names = breaking.column_names, reasons = breaking.reasons
        FROM temp.breaking AS breaking
        WHERE held.row_hash = breaking.row_hash AND held.source = {quoted_text(write.source)} AND held.state = 'held'
        AND (held.load_id, held.reasons) IS DISTINCT FROM (breaking.load_id, breaking.reasons)"""
    ).fetchall()
    is_new = "row_hash IN (SELECT row_hash FROM temp.turned WHERE is_held)"
    connection.execute(f"DELETE FROM diverted_rows WHERE source = ? AND {is_new}", [write.source]).fetchall()  # mended once, broken again
    connection.execute(
        f"""
        INSERT INTO diverted_rows
            (source, row_hash, observed_at, load_id, column_names, reasons, state, diverted_at, changed_at, changed_by, run_id)
        SELECT ?, row_hash, observed_at, load_id, column_names, reasons, 'held', ?, ?, '', ? FROM temp.breaking WHERE {is_new}""",
        [write.source, write.changed_at, write.changed_at, run_id],
    ).fetchall()
    turned = single(connection, "SELECT count(*) FROM temp.turned")
    changes = _changes(connection, write, turned + told_anew, "SELECT row_hash FROM temp.turned" if turned else "")
    for name in ("breaking", "turned"):
        connection.execute(f"DROP TABLE temp.{name}").fetchall()
    return changes


def decide(connection: duckdb.DuckDBPyConnection, write: DecideRows, run_id: str) -> list[Change]:
    """Says what becomes of held rows, or of one that was decided otherwise; what is made of those that go through is due again."""
    condition, bound = chosen(write)
    connection.execute(f"CREATE TEMP TABLE turned AS SELECT row_hash FROM diverted_rows WHERE {condition}", bound).fetchall()
    ((count,),) = connection.execute(
        "UPDATE diverted_rows SET state = ?, changed_at = ?, changed_by = ?, run_id = ?"
        " WHERE source = ? AND row_hash IN (SELECT row_hash FROM temp.turned)",
        [write.state, write.changed_at, write.changed_by, run_id, write.source],
    ).fetchall()
    is_due = write.state == "released" or bool(write.row_id)
    changes = _changes(connection, write, count, "SELECT row_hash FROM temp.turned" if is_due else "")
    connection.execute("DROP TABLE temp.turned").fetchall()
    return changes


def chosen(write: DecideRows) -> tuple[str, Sequence[Any]]:
    """The SQL condition that a row of `diverted_rows` is one of those that are to be decided, and what it binds. One that is named may
    have been decided before."""
    parts, bound = ["source = ?", "state = 'held'"], [write.source]
    if write.row_id and write.state != "held":
        parts, bound = ["source = ?", "state IN ('held', 'released', 'dropped') AND state <> ?"], [write.source, write.state]
    for value, part in (
        (write.load_id, "load_id = ?"),
        (write.column, "list_contains(list_transform(column_names, lambda name: lower(name)), lower(?))"),
        (write.reason, "list_contains(reasons, ?)"),
        (write.row_id, f"{ROW_ID} = ?"),
    ):
        if value:
            parts.append(part)
            bound.append(value)
    return " AND ".join(parts), bound


def _changes(connection: duckdb.DuckDBPyConnection, write: DivertRows | DecideRows, count: int, hashes: str) -> list[Change]:
    """What is to stand in `writes` when so many rows of the table have changed; those of `hashes`, a query, go downstream or no more."""
    if not count:
        return []
    raw = raw_table(write.source)
    changes = [Change(write.source, "diverted_rows", "rewrite", write.changed_at, write.changed_at + AN_INSTANT, count)]
    if hashes and has_table(connection, raw):
        instants = f"SELECT {quoted_column(write.time_column)} AS _time FROM {quoted(raw)} WHERE _row_hash IN ({hashes})"
        windows = changed_windows(connection, instants, raw, write.time_column)
        changes += [Change(write.source, raw, "rewrite", since, until, 0) for since, until in windows]
    return changes
