"""Answers that were given before. What is asked of one copy of the warehouse has one answer, so it is worked out once.

An answer is known by the copy, the files of the home and the question; another copy forgets all. Pages that are open ask again and again
and are told `304 Not Modified` by the same name (ETag).
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic_core import to_json

_MOST_BYTES = 16 * 1024**2


class Answers:
    """Bodies by question, the least asked for going first once they take more than 16 MiB."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._state = ""
        self._turns: dict[str, tuple[threading.Lock, int]] = {}
        self._mutex = threading.Lock()

    def get(self, state: str, key: str) -> bytes | None:
        """The body that was kept for a question in this state of the home."""
        with self._mutex:
            if state == self._state and key in self._bodies:
                self._bodies.move_to_end(key)
                return self._bodies[key]
            return None

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """One at a time for each question: who comes second finds the answer of the first. When a copy is new, all open pages ask the
        same."""
        with self._mutex:
            turn, waiting = self._turns.get(key, (threading.Lock(), 0))
            self._turns[key] = (turn, waiting + 1)
        try:
            with turn:
                yield
        finally:
            with self._mutex:
                turn, waiting = self._turns[key]
                if waiting == 1:
                    del self._turns[key]
                else:
                    self._turns[key] = (turn, waiting - 1)

    def keep(self, state: str, key: str, body: bytes) -> None:
        """Keep a body; those of another state go."""
        with self._mutex:
            if state != self._state:
                self._bodies.clear()
                self._size, self._state = 0, state
            if len(body) > _MOST_BYTES // 4 or key in self._bodies:
                return
            self._bodies[key] = body
            self._size += len(body)
            while self._size > _MOST_BYTES:
                _, gone = self._bodies.popitem(last=False)
                self._size -= len(gone)


def as_json(value: Any) -> bytes:
    """Plain values as JSON: times in ISO 8601 with Z, what is no number as null."""
    return to_json(value, inf_nan_mode="null")
