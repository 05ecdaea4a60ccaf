"""DuckDB in memory to stage in: one for a content, kept for the next, since starting it costs as much as staging a small file."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted_text

MEMORY = "384MB"  # ten million rows stage in less; what does not fit goes to the staging folder
THREADS = 2
_idle: list[tuple[int, duckdb.DuckDBPyConnection]] = []  # the process that started it, and the engine


@contextlib.contextmanager
def session(folder: Path, timezone: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a database of its own, whose time zone is the reader's; it asks no network for extensions.

    One that had an error is thrown away, and so is one that has spilled: its folder goes with the content.
    """
    engine, spill = _taken(), folder / "spill"
    try:
        connection = engine.cursor()  # with temporary tables of its own, such as those of rejected lines
        connection.execute(f"SET GLOBAL temp_directory = {quoted_text(spill)}")
        connection.execute(f"SET GLOBAL memory_limit = '{MEMORY}'")
        connection.execute(f"SET GLOBAL threads = {THREADS}")
        connection.execute(f"SET TimeZone = {quoted_text(timezone)}")
        yield connection
        connection.close()
    except BaseException:
        engine.close()
        raise
    if _idle or spill.exists():
        engine.close()
    else:
        _idle.append((os.getpid(), engine))


def _taken() -> duckdb.DuckDBPyConnection:
    """An idle engine of this process, or a new one: a fork has the engine, not its threads."""
    with contextlib.suppress(IndexError):
        pid, engine = _idle.pop()
        if pid == os.getpid():
            return engine
    return duckdb.connect(config={"autoinstall_known_extensions": "false"})
