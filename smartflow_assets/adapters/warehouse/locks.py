"""Advisory locks: who may write the warehouse, and which run has a source.

`flock` on a small file: the kernel frees it when its holder dies, however it dies, so no lock is ever stale. The file says
in JSON who holds it, for the sentence that somebody waiting gets. The same class guards the warehouse (writers exclusive,
readers shared) and the sources (one run at a time). POSIX and local disks only.
"""

import fcntl
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smartflow_assets.adapters.files.access import make_folder, make_private_folder
from smartflow_assets.adapters.warehouse.waiting import Waiting
from smartflow_assets.core.errors import WarehouseBusyError

_RETRY_SECONDS = (0.002, 0.012)  # jittered; ten writers of 30 ms each then wait 0.3 s at most (measured)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock exclusively, since when (ISO 8601, UTC)."""

    run_id: str
    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        run = f"run {self.run_id}, " if self.run_id else ""
        return f"{run}PID {self.pid} on {self.host}, since {self.since}"


class AdvisoryLock:
    """A lock on `path`. Each use opens the file anew, so threads exclude each other as processes do.

    A writer who waits first takes the turnstile, `<path>.turn`, through which readers must go: readers who come and go
    without a gap would otherwise keep every writer out.
    """

    def __init__(self, path: Path, *, is_beside_shared: bool = False) -> None:
        """`is_beside_shared`: the folder also holds what others read; else it is made for its owner alone."""
        self.path, self._make_folder = path, make_folder if is_beside_shared else make_private_folder
        self._turnstile = path.with_name(path.name + ".turn")

    @contextmanager
    def exclusive(self, timeout: timedelta, holder: str = "") -> Iterator[timedelta]:
        """Hold the lock alone; yields how long that took. `holder` is the run id that others will read.

        Raises `WarehouseBusyError` naming the holder after `timeout` (zero: one try).
        """
        waiting = Waiting()
        with self._opened(self.path) as lock:
            with self._opened(self._turnstile) as turnstile:
                self._take(turnstile, fcntl.LOCK_EX, waiting, timeout)
                self._take(lock, fcntl.LOCK_EX, waiting, timeout)
            me = Holder(holder, os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))
            os.ftruncate(lock, 0)
            os.pwrite(lock, json.dumps(asdict(me)).encode(), 0)
            try:
                yield waiting.waited
            finally:
                os.ftruncate(lock, 0)  # the next holder must not be taken for us before it has written its name

    @contextmanager
    def shared(self, timeout: timedelta) -> Iterator[timedelta]:
        """Hold the lock beside other readers; yields how long that took. Raises as `exclusive` does."""
        waiting = Waiting()
        with self._opened(self.path) as lock:
            with self._opened(self._turnstile) as turnstile:
                self._take(turnstile, fcntl.LOCK_SH, waiting, timeout)
                self._take(lock, fcntl.LOCK_SH, waiting, timeout)
            yield waiting.waited

    def is_wanted(self) -> bool:
        """Whether somebody waits to hold the lock alone, or does: they have taken the turnstile."""
        with self._opened(self._turnstile) as turnstile:
            return not _try(turnstile, fcntl.LOCK_SH)

    def holder(self) -> Holder | None:
        """Who holds the lock exclusively now; None when nobody does, whatever the file still says.

        Asks for the lock as a reader, for an instant: whoever tries to take it just then retries, so nobody is disturbed.
        """
        if not self.path.exists():
            return None
        with self._opened(self.path) as lock:
            return None if _try(lock, fcntl.LOCK_SH) else self._written_holder()

    def abandoned_at(self) -> datetime | None:
        """When somebody took the lock whose process ended while it held it; None where it was given back, is held or was taken since."""
        if not self.path.exists():
            return None
        with self._opened(self.path) as lock:
            status = os.fstat(lock)
            return datetime.fromtimestamp(status.st_mtime, UTC) if status.st_size and _try(lock, fcntl.LOCK_SH) else None

    def remove(self) -> None:
        """Delete the files of a lock that nobody will ask for again, such as a run's."""
        self.path.unlink(missing_ok=True)
        self._turnstile.unlink(missing_ok=True)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        self._make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a forked child may still hold the descriptor: closing is not enough
            os.close(descriptor)

    def _take(self, descriptor: int, mode: int, waiting: Waiting, timeout: timedelta) -> None:
        patience = max(timeout, timedelta(seconds=3 * _RETRY_SECONDS[1]))  # a probe of holder() is no reason to give up
        while not _try(descriptor, mode):
            waiting.tell(lambda: self._held_by(self.holder()))
            if waiting.waited >= patience:
                holder = self.holder()
                raise WarehouseBusyError(
                    f"{self._held_by(holder)}; gave up after {waiting.waited.total_seconds():.1f} s",
                    remedy="Wait for it to end" + (f", or end it with: kill {holder.pid}." if holder else "."),
                )
            time.sleep(random.uniform(*_RETRY_SECONDS))

    def _held_by(self, holder: Holder | None) -> str:
        return f"{self.path} is held by {holder or 'processes that read'}"

    def _written_holder(self) -> Holder:
        text = ""
        for _ in range(3):  # the holder may be between taking the lock and writing its name
            text = self.path.read_text()
            with suppress(ValueError, TypeError):
                return Holder(**json.loads(text))
            time.sleep(0.005)
        return Holder(text[:80], 0, "unknown host", "unknown time")


def _try(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
