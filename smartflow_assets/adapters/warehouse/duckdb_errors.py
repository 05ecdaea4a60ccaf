"""DuckDB's errors as sentences: what happened to which file, what is still safe, what to do."""

import re
import shutil
from pathlib import Path

import duckdb

from smartflow_assets.core.errors import SmartflowError, WarehouseBusyError, WarehouseError

_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_FULL = re.compile(r"no space left|disk quota|file too large|out of disk|max_temp_directory_size|could not write", re.IGNORECASE)


def is_busy(error: duckdb.Error) -> bool:
    """Whether another process, or this one, has the file open in a way that shuts us out."""
    return "lock on file" in str(error) or "Unique file handle conflict" in str(error)


def explained(error: duckdb.Error, file: Path) -> SmartflowError:
    """The error as one that a user can act on; DuckDB's own words are its cause."""
    text = str(error)
    if is_busy(error):
        holder = _HOLDER.search(text)
        who = f"{holder['program']} (PID {holder['pid']})" if holder else "this process"
        remedy = "Close it there" + (f" (or: kill {holder['pid']})" if holder else "")
        return WarehouseBusyError(f"{file} is open in {who}", remedy=f"{remedy}; to look at data, open the published copy, read-only.")
    if _FULL.search(text):
        free = shutil.disk_usage(file.parent).free / 1024**2
        return WarehouseError(
            "the disk is full, nothing was written",
            where=f"{file}, {free:,.0f} MiB free",
            remedy="Free some space and run again; the rows from before are still there.",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return WarehouseError("the query needs more memory than it may have", where=str(file), remedy=_first_line(text))
    return WarehouseError(_first_line(text), where=str(file))


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0]
