"""Copies of folders that are in use: files as they are, SQLite databases as one moment of theirs."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

_LOGS = ("-wal", "-shm", "-journal")


def copy_folder(folder: Path, target: Path, told: Callable[[Path], None], *, skipped: Callable[[Path], bool] = lambda path: False) -> None:
    """Copy all files below `folder` but those `skipped`; a folder that is not there is no error. `told` hears of each file.

    A file that goes while the copy is made is left out. Of an SQLite database the copy holds what was committed when it was
    copied, though others write meanwhile.
    """
    for path in files_below(folder):
        if skipped(path) or path.name.endswith(_LOGS):
            continue
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            if path.suffix == ".db" and _is_sqlite(path):
                read_only = f"{path.absolute().as_uri()}?mode=ro"
                with closing(sqlite3.connect(read_only, uri=True)) as live, closing(sqlite3.connect(copy)) as kept:
                    live.backup(kept)
            else:
                shutil.copy2(path, copy)
        except FileNotFoundError:
            copy.unlink(missing_ok=True)
            continue
        told(path)


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, in the order of their names; none when there is no such folder."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def sha256_of(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"
