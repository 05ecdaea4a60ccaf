"""A small SQLite file beside the warehouse: for what has to be on the disk before an answer leaves, which a commit of the warehouse is too
slow for, and which is no table for analysts."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smartflow_assets.adapters.files.access import make_private_folder, private
from smartflow_assets.adapters.files.inode import inode
from smartflow_assets.core.errors import WarehouseBusyError, WarehouseError


class LedgerFile:
    """Safe to use from threads and processes. `tables` are the statements that make what is not there; `is_kept_through_power_cuts`
    waits for the disk at each commit."""

    def __init__(self, file: Path, tables: str, *, is_kept_through_power_cuts: bool) -> None:
        self.file, self._tables = file, tables
        self._synchronous = "FULL" if is_kept_through_power_cuts else "NORMAL"
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._mutex = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is done inside, or nothing; other writers wait."""
        with self._mutex, self._told(), self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def asked(self, sql: str, *given: Any) -> list[Any]:
        """The rows of one statement."""
        with self._mutex, self._told(), self._opened() as connection:
            return connection.execute(sql, given).fetchall()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite says goes on as an error of ours: WarehouseBusyError where others hold the file too long, else WarehouseError."""
        try:
            yield
        except sqlite3.Error as error:
            if self._connection is not None and not isinstance(error, sqlite3.IntegrityError):
                self._connection.close()  # it may be of a file that is gone
                self._connection = None
            if "locked" in str(error):
                raise WarehouseBusyError(
                    "another program holds the file", where=str(self.file), remedy="Try again once it is done."
                ) from error
            remedy = "Is the disk full? Else put the file aside while no server runs: the next one begins a new one."
            raise WarehouseError(f"SQLite says: {error}", where=str(self.file), remedy=remedy) from error

    def _opened(self) -> sqlite3.Connection:
        """As a context it commits, or takes back where an error leaves it. A file that was taken away is begun anew."""
        if self._connection is not None and self._inode != inode(self.file):
            self._connection.close()
            self._connection = None
        if self._connection is None:
            make_private_folder(self.file.parent)
            with private():
                self._connection = sqlite3.connect(self.file, timeout=30, isolation_level=None, check_same_thread=False)
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute(f"PRAGMA synchronous = {self._synchronous}")
                self._connection.executescript(self._tables)
                self._inode = inode(self.file)
        return self._connection
