"""Who listens to the events of this server: a queue each, so that a slow one holds up no other.

One that does not keep up is dropped: its connection ends, and it comes back with the number of the last event that it has seen.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MOST_WAITING = 500


@dataclass(frozen=True)
class Told:
    """What goes over the wire; `event_id` is 0 and `source` None for what is no event of the log."""

    text: bytes
    event_id: int = 0
    source: str | None = None


@dataclass(eq=False)
class Listener:
    """One connection. `None` in its queue ends it."""

    loop: asyncio.AbstractEventLoop
    queue: "asyncio.Queue[Told | None]" = field(default_factory=lambda: asyncio.Queue(MOST_WAITING + 1))
    is_dropped: bool = False

    def put(self, told: Told | None) -> None:
        """Hand over what goes over the wire; runs in the loop of the connection."""
        if self.is_dropped:
            return
        if self.queue.qsize() >= MOST_WAITING and told is not None:
            self.is_dropped, told = True, None
        self.queue.put_nowait(told)


class Listeners:
    """All connections of this process; may be told from any thread."""

    def __init__(self) -> None:
        self._all: set[Listener] = set()
        self._mutex = threading.Lock()
        self.sent_count = 0

    @property
    def count(self) -> int:
        """How many listen."""
        return len(self._all)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """A listener from now on; what is told meanwhile waits in its queue."""
        listener = Listener(asyncio.get_running_loop())
        with self._mutex:
            self._all.add(listener)
        try:
            yield listener
        finally:
            with self._mutex:
                self._all.discard(listener)

    def tell(self, told: Told) -> None:
        """Tell all of them."""
        with self._mutex:
            listening = list(self._all)
            self.sent_count += len(listening)
        for each in listening:
            each.loop.call_soon_threadsafe(each.put, told)

    def end(self) -> None:
        """End all connections: the server stops."""
        with self._mutex:
            listening = list(self._all)
        for each in listening:
            each.loop.call_soon_threadsafe(each.put, None)
