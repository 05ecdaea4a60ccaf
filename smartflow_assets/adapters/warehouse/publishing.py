"""The copy that everybody reads: `analyst.duckdb`, replaced as a whole so that no reader blocks a writer.

Who has the old copy open keeps it until they close it. This module decides when a copy is due, copies the bytes, and says what is wrong
with a copy; the warehouse holds the writer's lock meanwhile.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from smartflow_assets.adapters.duckdb_errors import is_damaged
from smartflow_assets.adapters.files.access import Share, make_folder, offer, private
from smartflow_assets.core.errors import SmartflowError, WarehouseError

AT_ONCE_BELOW_BYTES = 256 * 1024**2  # copies in 0.2 s; larger files are published at most once in
INTERVAL = timedelta(minutes=1)  # for each gibibyte that they have begun, so that copies write 18 MB a second at most
_GIBIBYTE = 1024**3
_DAMAGES = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)
_PUTS_BACK = (
    "Put a backup back: `smartflow restore DIR --replace` moves this file aside. Without one move it aside yourself; `smartflow run` "
    "then says how to go on from the published copy."
)
_FOLDER = re.compile('"/[^"]*/')
_FICLONE = 0x40049409  # Linux: share the blocks of another file (btrfs, xfs), in no time whatever the size


def is_due(live: Path, published: Path) -> bool:
    """Whether the live file is small, or its copy not there or, by the file system's clock, old enough for its size."""
    if not (live.exists() and published.exists()) or live.stat().st_size < AT_ONCE_BELOW_BYTES:
        return True
    return time.time() - published.stat().st_mtime >= interval(live.stat().st_size).total_seconds()


def generation(published: Path) -> str:
    """Which copy lies there: another one has another name; empty where there is none."""
    try:
        status = published.stat()
    except FileNotFoundError:
        return ""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}"


def not_published(published: Path) -> WarehouseError:
    """What is said where there is no copy yet."""
    return WarehouseError("nothing is published yet", where=str(published), remedy="Run `smartflow run` first, or `smartflow demo`.")


def require_whole(connection: duckdb.DuckDBPyConnection, name: str, published: Path) -> None:
    """WarehouseError for a copy, attached as `name`, that was cut off."""
    if cut := _cut_off(connection, name, published):
        raise WarehouseError(f"the published copy {cut}", where=str(published), remedy=_makes_anew(published))


def require_live_whole(connection: duckdb.DuckDBPyConnection, live: Path) -> None:
    """WarehouseError for a warehouse that was cut off: what is left of it would be published over the last copy that is whole."""
    if cut := _cut_off(connection, "warehouse", live):
        raise WarehouseError(f"the warehouse {cut}", where=str(live), remedy=_PUTS_BACK)


def _cut_off(connection: duckdb.DuckDBPyConnection, name: str, file: Path) -> str:
    """What is said of a file, attached as `name`, that was cut off: DuckDB opens it, and only questions that reach behind the cut fail.

    Its header counts free blocks at its end that DuckDB has taken off, so a cut shows where it leaves less than what is in use.
    """
    found = connection.execute("SELECT block_size * used_blocks FROM pragma_database_size() WHERE database_name = ?", [name]).fetchone()
    has, used = file.stat().st_size, found[0] if found else 0
    return f"was cut off: {used:,} bytes of it are in use, and {has:,} are there" if has < used else ""


def live_error(error: WarehouseError, cause: BaseException | None, live: Path) -> WarehouseError:
    """The error as it is, or where DuckDB found the live file damaged (`cause`) one that says how to go on."""
    if not isinstance(cause, duckdb.Error) or not is_damaged(cause):
        return error
    what = _FOLDER.sub('"', error.what)
    return WarehouseError(f"the warehouse is damaged: {what}", where=str(live), remedy=_PUTS_BACK)


