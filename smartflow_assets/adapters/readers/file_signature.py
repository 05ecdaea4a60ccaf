"""What files look like from outside: by name, size, inode and times, as a build tool knows whether a file has changed.

Two writes within one tick of the file system's clock leave the same times. So a file that was changed just now has no signature yet; by
the time that the system keeps of changes, since the other one is what whoever wrote it says, and may lie in the future.
"""

import hashlib
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

JUST_NOW = timedelta(seconds=2)
"""Younger changes may not be the last of their tick: the coarsest file systems keep times to two seconds."""


def signature_of_files(paths: Iterable[Path], *, is_following_links: bool = True) -> str | None:
    """One text for these files; None where one was changed just now. OSError where one is not there or cannot be asked."""
    known, newest = hashlib.sha256(), 0
    for path in paths:
        found = path.stat(follow_symlinks=is_following_links)
        newest = max(newest, found.st_ctime_ns)
        marks = found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_dev, found.st_ino
        known.update(f"{path}\0{marks}\0".encode("utf-8", "surrogateescape"))
    return None if newest > time.time_ns() - JUST_NOW / timedelta(microseconds=1) * 1000 else known.hexdigest()[:32]
