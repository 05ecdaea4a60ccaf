"""What watches the copy: a thread that looks each half second whether another one lies there, and makes events of what is new in it.

What may be new is found by the table `writes`, as the stages find what is pending: windows that were written since the last look. What
of it is known already the log of events knows. A look that fails is told in the log of the server, once for each reason, and made again.
"""

import logging
import threading
from datetime import UTC, datetime

from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.serve.feed import wire
from smartflow_assets.serve.feed.event_log import Event
from smartflow_assets.serve.feed.listeners import Told
from smartflow_assets.serve.queries import events as asked
from smartflow_assets.serve.service import Service

EACH, AFTER_A_FAILURE = 0.5, 5.0  # seconds
_log = logging.getLogger("smartflow.serve")


class Watcher(threading.Thread):
    """Watches the copy of a home as long as its server runs."""

    def __init__(self, service: Service) -> None:
        super().__init__(name="watches the published copy", daemon=True)
        self._service = service
        self._generation, self._told_up_to = "", 0
        self._is_ended, self._failure = threading.Event(), ""

    def run(self) -> None:
        self._told_up_to = self._service.events.last_id
        while not self._is_ended.wait(EACH):
            try:
                self.look()
                self._failure = ""
            except Exception as error:
                self._log(error)
                self._is_ended.wait(AFTER_A_FAILURE)

    def end(self) -> None:
        """Stop looking."""
        self._is_ended.set()

    def look(self) -> None:
        """Make events of what is new in the copy that lies there now, and tell whoever listens."""
        service = self._service
        if service.published.generation not in ("", self._generation):
            with service.published.snapshot() as snapshot:
                touched = self._taken(snapshot)
                published = wire.published(snapshot.generation, asked.published_at(snapshot), touched)
            self._generation = snapshot.generation
            self._tell()
            service.listeners.tell(Told(published))
        elif service.listeners.count:  # another server of this home may have been first
            self._tell()

    def _log(self, error: Exception) -> None:
        """One line for each reason, since it lasts until somebody does something; with where it came from for what nobody thought of."""
        said = f"{type(error).__name__}: {error}"
        if said != self._failure:
            self._failure = said
            _log.error(
                "the published copy cannot be looked at, which is tried again: %s", error, exc_info=not isinstance(error, SmartflowError)
            )

    def _tell(self) -> None:
        while news := self._service.events.after(self._told_up_to):
            for each in news:
                self._service.listeners.tell(Told(wire.event(each), each.event_id, each.source))
            self._told_up_to = news[-1].event_id

    def _taken(self, snapshot: Snapshot) -> list[str]:
        """-> the sources that changed since the last copy that was read."""
        log, newest = self._service.events, asked.newest_write(snapshot)
        seen = log.seen_up_to()
        if newest is None:
            return []
        if seen is None:
            log.begin(asked.known_keys(snapshot), newest.isoformat())
            return []
        since = datetime.fromisoformat(seen).astimezone(UTC)
        if newest < since:  # a backup was put back: what it has is known or is no news
            log.begin(asked.known_keys(snapshot), newest.isoformat())
            return asked.touched_sources(snapshot, datetime.min.replace(tzinfo=UTC))
        if newest > since:
            log.take((Event.of(*each) for each in asked.news(snapshot, since)), newest.isoformat())
        return asked.touched_sources(snapshot, since)
