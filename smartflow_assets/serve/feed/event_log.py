"""The log of events: each once, with a number that only grows, kept in SQLite beside the warehouse.

A page that was away asks for what came after the last number that it has seen, also after the server was killed: the number and the
event are one commit. An event is known by its key, so whatever is read of the warehouse twice is told once. Several servers of one home
share the log.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from smartflow_assets.serve.ledger_file import LedgerFile

MOST_KEPT = 10_000
"""So many events can be resumed from; of older ones the key alone is kept."""
_LARGEST = 2**63 - 1  # that SQLite has
_TABLES = """
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
                                   source TEXT NOT NULL, data TEXT);
CREATE TABLE IF NOT EXISTS seen (one INTEGER PRIMARY KEY CHECK (one = 1), up_to TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS used_links (nonce TEXT PRIMARY KEY, used_at TEXT NOT NULL, used_for TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Event:
    """Something that happened. `key` tells it from all others, `data` is JSON; `event_id` is 0 until it is in the log."""

    key: str
    kind: str
    source: str
    data: str
    event_id: int = 0

    @classmethod
    def of(cls, key: str, kind: str, source: str, facts: dict[str, Any]) -> "Event":
        """One whose data are these facts."""
        return cls(key, kind, source, to_json(facts, inf_nan_mode="null").decode())


class EventLog:
    """Safe to use from threads and processes."""

    def __init__(self, file: Path) -> None:
        self._file = LedgerFile(file, _TABLES, is_kept_through_power_cuts=False)

    def seen_up_to(self) -> str | None:
        """How far the warehouse was read, as `take` was told; None where it never was."""
        rows = self._file.asked("SELECT up_to FROM seen")
        return rows[0][0] if rows else None

    def take(self, events: Iterable[Event], up_to: str) -> list[Event]:
        """Add what is new of these and note how far the warehouse was read, in one commit -> the new ones, with their numbers."""
        added = list[Event]()
        with self._file.transaction() as connection:
            for each in events:
                row = connection.execute(
                    "INSERT INTO events (key, kind, source, data) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING RETURNING id",
                    (each.key, each.kind, each.source, each.data),
                ).fetchone()
                if row is not None:
                    added.append(Event(each.key, each.kind, each.source, each.data, row[0]))
            self._note(connection, up_to)
            connection.execute(
                "UPDATE events SET data = NULL WHERE data IS NOT NULL AND id <= (SELECT max(id) FROM events) - ?", (MOST_KEPT,)
            )
        return added

    def begin(self, keys: Iterable[str], up_to: str) -> None:
        """Begin with what is there already: it is known, and no news."""
        with self._file.transaction() as connection:
            connection.executemany(
                "INSERT INTO events (key, kind, source) VALUES (?, 'before', '') ON CONFLICT (key) DO NOTHING", ((key,) for key in keys)
            )
            self._note(connection, up_to)

    def after(self, event_id: int, limit: int = 1000) -> list[Event]:
        """The events after this number, the oldest first."""
        rows = self._file.asked(
            "SELECT key, kind, source, data, id FROM events WHERE id > ? AND data IS NOT NULL ORDER BY id LIMIT ?", event_id, limit
        )
        return [Event(*row) for row in rows]

    def newest(self, limit: int, before: int | None = None) -> Sequence[Event]:
        """The last ones, or the last before a number, the newest first."""
        rows = self._file.asked(
            "SELECT key, kind, source, data, id FROM events WHERE data IS NOT NULL AND id < ? ORDER BY id DESC LIMIT ?",
            _LARGEST if before is None else min(before, _LARGEST),
            limit,
        )
        return [Event(*row) for row in rows]

    @property
    def last_id(self) -> int:
        """The number of the newest event; 0 where there is none."""
        return int(self._file.asked("SELECT coalesce(max(id), 0) FROM events")[0][0])

    def use_link(self, nonce: str, used_at: str, used_for: str) -> bool:
        """Note that a signed link was used -> False where it was before."""
        with self._file.transaction() as connection:
            done = connection.execute(
                "INSERT INTO used_links VALUES (?, ?, ?) ON CONFLICT (nonce) DO NOTHING RETURNING nonce", (nonce, used_at, used_for)
            ).fetchone()
        return done is not None

    def forget_link(self, nonce: str) -> None:
        """It did nothing after all, and may be used again."""
        self._file.asked("DELETE FROM used_links WHERE nonce = ?", nonce)

    def is_link_used(self, nonce: str) -> bool:
        """Whether a signed link was used."""
        return bool(self._file.asked("SELECT 1 FROM used_links WHERE nonce = ?", nonce))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()

    def _note(self, connection: sqlite3.Connection, up_to: str) -> None:
        connection.execute("INSERT INTO seen VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET up_to = excluded.up_to", (up_to,))


def read(event: Event) -> dict[str, Any]:
    """What an event says."""
    return json.loads(event.data)
