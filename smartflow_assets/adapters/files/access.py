"""Who may read what a home holds: its owner alone, but for what is there to be read.

Raw rows, models, messages and run history may hold what only SmartFlow's user should see, so files are made with 0600 and folders with
0700 while `private` is open. The published copy and exports follow `share` of data/home.yaml. The umask belongs to a process, not to a
thread: it is set once, however many threads are inside, and processes that are started meanwhile are told the everyday one by a
variable, since they inherit ours.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

Share = Literal["owner", "group", "all"]

UMASK_VARIABLE = "SMARTFLOW_UMASK"
_PRIVATE = 0o077
_READABLE = {"owner": 0o600, "group": 0o640, "all": 0o644}
_lock = threading.Lock()
_inside: list[int] = []  # the umask of before, once for each that is inside


@contextmanager
def private() -> Iterator[None]:
    """Files that are made meanwhile are for their owner alone."""
    with _lock:
        before = os.umask(_PRIVATE)
        _inside.append(before if not _inside else _inside[0])
        is_told = UMASK_VARIABLE in os.environ
        if len(_inside) == 1 and not is_told:
            os.environ[UMASK_VARIABLE] = f"{before:03o}"
    try:
        yield
    finally:
        with _lock:
            before = _inside.pop()
            if not _inside:
                os.umask(before)
                if os.environ.get(UMASK_VARIABLE) == f"{before:03o}":
                    del os.environ[UMASK_VARIABLE]


def everyday_umask() -> int:
    """What the umask is outside of `private`, in this process or in the one that started it."""
    with _lock:
        if told := os.environ.get(UMASK_VARIABLE):
            with suppress(ValueError):
                return int(told, 8) & 0o777
        if _inside:
            return _inside[0]
        umask = os.umask(_PRIVATE)
        os.umask(umask)
        return umask


def offer(path: Path, share: Share | None = None) -> None:
    """Let others read a file as `share` says; None: as any file that its owner makes."""
    path.chmod(_READABLE[share] if share else 0o666 & ~everyday_umask())


def make_folder(path: Path, share: Share | None = None) -> None:
    """A folder, and those above it, that others may enter as `share` says; None: as any. One that is there keeps its mode, unless
    `share` is given and it is ours."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o777 & ~everyday_umask())
    if share:
        mode = _READABLE[share]
        with suppress(PermissionError):
            path.chmod(mode | (mode & 0o444) >> 2 | 0o700)


def make_private_folder(path: Path) -> None:
    """A folder for its owner alone; those above it are as any."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
