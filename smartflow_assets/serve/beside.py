"""A process beside the server for what takes long or weighs much: runs, predictions, previews.

The server stays small and goes on answering, and a process that dies takes nothing with it but its own piece of work. It is started by
the first piece of work and ended when there was none for a while. Functions are handed over by name, with plain values.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any

IDLE_AFTER = 600.0  # seconds
_working = threading.Lock()  # of the process beside: held while it works


def _end_with_server() -> None:
    """Begin the process: once its server is gone, however that ended, it finishes what it is at and ends too."""
    server = multiprocessing.parent_process()

    def wait() -> None:
        if server is not None:
            server.join()
            with _working:
                os._exit(0)

    threading.Thread(target=wait, name="waits for the end of the server", daemon=True).start()


def _worked(function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    with _working:
        return function(*given)


def _started() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_server)


class Beside:
    """One process, which does one thing after the other."""

    def __init__(self, idle_after: float = IDLE_AFTER) -> None:
        self._idle_after = idle_after
        self._pool: ProcessPoolExecutor | None = None
        self._pid: Future[int] | None = None
        self._under_way, self._used_at = 0, 0.0
        self._timer: threading.Timer | None = None
        self._mutex = threading.Lock()

    def submit(self, function: Callable[..., Any], *given: Any) -> "Future[Any]":
        """Have `function(*given)` done; BrokenProcessPool in its result where the process died of it."""
        with self._mutex:
            pool = self._pool or self._begun()
            try:
                future = pool.submit(_worked, function, given)
            except BrokenProcessPool:  # the work before it was its end
                pool = self._begun()
                future = pool.submit(_worked, function, given)
            self._under_way += 1
        future.add_done_callback(lambda done: self._done(pool, done))
        return future

    async def call(self, function: Callable[..., Any], *given: Any) -> Any:
        """The same, waited for without holding anybody up."""
        return await asyncio.wrap_future(self.submit(function, *given))

    def close(self, patience: float = 0.0) -> None:
        """End the process; what waits is not done any more, and what is under way has so many seconds to end."""
        with self._mutex:
            pool, self._pool = self._pool, None
            if self._timer is not None:
                self._timer.cancel()
        if pool is None:
            return
        pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + patience
        while self._under_way and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._under_way and self._pid is not None and self._pid.done() and not self._pid.exception():
            with suppress(ProcessLookupError):  # an interpreter waits for its children before it ends
                os.kill(self._pid.result(), signal.SIGKILL)

    def _begun(self) -> ProcessPoolExecutor:
        self._pool = _started()
        self._pid = self._pool.submit(os.getpid)
        return self._pool

    def _done(self, pool: ProcessPoolExecutor, future: "Future[Any]") -> None:
        with self._mutex:
            self._under_way -= 1
            self._used_at = time.monotonic()
            if not future.cancelled() and isinstance(future.exception(), BrokenProcessPool) and self._pool is pool:
                self._pool = None
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._idle_after, self._end_if_idle)
            self._timer.daemon = True
            self._timer.start()

    def _end_if_idle(self) -> None:
        with self._mutex:
            if self._under_way or self._pool is None or time.monotonic() - self._used_at < self._idle_after:
                return
            pool, self._pool = self._pool, None
        pool.shutdown(wait=False)
