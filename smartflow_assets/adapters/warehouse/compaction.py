"""Compaction: a file that is mostly free blocks gives them back.

DuckDB writes new rows into the blocks of deleted ones and never shortens a file, so after a large pruning it may be many times its rows. It
is then copied table by table into a new file beside it, which takes its place in one step: killed before that, nothing has happened; after
it, all has. Reading is no part of this module: `warehouse.py` holds the lock and opens the file.
"""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import duckdb

from smartflow_assets.adapters.files.access import private
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.warehouse.engine import READ_WRITE
from smartflow_assets.core.errors import WarehouseError

MOST_FREE = 0.5
"""The share of free blocks above which a file is rewritten."""
LEAST_BYTES = 64 * 1024**2
"""Smaller files are left alone: what they could give back is not worth a rewrite."""


class FileUse(NamedTuple):
    """Bytes of a DuckDB file, and those of its blocks that hold nothing."""

    size: int
    free: int

    @property
    def is_worth_rewriting(self) -> bool:
        """Whether more than half of a file that is not small is free."""
        return self.size >= LEAST_BYTES and self.free > MOST_FREE * self.size

    @property
    def used(self) -> int:
        """Bytes that a rewritten file has, nearly."""
        return self.size - self.free


def file_use(connection: duckdb.DuckDBPyConnection) -> FileUse:
    """How much of the attached file is free; what was deleted since the last checkpoint does not count yet."""
    block, total, free = connection.execute(
        "SELECT block_size, total_blocks, free_blocks FROM pragma_database_size() WHERE database_name = 'warehouse'"
    ).fetchall()[0]
    return FileUse(block * total, block * free)


def require_space(file: Path, use: FileUse) -> None:
    """`WarehouseError` when the disk has no room for the rewritten file beside the old one."""
    needed, free = int(1.2 * use.used), shutil.disk_usage(file.parent).free
    if free < needed:
        raise WarehouseError(
            f"the file is {use.free / 1024**2:,.0f} MiB larger than its rows, and rewriting it needs {needed / 1024**2:,.0f} MiB; "
            f"{free / 1024**2:,.0f} are free",
            where=str(file),
            remedy="Free some space; the next pruning tries again. Until then new rows are written into the free blocks.",
        )


def part_of(file: Path) -> Path:
    """Where the new file grows. What a killed compaction left there goes with the next one."""
    return file.with_name(file.name + ".compact")


def rewrite(connection: duckdb.DuckDBPyConnection, file: Path) -> Path:
    """Copies all of the attached file into `part_of(file)`, whole and on the disk. `WarehouseError` when the copy has other counts."""
    part = part_of(file)
    remove(part)
    with private():
        connection.execute(f"ATTACH {quoted_text(part)} AS compacted ({READ_WRITE})")
        try:
            connection.execute("COPY FROM DATABASE warehouse TO compacted").fetchall()
            before, after = (_counts(connection, name) for name in ("warehouse", "compacted"))
            if before != after:
                raise WarehouseError("the rewritten file has other rows than the old one, so the old one stays", where=str(file))
            connection.execute("CHECKPOINT compacted").fetchall()
        finally:
            connection.execute("USE warehouse")
            connection.execute("DETACH compacted")
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    return part


def remove(part: Path) -> None:
    """Deletes a file that did not become the warehouse."""
    for path in (part, part.with_name(part.name + ".wal")):
        path.unlink(missing_ok=True)


def _counts(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, int]:
    names = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL", [database]
    ).fetchall()
    count = "SELECT count(*) FROM {}"
    quoted_names = {f"{schema}.{table}": f'{database}."{schema}"."{table}"' for schema, table in names}
    return {name: connection.execute(count.format(place)).fetchall()[0][0] for name, place in quoted_names.items()}
