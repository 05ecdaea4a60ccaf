"""Connections to the SQLite files of Dagster's history, kept for as long as a command runs jobs in its own process.

Dagster opens a file for each event that it stores and each question that it asks: with a new SQLAlchemy engine, which compiles every
statement anew, and with a connection at whose end SQLite folds its log in. That is half of what an event costs, and no setting changes it.
So while `kept_connections` is open the modules that make those engines are given them from here. Each is made as Dagster asks for it, only
its pool keeps what it has opened. A commit is then safe from a killed process as before, and the last ones before a power failure may be
missing from Dagster's history, which never gets inconsistent; what a run must not lose is in the warehouse.

Those modules are private, so a release of Dagster may move them: then everything is opened anew as before, and a test fails.
"""

import importlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

_MODULES = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
    "dagster._core.storage.schedules.sqlite.sqlite_schedule_storage",
)
_MAKER = "create_engine"
_MOST_FILES = 6  # the index of events, runs, schedules, and the files of the newest runs: each run has one of its own


def _storages() -> Iterator[ModuleType]:
    for name in _MODULES:
        with suppress(ImportError):
            yield importlib.import_module(name)


_STORAGES = tuple(_storages())


@contextmanager
def kept_connections() -> Iterator[None]:
    """Dagster's SQLite storages use one engine for each file, and connections that stay open."""
    engines = _Engines()
    replaced = {module: getattr(module, _MAKER) for module in _STORAGES if hasattr(module, _MAKER)}
    for module in replaced:
        setattr(module, _MAKER, engines.of_file)
    try:
        yield
    finally:
        for module, maker in replaced.items():
            setattr(module, _MAKER, maker)
        engines.close()


class _Engines:
    """The engines of the files that were used last."""

    def __init__(self) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()

    def of_file(self, url: str, **asked: Any) -> "Engine":
        """What `create_engine` gives, once for each file."""
        if url not in self._engines:
            import sqlalchemy
            from sqlalchemy import event

            engine = sqlalchemy.create_engine(url, **asked | {"poolclass": sqlalchemy.QueuePool})
            engine.dispose = lambda close=True: None  # Dagster disposes of the engine after each use
            event.listen(engine, "connect", _wait_for_no_disk)
            self._engines[url] = engine
        self._engines.move_to_end(url)
        while len(self._engines) > _MOST_FILES:
            _dispose(self._engines.popitem(last=False)[1])
        return self._engines[url]

    def close(self) -> None:
        for engine in self._engines.values():
            _dispose(engine)
        self._engines.clear()


def _dispose(engine: "Engine") -> None:
    type(engine).dispose(engine)


def _wait_for_no_disk(connection: Any, _: object) -> None:
    """Dagster's files keep a log of writes (WAL), which NORMAL flushes when it is folded in and not at each commit."""
    connection.execute("PRAGMA synchronous = NORMAL")
