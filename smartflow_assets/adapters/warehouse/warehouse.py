"""The warehouse: the only module that opens the DuckDB file.

Each use opens the file, works and closes it, under an advisory lock on `<file>.lock`: writers alone, our readers together.
So writers of many processes queue instead of failing, and nobody holds the file while computing; reads that follow each other share
one opening, by `reading` or because it lingers for some milliseconds (`lingering.py`). What is written is a list of values (`writes.py`),
applied in one transaction (`commits.py`); everybody who only looks reads the published copy.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import duckdb
import pandas as pd

from smartflow_assets.adapters.files.access import Share, make_folder, private
from smartflow_assets.adapters.files.inode import inode
from smartflow_assets.adapters.files.result_file import write_relation
from smartflow_assets.adapters.sql_quoting import quoted, quoted_text
from smartflow_assets.adapters.warehouse import commits, compaction, migrations, publishing
from smartflow_assets.adapters.warehouse.compaction import FileUse
from smartflow_assets.adapters.warehouse.engine import READ_ONLY, READ_WRITE, Engines
from smartflow_assets.adapters.warehouse.held_open import HeldOpen
from smartflow_assets.adapters.warehouse.lingering import Lingering
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.readable import frame_of
from smartflow_assets.adapters.warehouse.tables import SCHEMA_VERSION
from smartflow_assets.adapters.warehouse.writes import Committed, Write
from smartflow_assets.core.errors import WarehouseError

_ATTEMPTS = 5
_TABLES = """
    SELECT CASE schema_name WHEN 'main' THEN table_name ELSE schema_name || '.' || table_name END AS name
    FROM duckdb_tables() WHERE database_name = current_database() ORDER BY schema_name, table_name
