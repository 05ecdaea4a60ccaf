"""Dagster's own SQLite history, with less work for each event: a test keeps its history for seconds.

An engine is made once for each file, where Dagster makes one for each of the thousand statements of a run, and nobody waits for
the disk: what is written is seen by other processes all the same, and only a power cut could lose it.
"""

from functools import cache
from typing import Any

import sqlalchemy
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

MODULES = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)
_engines: dict[str, sqlalchemy.Engine] = {}


@cache
def install() -> None:
    for module in MODULES:
        module.create_engine = _engine  # pyright: ignore


def _engine(url: str, **options: Any) -> sqlalchemy.Engine:
    if url not in _engines:
        _engines[url] = sqlalchemy.create_engine(url, **options)
        sqlalchemy.event.listen(_engines[url], "connect", _hurry)
    return _engines[url]


def _hurry(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")
