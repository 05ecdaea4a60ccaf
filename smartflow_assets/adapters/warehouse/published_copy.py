"""The published copy, held open for many readers of one process, and opened anew when another one takes its place.

`Warehouse.published_read` opens the file for each question, which is right for a command and too much for a server. Here a *snapshot* is
one state of the warehouse: whoever has begun with a copy ends with it, whatever is published meanwhile, and the old copy is closed when
its last reader is through. The engine of each copy is its own, since DuckDB knows an open file by its name.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from smartflow_assets.adapters.duckdb_errors import warehouse_error
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.warehouse import publishing
from smartflow_assets.adapters.warehouse.readable import frame_of
from smartflow_assets.core.errors import WarehouseError

_ATTEMPTS = 20


@dataclass
class _Held:
    """An open copy: which one it is, its engine, and how many read it."""

    generation: str
    engine: duckdb.DuckDBPyConnection
    readers: int = 0
    is_retired: bool = False


@dataclass(frozen=True)
class Snapshot:
    """One state of the warehouse. `generation` names it: another copy has another name. For one thread; results are values, not frames."""

    generation: str
    _cursor: duckdb.DuckDBPyConnection = field(repr=False)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query by column; times are aware, in UTC. WarehouseError when it fails."""
        result = self._executed(sql, params)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def columns(self, sql: str, params: Sequence[Any] = ()) -> dict[str, list[Any]]:
        """The columns of a query, in the order of its rows; NULL is None. For many numbers: a tenth of the time of `rows`."""
        arrays = self._executed(sql, params).fetchnumpy()
        return {name: array.tolist() for name, array in arrays.items()}

    def read(self, sql: str, params: Sequence[Any] = ()) -> pd.DataFrame:
        """The same as a frame, for what reads the live file too (`Readable`)."""
        return frame_of(self._executed(sql, params))

    def reading(self) -> AbstractContextManager[None]:
        """Nothing: it is open."""
        return nullcontext()

    def execute(self, sql: str) -> None:
        """A statement that has no result, such as a setting of this session."""
        self._executed(sql, ())

    def _executed(self, sql: str, params: Sequence[Any]) -> duckdb.DuckDBPyConnection:
        try:
            return self._cursor.execute(sql, list(params))
        except duckdb.Error as error:
            name = Path("the published copy")
            raise publishing.copy_error(warehouse_error(error, name), error, name) from error


class PublishedCopy:
    """Reads of the published copy for a process that lives long. Safe to use from threads; nobody is blocked, no lock is taken."""

    def __init__(self, file: Path, *, memory_limit: str = "512MiB", threads: int = 2) -> None:
        self.file = file
        self._config = {"memory_limit": memory_limit, "threads": threads, "temp_directory": ""}
        self._held: _Held | None = None
        self._mutex = threading.Lock()

    @property
    def generation(self) -> str:
        """Which copy lies there now; empty where nothing was published yet."""
        return publishing.generation(self.file)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The newest copy, the same one from the first to the last question. WarehouseError where nothing is published yet."""
        held = self._taken()
        try:
            cursor = held.engine.cursor()
            try:
                cursor.execute("USE published")
                yield Snapshot(held.generation, cursor)
            finally:
                cursor.close()
        finally:
            self._given_back(held)

    def close(self) -> None:
        """Close the copy once its readers are through; the next snapshot opens it again."""
        with self._mutex:
            self._retire()

    def _taken(self) -> _Held:
        with self._mutex:
            generation = self.generation
            if self._held is None or self._held.generation != generation:
                opened = self._opened()  # the one that was open goes on where this fails
                self._retire()
                self._held = opened
            self._held.readers += 1
            return self._held

    def _opened(self) -> _Held:
        """DuckDB looks a file up more than once while it attaches it: one that was replaced in between is tried again."""
        for attempt in range(1, _ATTEMPTS + 1):
            generation = self.generation
            if not generation:
                raise publishing.not_published(self.file)
            engine = duckdb.connect(":memory:", config=self._config)
            try:
                engine.execute("SET GLOBAL TimeZone = 'UTC'")
                engine.execute(f"ATTACH {quoted_text(self.file)} AS published (READ_ONLY)")
            except duckdb.Error as error:
                engine.close()
                if attempt == _ATTEMPTS:
                    raise publishing.copy_error(warehouse_error(error, self.file), error, self.file) from error
                time.sleep(0.05)
                continue
            if self.generation == generation:
                return _Held(generation, self._whole(engine))
            engine.close()
        raise WarehouseError("the published copy was replaced each time it was opened", where=str(self.file), remedy="Try again.")

    def _whole(self, engine: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        try:
            publishing.require_whole(engine, "published", self.file)
        except WarehouseError:
            engine.close()
            raise
        return engine

    def _retire(self) -> None:
        if self._held is not None:
            self._held.is_retired = True
            if not self._held.readers:
                _close(self._held)
            self._held = None

    def _given_back(self, held: _Held) -> None:
        with self._mutex:
            held.readers -= 1
            if held.is_retired and not held.readers:
                _close(held)


def _close(held: _Held) -> None:
    with suppress(duckdb.Error):
        held.engine.close()
