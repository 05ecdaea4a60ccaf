"""What is said of a disk that is full, whoever met it first.

SQLite, which keeps Dagster's history, only says that it cannot write.
"""

import errno
import os
import shutil
from pathlib import Path

NO_SPACE = 4 * 1024**2  # bytes; less is full to SQLite
_SQLITE_SAYS = ("disk I/O error", "database or disk is full")


def told(error: Exception) -> str:
    """The sentence for an error; empty where the disk is not to blame."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _sentence(error.filename or str(Path.cwd()))
    return told_of_history(str(error))


def told_of_history(text: str) -> str:
    """The sentence for an error of SQLite of which only the text is left; empty for any other."""
    history = os.environ.get("DAGSTER_HOME", "")
    is_full = any(word in text for word in _SQLITE_SAYS) and Path(history).is_dir() and shutil.disk_usage(history).free < NO_SPACE
    return _sentence(history) if is_full else ""


def _sentence(place: str) -> str:
    return f"{place} is on a disk that is full. Free some space and run it again; what was there before is still there."