def copy_error(error: SmartflowError, cause: BaseException | None, published: Path) -> SmartflowError:
    """The error as it is, or where DuckDB could not read the copy (`cause`) one that says what makes it anew; where the file lies stands in
    `where` alone."""
    if error.remedy or not isinstance(cause, _DAMAGES):
        return error
    what = _FOLDER.sub('"', error.what)
    return WarehouseError(f"the published copy cannot be read: {what}", where=error.where, remedy=_makes_anew(published))


def _makes_anew(published: Path) -> str:
    first = "Take away the folder in its place; then " if published.is_dir() else ""
    return f"{first}`smartflow run` makes it anew, also where nothing is new."


def warehouse_gone(live: Path, published: Path, published_at: datetime | None) -> WarehouseError:
    """What is said where a warehouse was published and is no longer there: a new one would be published over the last copy of what people
    have said and done. `published_at` is None for a copy that cannot be read."""
    beside = "which cannot be read either"
    remedy = f"Put a backup back: `smartflow restore DIR --replace`. To begin anew instead, move {published} away."
    if published_at:
        beside = f"of {published_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        remedy += f" Without a backup, go on from the copy: cp {published} {live}"
    return WarehouseError(f"the warehouse is gone; its published copy, {beside}, is still there", where=str(live), remedy=remedy)


def interval(size: int) -> timedelta:
    """How long a large file of so many bytes is not published again.

    >>> interval(300 * 1024**2), interval(10 * 1024**3)
    (datetime.timedelta(seconds=60), datetime.timedelta(seconds=600))
    """
    return INTERVAL * max(1, -(-size // _GIBIBYTE))


def publish(live: Path, published: Path, share: Share | None) -> None:
    """Does what `copy_over` does, with a copy that others may read as `share` says."""
    copy_over(live, published, lambda part: offer(part, share))
    if share:
        make_folder(published.parent, share)


def copy_over(live: Path, published: Path, prepare: Callable[[Path], None] = lambda part: None) -> None:
    """Puts a copy of `live` in the place of `published` in one step; `prepare` is given it before, made for its owner alone. The live
    file must be checkpointed and closed.

    Raises `WarehouseError` when it is not, or when the disk is full; the old copy then stays.
    """
    _require_folded_in(live)
    make_folder(published.parent)
    part = published.with_name(published.name + ".part")
    try:
        clone(live, part)
        prepare(part)
        # A log that a writing analyst left belongs to the old copy; beside the new one DuckDB would try to replay it.
        log_of(published).unlink(missing_ok=True)
        part.replace(published)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WarehouseError(
            f"the warehouse could not be published: {error.strerror}",
            where=str(published),
            remedy=_makes_anew(published) if published.is_dir() else "Free some space; the copy from before is still there.",
        ) from error


def put_in_place(part: Path, live: Path) -> None:
    """Makes a rewritten file the live one in one step, which lasts through a loss of power. `WarehouseError` as for `copy_over`."""
    _require_folded_in(live)
    part.replace(live)
    folder = os.open(live.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require_folded_in(live: Path) -> None:
    if log_of(live).exists():
        raise WarehouseError("the warehouse has a log that is not folded in, so a copy would lack rows", where=str(live))


def move_aside(file: Path, aside: Path) -> None:
    """Moves a file of the warehouse, if it is there, into a folder that is made for it."""
    if file.exists():
        aside.parent.mkdir(parents=True, exist_ok=True)
        file.replace(aside)


def log_of(file: Path) -> Path:
    """Where DuckDB keeps what is not folded into a file yet."""
    return file.with_name(file.name + ".wal")


def clone(source: Path, target: Path) -> None:
    """Copies a file, sharing its blocks where the file system can."""
    with private():
        target.unlink(missing_ok=True)
        target.touch()
    with source.open("rb") as read, target.open("wb") as written:
        try:
            fcntl.ioctl(written, _FICLONE, read.fileno())
        except OSError:
            shutil.copyfile(source, target)