"""
_NEVER = pd.Timestamp(0, tz="UTC")
_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class SnapshotInfo:
    """When the published copy was made and by which run."""

    published_at: datetime
    run_id: str
    schema_version: int


class Window(NamedTuple):
    """[from_at, to_at), in UTC."""

    from_at: pd.Timestamp
    to_at: pd.Timestamp


class Warehouse:
    """One DuckDB file for all sources, and its published copy.

    Safe to use from threads and from any number of processes. `lock_timeout` is how long a call waits for others before it
    gives up with `WarehouseBusyError`; all else that goes wrong with the file is a `WarehouseError`. `share` is who may read the
    published copy, None as any file that its owner makes; the file itself is for its owner alone.
    """

    def __init__(
        self,
        path: Path,
        published: Path,
        *,
        lock_timeout: timedelta = timedelta(seconds=60),
        memory_limit: str = "1GiB",
        share: Share | None = None,
    ) -> None:
        self.path, self.published = path, published
        self._share: Share | None = share
        self._lock_timeout = lock_timeout
        self._lock = AdvisoryLock(path.with_name(path.name + ".lock"), is_beside_shared=True)
        self._engines = Engines(path, memory_limit)
        self._lingering = Lingering(self._readable, self._may_linger)
        self._held = HeldOpen(self._lingering.connection)
        self._ready_file = self._file_with_views = 0  # inodes of the file that is known to be of today's version, and to have today's views

    @property
    def schema_version(self) -> int:
        """The version that the live file has."""
        return int(self.read("SELECT max(schema_version) AS version FROM snapshot_info")["version"].iloc[0])

    def commit(self, run_id: str, writes: Sequence[Write]) -> Committed:
        """Applies all writes in one transaction, or none of them, and records them in `writes`.

        Every row of one commit has the same `written_at`, later than that of every commit before. Raises `WarehouseError`
        for a write that its table refuses; the rows that were there then stay.
        """

        with self._alone(run_id), self._writable() as connection:
            return _transact(connection, lambda open_: commits.apply(open_, run_id, writes))

    def rehearse(self, run_id: str, writes: Sequence[Write]) -> Committed:
        """What `commit` would do, which is taken back."""
        with self._alone(run_id), self._writable() as connection:
            connection.execute("BEGIN TRANSACTION")
            try:
                return commits.apply(connection, run_id, writes)
            finally:
                with suppress(duckdb.Error):  # the error that is under way is the one that matters
                    connection.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the file open from read to read of this thread, since opening it costs more than most queries; a commit in between
        closes it.

        Others cannot write meanwhile, so what takes long (training, scoring, sending) belongs outside.
        """
        with self._held.block():
            yield

    def release(self) -> None:
        """Let others write before something that takes long, in the middle of a `reading`; the next read opens the file again."""
        self._close()

    def read(self, sql: str, params: Sequence[Any] = ()) -> pd.DataFrame:
        """The result of one query on the live file, for the steps of a run; others read the published copy.

        Times are `datetime64[us, UTC]`, a MAP is a dict, a list a list, JSON is text.
        """
        with private(), self._held.connection() as connection:
            return frame_of(connection.execute(sql, list(params)))

    def export(self, sql: str, path: Path, form: str) -> int:
        """Writes the result of one query on the live file to `path` as csv, json, jsonl or parquet, whatever its size; -> rows."""
        with self._lock.shared(self._lock_timeout), self._opened(self.path, READ_ONLY) as connection:
            return write_relation(connection, f"({sql})", path, form)

    def published_export(self, sql: str, path: Path, form: str) -> int:
        """Does what `export` does, with the published copy."""
        return self._of_published(lambda connection: write_relation(connection, f"({sql})", path, form))

    def published_read(self, sql: str, params: Sequence[Any] = ()) -> pd.DataFrame:
        """The result of one query on the published copy; takes no lock and blocks nobody."""
        return self._of_published(lambda connection: frame_of(connection.execute(sql, list(params))))

    def _of_published(self, work: Callable[[duckdb.DuckDBPyConnection], _Result]) -> _Result:
        if not self.published.exists():
            raise publishing.not_published(self.published)
        for attempt in range(1, _ATTEMPTS + 1):
            opened_file = self.published.stat().st_ino
            try:
                with self._opened(self.published, READ_ONLY) as connection:
                    publishing.require_whole(connection, "warehouse", self.published)
                    return work(connection)
            except WarehouseError as error:
                # DuckDB opens a file by its name more than once while it attaches it: replaced in between, it meets half of two
                # copies (once in some 4,000 reads while eight processes published without a pause)
                if attempt == _ATTEMPTS or self.published.stat().st_ino == opened_file:
                    raise publishing.copy_error(error, error.__cause__, self.published) from error.__cause__
        raise AssertionError("the loop returns or raises")

    def pending(self, source: str, table: str, upstream: Sequence[str]) -> list[Window]:
        """The times that `upstream` tables changed since this table was last written for the source, in order and merged.

        Late rows, corrections and rebuilds are found by it. One commit of a step marks all windows that were pending as processed,
        except those that it names as `LeavePending`. A `Rewrite` marks none, since others than the step write single rows too: the
        step says `MarkProcessed`. A table that was deleted, or never written, has everything pending.
        """
        newest = self.read(  # most runs find nothing in any step, and then this is all that is asked
            "SELECT table_name, operation, max(written_at) AS written_at FROM writes "
            "WHERE source = ? AND operation <> 'prune' AND (table_name = ? OR list_contains(?, table_name)) GROUP BY ALL",
            [source, table, list(upstream)],
        )
        at = {(str(name), str(operation)): moment for name, operation, moment in newest.itertuples(index=False)}
        valid = {key: moment for key, moment in at.items() if key[1] != "delete" and not moment <= at.get((key[0], "delete"), pd.NaT)}
        own = {operation: moment for (name, operation), moment in valid.items() if name == table and operation != "rewrite"}
        processed_at = max(own.values(), default=_NEVER)
        changed = {name for (name, operation), moment in valid.items() if operation != "left" and moment > processed_at} & set(upstream)
        if not changed and own.get("left") != processed_at:
            return []
        since = {name: max(processed_at, at.get((name, "delete"), _NEVER)) for name in sorted(changed)}
        windows = self.read(
            """
            WITH since AS (SELECT unnest(CAST(? AS VARCHAR[])) AS table_name, unnest(CAST(? AS TIMESTAMPTZ[])) AS since)
            SELECT from_at, to_at FROM writes JOIN since USING (table_name)
            WHERE source = ? AND operation NOT IN ('left', 'delete', 'prune') AND written_at > since
            UNION ALL
            SELECT from_at, to_at FROM writes WHERE source = ? AND table_name = ? AND operation = 'left' AND written_at = ?
            ORDER BY from_at
            """,
            [list(since), list(since.values()), source, source, table, processed_at],
        )
        merged: list[Window] = []
        for from_at, to_at in windows.itertuples(index=False):
            if merged and from_at <= merged[-1].to_at:
                merged[-1] = Window(merged[-1].from_at, max(merged[-1].to_at, to_at))
            else:
                merged.append(Window(from_at, to_at))
        return merged

    def is_begun(self) -> bool:
        """Whether anything was ever written. Raises `WarehouseError` where the file is gone and its published copy is left."""
        if not self.path.exists() and self.published.exists():
            raise self._gone()
        return self.path.exists()

    def require_sound(self) -> None:
        """Reads every value of the live file, a gigabyte a second: `WarehouseError` where a block is damaged, which counts do not meet."""
        for name in self.read(_TABLES)["name"]:
            self.read(f"SELECT bit_xor(hash(each)) FROM {quoted(name)} AS each")

    def tables(self) -> dict[str, int]:
        """Every table of the live file with its number of rows; raw tables as raw.<source>."""
        names = self.read(_TABLES)["name"]
        counts = " UNION ALL ".join(f"SELECT {quoted_text(name)} AS name, count(*) AS n FROM {quoted(name)}" for name in names)
        found = self.read(counts).set_index("name")["n"]
        return {name: int(found[name]) for name in names}

    def has_table(self, name: str) -> bool:
        """Whether the live file has a table; raw tables as raw.<source>."""
        schema, _, table = name.rpartition(".")
        found = self.read(
            "SELECT 1 AS one FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = ? AND table_name = ?",
            [schema or "main", table],
        )
        return len(found) > 0

    def copy_to(self, target: Path) -> None:
        """Copies the live file, if there is one, for a run that must leave no trace, or for a backup."""
        if not self.is_begun():
            return
        with self._alone():
            with self._writable() as connection:
                connection.execute("CHECKPOINT warehouse").fetchall()
            target.parent.mkdir(parents=True, exist_ok=True)
            publishing.clone(self.path, target)

    def put_back(self, copy: Path, aside: Path) -> None:
        """Makes a copy of `copy`, a warehouse of this version or an older one, the live file; the present one is moved to `aside`.

        Where that is gone or cannot be opened its published copy is moved beside it: nothing later is left.
        """
        with self._alone():
            is_sound = self._is_there() and self._is_folded_in()
            publishing.move_aside(self.path, aside)
            publishing.move_aside(publishing.log_of(self.path), publishing.log_of(aside))
            publishing.copy_over(copy, self.path)
            if not is_sound:
                publishing.move_aside(self.published, aside.with_name(self.published.name))

    def file_use(self) -> FileUse:
        """How large the live file is, and how much of it is free."""
        with private(), self._held.connection() as connection:
            return compaction.file_use(connection)

    def compact(self, run_id: str = "") -> FileUse | None:
        """Rewrites the live file if it is mostly free blocks; -> what it was, None where it is left as it is.

        Others wait meanwhile: a gigabyte of rows takes some seconds. Raises `WarehouseError` when the disk has no room for it; the
        file then stays, as it does when the process is killed.
        """
        with self._alone(run_id):
            try:
                with self._writable() as connection:
                    connection.execute("CHECKPOINT warehouse").fetchall()
                    use = compaction.file_use(connection)
                    if not use.is_worth_rewriting:
                        return None
                    compaction.require_space(self.path, use)
                    part = compaction.rewrite(connection, self.path)
                publishing.put_in_place(part, self.path)
            finally:
                compaction.remove(compaction.part_of(self.path))
            self._ready_file = self.path.stat().st_ino
        return use

    def publish(self, run_id: str, *, is_forced: bool = False) -> bool:
        """Replaces the published copy by the warehouse as it is now; False when that has nothing new and the last one is sound, or that
        is too young.

        Readers of the old copy keep it until they close it. A small file is published at once, a large one as seldom as
        `publishing.interval` says, unless forced.
        """
        if not is_forced and not (publishing.is_due(self.path, self.published) and (self._has_news() or not self.has_sound_copy())):
            return False

        def stamp(connection: duckdb.DuckDBPyConnection) -> None:
            if self._file_with_views != inode(self.path):
                migrations.create_views(connection)
            connection.execute("UPDATE snapshot_info SET published_at = ?, run_id = ?", [datetime.now(UTC), run_id]).fetchall()

        with self._alone(run_id):
            with self._writable() as connection:
                _transact(connection, stamp)
                self._file_with_views = inode(self.path)
                connection.execute("CHECKPOINT warehouse").fetchall()
            publishing.publish(self.path, self.published, self._share)
        return True

    def _has_news(self) -> bool:
        """Whether anything was written since the copy was made; a process that was killed may have said so and made none."""
        if not (self.path.exists() and self.published.exists()):
            return True
        stamp = self.read(
            "SELECT published_at, (SELECT max(moment) FROM (SELECT max(written_at) AS moment FROM writes UNION ALL "
            "SELECT max(looked_at) FROM source_looks)) AS written_at FROM snapshot_info"
        ).iloc[0]
        made_at = pd.Timestamp(self.published.stat().st_mtime, unit="s", tz="UTC")
        return not (stamp["published_at"] <= made_at and not stamp["written_at"] > stamp["published_at"])  # NaT is neither

    def has_sound_copy(self) -> bool:
        """Whether there is a published copy that can be read: nobody has taken it away or cut it off."""
        try:
            return self.snapshot_info() is not None
        except WarehouseError:
            return False

    def snapshot_info(self) -> SnapshotInfo | None:
        """When the published copy was made and by which run; None when there is none."""
        if not self.published.exists():
            return None
        row = self.published_read("SELECT published_at, run_id, schema_version FROM snapshot_info").iloc[0]
        return SnapshotInfo(row["published_at"].to_pydatetime(), row["run_id"], int(row["schema_version"]))

    @contextmanager
    def _alone(self, run_id: str = "") -> Iterator[None]:
        self._close()  # we should wait for ourselves otherwise
        with self._lock.exclusive(self._lock_timeout, run_id):
            yield

    @contextmanager
    def _readable(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self._is_ready:
            with self._alone():
                self._make_ready()
        with self._lock.shared(self._lock_timeout), self._in_engine(self.path, READ_ONLY) as connection:
            migrations.found_version(connection)
            yield connection

    @contextmanager
    def _writable(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self._is_ready:
            self._make_ready()
        with self._opened(self.path, READ_WRITE) as connection:
            migrations.found_version(connection)  # another process may have upgraded it since
            yield connection

    def _is_there(self) -> bool:
        """Whether there is a live file with anything in it; DuckDB takes an empty one for a new database."""
        return self.path.exists() and self.path.stat().st_size > 0

    def _is_folded_in(self) -> bool:
        """Whether the live file could be opened, and its log folded in; the caller holds the lock alone."""
        try:
            with self._writable() as connection:
                connection.execute("CHECKPOINT warehouse").fetchall()
        except WarehouseError as error:
            _log.warning("%s is moved as it is: %s", self.path, error)
            return False
        return True

    def _gone(self) -> WarehouseError:
        """The error where a new warehouse would be made beside the published copy of one that is gone."""
        try:
            info = self.snapshot_info()
        except WarehouseError:
            info = None
        return publishing.warehouse_gone(self.path, self.published, info and info.published_at)

    def _make_ready(self) -> None:
        """Creates the file, or brings an older one up to date after a copy; the caller holds the lock alone."""
        make_folder(self.path.parent)
        self._engines.sweep()
        was_published = self.published.exists()
        if was_published and not self._is_there():
            raise self._gone()
        with self._opened(self.path, READ_WRITE) as connection:
            publishing.require_live_whole(connection, self.path)
            version = migrations.found_version(connection)
            if version is None:
                if was_published:  # DuckDB's own command line makes a file without tables where there is none
                    raise self._gone()
                _transact(connection, lambda new: migrations.upgrade(new, None))
        if version is not None and version < SCHEMA_VERSION:
            copy = self.path.with_name(f"{self.path.stem}.v{version}{self.path.suffix}")
            publishing.copy_over(self.path, copy)
            _log.info("upgrading %s from schema version %d to %d, after a copy to %s", self.path, version, SCHEMA_VERSION, copy)
            with self._opened(self.path, READ_WRITE) as connection:
                _transact(connection, lambda old: migrations.upgrade(old, version))
        self._ready_file = self.path.stat().st_ino

    @property
    def _is_ready(self) -> bool:
        """Whether the file is the one that was made ready; somebody may have removed it since, or put another in its place."""
        return bool(self._ready_file) and self._ready_file == inode(self.path)

    def _may_linger(self) -> bool:
        return self._is_ready and not self._lock.is_wanted()

    def _close(self) -> None:
        self._held.close()
        self._lingering.close()

    @contextmanager
    def _opened(self, file: Path, mode: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with private(), self._in_engine(file, mode) as connection:
            yield connection

    @contextmanager
    def _in_engine(self, file: Path, mode: str) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            with self._engines.attached(file, mode, self._lock_timeout) as connection:
                yield connection
        except WarehouseError as error:
            if file != self.path:
                raise
            raise publishing.live_error(error, error.__cause__, file) from error.__cause__


def _transact(connection: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], _Result]) -> _Result:
    """Runs `work` in a transaction; a conflict (on DuckLake it shows at COMMIT) runs all of it again."""
    for attempt in range(1, _ATTEMPTS + 1):
        connection.execute("BEGIN TRANSACTION")
        try:
            result = work(connection)
            connection.execute("COMMIT")
            return result
        except BaseException as error:
            with suppress(duckdb.Error):  # the error that we are about to raise is the one that matters
                connection.execute("ROLLBACK")
            if not isinstance(error, duckdb.TransactionException) or attempt == _ATTEMPTS:
                raise
            _log.info("transaction conflict, attempt %d of %d: %s", attempt, _ATTEMPTS, error)
    raise AssertionError("the loop returns or raises")
