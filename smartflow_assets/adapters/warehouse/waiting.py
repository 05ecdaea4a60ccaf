"""Whoever waits for others says so once it is more than a moment: a minute of silence looks like a program that hangs."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

TOLD_AFTER = timedelta(seconds=5)
_log = logging.getLogger(__name__)


class Waiting:
    """One wait, which begins now and is told once, as a warning."""

    def __init__(self) -> None:
        self._started, self._is_told = time.monotonic(), False

    @property
    def waited(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._started)

    def tell(self, why: Callable[[], str]) -> None:
        """To be called again and again while it lasts; `why` says what is held by whom, and is asked only when it is told."""
        if not self._is_told and self.waited >= TOLD_AFTER:
            self._is_told = True
            _log.warning("waiting: %s", why())
