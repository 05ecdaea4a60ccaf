"""A commit: a list of writes applied inside one open transaction, each by the module that knows its SQL, all recorded in `writes`.

`warehouse.py` opens the file, holds the lock and runs the transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import duckdb

from smartflow_assets.adapters.warehouse import blocked_loads, diverted_rows, load, quarantine, reconciliation, retention, row_writes
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.writes import (
    Append,
    Committed,
    DecideLoad,
    DecideRows,
    Delete,
    DivertRows,
    DropHeld,
    LeavePending,
    Load,
    Loaded,
    LookAgain,
    MarkProcessed,
    Prune,
    Reconcile,
    Replace,
    Rewrite,
    Write,
)


def apply(connection: duckdb.DuckDBPyConnection, run_id: str, writes: Sequence[Write]) -> Committed:
    """Applies the writes in their order and records them. Raises `WarehouseError` for a write that its table refuses."""
    changes, loads, notes = [], [], []
    earlier: list[Load] = []
    rebuilt = {write.source for write in writes if isinstance(write, Delete) and write.table == raw_table(write.source)}

    def evolve(write: Load) -> None:
        evolved = load.evolve(connection, write, earlier)
        changes.extend(evolved.changes)
        notes.extend(evolved.notes)

    for write in writes:  # tables take new columns before the first row changes: see load.evolve
        if isinstance(write, Replace):
            row_writes.evolve(connection, write)
        elif isinstance(write, Load) and write.source not in rebuilt:
            evolve(write)
            earlier.append(write)
    for write in writes:
        if isinstance(write, Load) and write.source in rebuilt:
            evolve(write)
        done = _apply(connection, write, run_id)
        changes += done.changes
        loads += done.loads
    return Committed(_row_counts(changes), tuple(loads), _record(connection, changes, run_id), tuple(notes))


class _Done(NamedTuple):
    changes: list[row_writes.Change]
    loads: list[Loaded]


def _apply(connection: duckdb.DuckDBPyConnection, write: Write, run_id: str) -> _Done:
    match write:
        case Replace():
            return _Done(row_writes.replace(connection, write), [])
        case Append():
            return _Done(row_writes.append(connection, write), [])
        case Rewrite():
            return _Done(row_writes.rewrite(connection, write), [])
        case Delete():
            return _Done(row_writes.delete(connection, write), [])
        case Prune():
            return _Done(retention.prune(connection, write), [])
        case DropHeld():
            return _Done(quarantine.drop_held(connection, write), [])
        case DecideLoad():
            return _Done(blocked_loads.decide(connection, write), [])
        case LookAgain():
            return _Done(row_writes.look_again(write), [])
        case DivertRows():
            return _Done(diverted_rows.divert(connection, write, run_id), [])
        case DecideRows():
            return _Done(diverted_rows.decide(connection, write, run_id), [])
        case MarkProcessed():
            return _Done(row_writes.mark_processed(write), [])
        case LeavePending():
            return _Done(row_writes.leave_pending(write), [])
        case Reconcile():
            loaded, changes = reconciliation.reconcile(connection, write, run_id)
            return _Done(changes, [loaded])
        case Load():
            loaded, changes = load.load(connection, write, run_id)
            return _Done(changes, [loaded])


def _record(connection: duckdb.DuckDBPyConnection, changes: Sequence[row_writes.Change], run_id: str) -> datetime:
    """Appends the changes to `writes`; the clock may stand still or go back, `written_at` may not."""
    (newest,) = connection.execute("SELECT max(written_at) FROM writes").fetchall()[0]
    written_at = datetime.now(UTC) if newest is None else max(datetime.now(UTC), newest + row_writes.AN_INSTANT)
    if changes:
        names = ", ".join([*row_writes.Change._fields, "run_id", "written_at"])
        marks = ", ".join("?" * (len(row_writes.Change._fields) + 2))
        connection.executemany(
            f"INSERT INTO writes ({names}) VALUES ({marks})", [[*change, run_id, written_at] for change in changes]
        ).fetchall()
    return written_at


def _row_counts(changes: Sequence[row_writes.Change]) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.table_name] = counts.get(change.table_name, 0) + change.row_count
    return counts
