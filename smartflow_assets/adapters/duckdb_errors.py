"""DuckDB's errors as sentences: what happened to which file, what is still safe, what to do.

One function for each place where DuckDB works: the warehouse, a content that is staged, a file of `detect` and `export`. They
differ in whose file it is and what the remedy is; only this module knows how DuckDB says that a disk is full or a file is held.
"""

import os
import pwd
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from smartflow_assets.core.errors import SmartflowError, SourceError, WarehouseBusyError, WarehouseError

_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_LINE = re.compile(r"^ *(Original Line|LINE \d+):.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_FULL = re.compile(r"no space left|disk quota|file too large|out of disk|max_temp_directory_size|could not write", re.IGNORECASE)
_DAMAGED = re.compile(
    r"could not read (enough bytes )?from file|not a valid DuckDB database|corrupt database|serialization error", re.IGNORECASE
)
_NOT_ALLOWED = re.compile(r'Cannot open file "(?P<file>.+?)": Permission denied')


def is_busy(error: duckdb.Error) -> bool:
    """Whether another process, or this one, has the file open in a way that shuts us out."""
    return "lock on file" in str(error) or "Unique file handle conflict" in str(error)


def is_disk_full(error: duckdb.Error) -> bool:
    """Whether there was no room to write. An error of the content is none: it repeats its line, which may say anything."""
    return not isinstance(error, duckdb.InvalidInputException) and _FULL.search(str(error)) is not None


def is_damaged(error: duckdb.Error) -> bool:
    """Whether a file that DuckDB opens is cut off, or holds other bytes than it wrote."""
    return not isinstance(error, duckdb.ProgrammingError) and _DAMAGED.search(str(error)) is not None


def warehouse_error(error: duckdb.Error, file: Path) -> SmartflowError:
    """An error of the warehouse file as one that a user can act on; DuckDB's own words are its cause."""
    text = str(error)
    if is_busy(error):
        holder = _HOLDER.search(text)
        who = f"{holder['program']} (PID {holder['pid']})" if holder else "this process"
        remedy = "Close it there" + (f" (or: kill {holder['pid']})" if holder else "")
        remedy = f"{remedy}; to look at data, open the published copy, read-only."
        return WarehouseBusyError(f"{file.name} is open in {who}", where=str(file), remedy=remedy)
    if is_disk_full(error):
        free = shutil.disk_usage(file.parent).free / 1024**2
        return WarehouseError(
            "the disk is full, nothing was written",
            where=f"{file}, {free:,.0f} MiB free",
            remedy="Free some space and run again; the rows from before are still there.",
        )
    if refused := _NOT_ALLOWED.search(text):
        remedy = (
            f"The user {_user()} must be allowed to read it; who runs SmartFlow also to write it, and to make files in its folder, "
            "where DuckDB keeps its log."
        )
        return WarehouseError(f"{Path(refused['file']).name} cannot be opened: permission denied", where=str(file), remedy=remedy)
    if isinstance(error, duckdb.OutOfMemoryException):
        return WarehouseError("the query needs more memory than it may have", where=str(file), remedy=_first_line(text))
    return WarehouseError(_first_line(text), where=str(file))


def content_error(error: duckdb.Error, told: Callable[[str, str], SourceError], layout: str, settings: Sequence[str]) -> SourceError:
    """An error of a content that is staged. `told` makes the error from what is wrong and a remedy; `layout` is what the content
    should be, `settings` are the keys below `read` that say how it is laid out."""
    if is_disk_full(error):
        return told("the disk is full", "Free some space; nothing was taken.")
    text = in_one_line(error, 300)  # without the line of the file: it may be a file that was meant for other eyes
    if "format specifier" in text or "strptime" in text:
        return told(f"read.time.format: {text}", "See the patterns of strptime.")
    if layout == "Parquet":
        return damaged_parquet(error, told, 300)
    keys = " or ".join(f"read.{name}" for name in settings)
    return told(f"the content cannot be read as {layout}: {text}", f"Set {keys}, or fix the feed." if keys else "Fix the feed.")


def damaged_parquet(error: duckdb.Error, told: Callable[[str, str], SourceError], length: int = 200) -> SourceError:
    """The error of a Parquet file that DuckDB cannot read."""
    what = f"the Parquet file is damaged or was cut off ({in_one_line(error, length)})"
    return told(what, "Copy it again; nothing of it was taken.")


def file_error(error: duckdb.Error, path: Path, scratch: Path) -> SmartflowError:
    """An error of a file that is read or written by way of a scratch folder."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if is_disk_full(error):
        free = shutil.disk_usage(scratch).free // 1024**2
        return SmartflowError(
            "the disk is full",
            where=f"{scratch.parent}, {free:,} MiB free",
            remedy="Free some space, or set TMPDIR to a folder on another disk, and run it again.",
        )
    what = lines[0].partition(": ")[2] or lines[0]
    return SourceError(f"{path} cannot be read: {what}", where=next((line for line in lines[1:] if line.startswith("Line")), ""))


def _user() -> str:
    """Who asks, as `ls -l` calls it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's
        return str(os.geteuid())


def in_one_line(error: duckdb.Error, length: int) -> str:
    """DuckDB's words without line breaks and without the line of the file that it read, cut to a length."""
    return " ".join(_LINE.sub("", str(error)).split())[:length]


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0]
