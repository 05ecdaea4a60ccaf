"""DuckDB with one file attached, for as long as one piece of work takes.

Starting DuckDB costs 15 ms, so engines are kept; files are not: what is attached is released again, and with it DuckDB's own lock on it.
Attaching costs 3 ms where a file has thirty tables, 28 ms where it has a thousand (measured): see `lingering.py`.
Only `warehouse.py` uses this.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import duckdb

from smartflow_assets.adapters.duckdb_errors import is_busy, warehouse_error
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.warehouse.waiting import Waiting
from smartflow_assets.core.errors import is_query_interrupt

STORAGE_VERSION = "v1.4.0"  # what DuckDB 1.4 and later, and today's tools, can open
READ_ONLY, READ_WRITE = "READ_ONLY", f"STORAGE_VERSION '{STORAGE_VERSION}'"
_KEPT_IDLE = 2
_log = logging.getLogger(__name__)
_numbers = count()


class _Engine:
    """An in-memory DuckDB; what does not fit in its memory goes to a folder that no other engine shares."""

    def __init__(self, spill_base: Path, memory_limit: str) -> None:
        self.pid = os.getpid()
        self.spill = spill_base.with_name(f"{spill_base.name}.spill-{self.pid}-{next(_numbers)}")
        self.duckdb = duckdb.connect(":memory:", config={"memory_limit": memory_limit, "temp_directory": str(self.spill)})
        self.duckdb.execute("SET GLOBAL TimeZone = 'UTC'")
        self.duckdb.execute("SET GLOBAL pandas_analyze_sample = 0")  # object columns are text; a sample can mislead

    def close(self) -> None:
        self.duckdb.close()
        shutil.rmtree(self.spill, ignore_errors=True)


class Engines:
    """A few idle engines; `spill_base` is the file beside which they spill."""

    def __init__(self, spill_base: Path, memory_limit: str) -> None:
        self._spill_base, self._memory_limit = spill_base, memory_limit
        self._idle: list[_Engine] = []
        self._mutex = threading.Lock()

    @contextmanager
    def attached(self, file: Path, mode: str, timeout: timedelta) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that uses `file`, which is closed again after.

        A stranger who has the file open without our lock is waited for up to `timeout`, then named. DuckDB's errors, here and
        in the body, come out as `SmartflowError`s; the engine that had one is thrown away. The log beside the file and what is spilled
        hold rows: whoever writes or asks does so in `private`.
        """
        engine = self._take()
        try:
            connection = engine.duckdb.cursor()
            _attach(connection, file, mode, timeout)
            yield connection
        except BaseException as error:
            engine.close()
            if is_query_interrupt(error):
                raise KeyboardInterrupt from None
            if isinstance(error, duckdb.Error):
                raise warehouse_error(error, file) from error
            raise
        try:
            connection.execute("USE memory")
            connection.execute("DETACH warehouse")
            connection.close()
        except duckdb.Error as error:  # the work is committed, in the log beside the file; only folding it in has failed
            _log.warning("%s: not checkpointed, the next writer will do it: %s", file, error)
            engine.close()
        else:
            self._give_back(engine)

    def sweep(self) -> None:
        """Removes what killed processes spilled."""
        for spill in self._spill_base.parent.glob(f"{self._spill_base.name}.spill-*"):
            if not _is_alive(int(spill.name.split("-")[-2])):
                shutil.rmtree(spill, ignore_errors=True)

    def _take(self) -> _Engine:
        with self._mutex:
            self._idle = [engine for engine in self._idle if engine.pid == os.getpid()]  # a fork has the engine, not its threads
            if self._idle:
                return self._idle.pop()
        return _Engine(self._spill_base, self._memory_limit)

    def _give_back(self, engine: _Engine) -> None:
        with self._mutex:
            if len(self._idle) < _KEPT_IDLE and not engine.spill.exists():
                self._idle.append(engine)
                return
        engine.close()


def _attach(connection: duckdb.DuckDBPyConnection, file: Path, mode: str, timeout: timedelta) -> None:
    waiting = Waiting()
    while True:
        try:
            connection.execute(f"ATTACH {quoted_text(file)} AS warehouse ({mode})")
        except duckdb.Error as error:
            if not is_busy(error) or waiting.waited >= timeout:
                raise
            waiting.tell(lambda busy=error: warehouse_error(busy, file).what)
            time.sleep(0.05)
        else:
            connection.execute("USE warehouse")
            return


def _is_alive(pid: int) -> bool:
    with suppress(PermissionError):  # alive, and somebody else's
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
