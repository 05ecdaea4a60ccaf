"""The file stays open for a moment after a read, since the next read mostly comes within milliseconds.

Opening costs 3 ms where a home has thirty tables and 28 ms where it has a thousand (measured), and a run reads some fifty times between
two computations. Only readers linger: others who read are not kept waiting by it, one who wants to write for `_SECONDS` at most.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple

import duckdb

_SECONDS = 0.025


class _Kept(NamedTuple):
    connection: duckdb.DuckDBPyConnection
    opening: ExitStack


class Lingering:
    """Opens the file for a read unless it is still open; safe to use from threads, each of which reads alone.

    `may_linger` says whether what is open is what a new opening would find, and whether nobody waits to write. Asked after each read and
    before each further one, so that reads which follow each other without a gap do not keep a writer out.
    """

    def __init__(self, opened: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]], may_linger: Callable[[], bool]) -> None:
        self._opened, self._may_linger = opened, may_linger
        self._mutex = threading.Condition()
        self._kept: _Kept | None = None
        self._closing_at = 0.0
        self._closer: threading.Thread | None = None
        _all.add(self)

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection for one read. An error closes the file, and comes out as the one who opened it translates it."""
        kept = self._left_open() or self._open()
        with kept.opening:
            yield kept.connection
            if self._may_linger():
                self._keep(_Kept(kept.connection, kept.opening.pop_all()))

    def close(self) -> None:
        """Close the file now, unless another thread reads."""
        if kept := self._take():
            kept.opening.close()

    def _open(self) -> _Kept:
        with ExitStack() as opening:
            return _Kept(opening.enter_context(self._opened()), opening.pop_all())

    def _left_open(self) -> _Kept | None:
        kept = self._take()
        if kept and not self._may_linger():
            kept.opening.close()
            return None
        return kept

    def _take(self) -> _Kept | None:
        with self._mutex:
            kept, self._kept = self._kept, None
        return kept

    def _keep(self, kept: _Kept) -> None:
        with self._mutex:
            other, self._kept = self._kept, kept
            self._closing_at = time.monotonic() + _SECONDS
            if self._closer is None or not self._closer.is_alive():  # a fork has none
                self._closer = threading.Thread(target=self._close_later, name="smartflow-closes-warehouse")
                self._closer.start()
        if other:
            other.opening.close()

    def _close_later(self) -> None:
        """One thread for as long as reads follow each other; it ends with what it closes."""
        with self._mutex:
            while self._kept and (left := self._closing_at - time.monotonic()) > 0:
                self._mutex.wait(left)
            kept, self._kept, self._closer = self._kept, None, None
        if kept:
            kept.opening.close()


_all: "weakref.WeakSet[Lingering]" = weakref.WeakSet()


def _close_all() -> None:
    for lingering in list(_all):
        lingering.close()


os.register_at_fork(before=_close_all)  # a child that closes it would free our lock
