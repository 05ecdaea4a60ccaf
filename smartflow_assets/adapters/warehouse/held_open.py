"""One opening of the file for several reads of a thread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import duckdb


class HeldOpen(threading.local):
    """Opens the file at the first read of a block and closes it at the block's end, or before; each thread has its own."""

    def __init__(self, opened: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]) -> None:
        self._opened = opened
        self._depth = 0
        self._stack, self._connection = ExitStack(), None

    @contextmanager
    def block(self) -> Iterator[None]:
        """Reads inside share one opening; a block inside of a block belongs to it."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.close()

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection for one read. An error closes the file, and comes out as the one who opened it translates it."""
        if not self._depth:
            with self._opened() as connection:
                yield connection
            return
        if self._connection is None:
            self._connection = self._stack.enter_context(self._opened())
        try:
            yield self._connection
        except BaseException as error:
            self._connection = None
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise

    def close(self) -> None:
        """Close the file before the block ends; the next read opens it again."""
        self._connection = None
        self._stack.close()
