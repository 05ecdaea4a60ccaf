"""What tells one file from another that is put in its place."""

from pathlib import Path


def inode(file: Path) -> int:
    """The number that the file system has for it; 0 where there is no file."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0
