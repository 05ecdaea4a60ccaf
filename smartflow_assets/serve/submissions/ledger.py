"""The ledger of submissions, in SQLite beside the warehouse: what was sent, where it was filed, what became of it.

What is answered with 202 is on the disk. Submissions are collected in files of the inbox, a new one each day and after 5,000 rows: each
is a function of the ledger, so a server that is killed between the two writes it again. A file for each submission would be a hundred
thousand files a day; one that grows for ever would be read again as a whole by each run. A file that a run could not take is closed: what
comes later goes into the next one.
"""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from smartflow_assets.adapters.files.access import make_private_folder, private
from smartflow_assets.adapters.scans.json_records import KeyPath
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.serve.ledger_file import LedgerFile
from smartflow_assets.serve.submissions.columns import check_beside

ROWS_IN_A_FILE = 5_000
KEPT = timedelta(days=30)
_TABLES = """
CREATE TABLE IF NOT EXISTS submissions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, submission_id TEXT NOT NULL UNIQUE, source TEXT NOT NULL, key TEXT UNIQUE,
    digest TEXT NOT NULL, rows TEXT, row_count INTEGER NOT NULL, by_whom TEXT NOT NULL, role TEXT NOT NULL, received_at TEXT NOT NULL,
    state TEXT NOT NULL, file TEXT, first_row INTEGER, run_id TEXT, error TEXT, ended_at TEXT);
CREATE INDEX IF NOT EXISTS by_file ON submissions (source, file);
CREATE TABLE IF NOT EXISTS columns (source TEXT, day TEXT, path TEXT, PRIMARY KEY (source, day, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS closed (source TEXT, file TEXT, PRIMARY KEY (source, file)) WITHOUT ROWID;
"""
_COLUMNS = "submission_id, source, row_count, by_whom, role, received_at, state, file, first_row, run_id, error, ended_at"


class KeyTakenError(SmartflowError):
    """The idempotency key was used for other rows."""


@dataclass(frozen=True)
class Submission:
    """One submission. `state`: waiting, running, done or failed; its rows are `first_row` and the next ones of `file` in the inbox."""

    submission_id: str
    source: str
    row_count: int
    by_whom: str
    role: str
    received_at: str
    state: str
    file: str | None = None
    first_row: int | None = None
    run_id: str | None = None
    error: str | None = None
    ended_at: str | None = None


class SubmissionLedger:
    """Safe to use from threads and processes."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._file = LedgerFile(file, _TABLES, is_kept_through_power_cuts=True)  # what was accepted outlives the machine

    def add(
        self,
        source: str,
        rows: Sequence[dict[str, Any]],
        key: str | None,
        by_whom: str,
        now: datetime,
        role: str = "",
        columns: Collection[KeyPath] = (),
        stored: Collection[str] = (),
    ) -> Submission:
        """Keep rows -> the submission; the one from before where the key and the rows are the same. KeyTakenError where the rows differ,
        SourceError where their `columns` do not go with those of other rows of the day or with those that are `stored`."""
        text = "\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
        digest = hashlib.sha256(f"{source}\n{text}".encode()).hexdigest()
        submission_id = secrets.token_hex(8)
        with self._file.transaction() as connection:
            there = connection.execute("SELECT digest, submission_id FROM submissions WHERE key = ?", (key,)).fetchone()
            if there is not None and there[0] != digest:
                remedy = "A repeat has the same rows; other rows need another key."
                raise KeyTakenError("the Idempotency-Key was used for other rows", source=source, remedy=remedy)
            if there is not None:
                submission_id = there[1]
            else:
                _add_columns(connection, source, now, columns, stored)
                connection.execute(
                    "INSERT INTO submissions (submission_id, source, key, digest, rows, row_count, by_whom, role, received_at, state) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting')",
                    (submission_id, source, key, digest, text, len(rows), by_whom, role, now.isoformat()),
                )
        found = self.find(submission_id)
        assert found is not None
        return found

    def has_all(self, source: str, now: datetime, columns: Collection[KeyPath]) -> bool:
        """Do other rows of the day have all these columns?"""
        rows = self._file.asked("SELECT path FROM columns WHERE source = ? AND day = ?", source, _day(now))
        return {json.dumps(path) for path in columns} <= {row[0] for row in rows}

    def find(self, submission_id: str) -> Submission | None:
        """The submission with this id."""
        rows = self._file.asked(f"SELECT {_COLUMNS} FROM submissions WHERE submission_id = ?", submission_id)
        return Submission(*rows[0]) if rows else None

    def rows_of(self, submission_id: str) -> list[dict[str, Any]]:
        """The rows as they were sent."""
        found = self._file.asked("SELECT rows FROM submissions WHERE submission_id = ?", submission_id)
        return [json.loads(line) for line in found[0][0].split("\n")] if found else []

    def waiting_sources(self) -> list[str]:
        """The sources with submissions that no run has been through."""
        rows = self._file.asked("SELECT source FROM submissions WHERE state IN ('waiting', 'running') GROUP BY source ORDER BY min(number)")
        return [row[0] for row in rows]

    def waiting_count(self) -> int:
        """So many submissions wait."""
        return int(self._file.asked("SELECT count(*) FROM submissions WHERE state = 'waiting'")[0][0])

    def file_rows(self, source: str, folder: Path) -> list[str]:
        """Put what waits into files of the inbox `folder`, each of the day on which it came -> the submissions that a run can
        take now; those of a run that died too."""
        with self._file.transaction() as connection:
            waiting = connection.execute(
                "SELECT number, row_count, received_at FROM submissions WHERE source = ? AND state = 'waiting' AND file IS NULL",
                (source,),
            ).fetchall()
            touched = {
                row[0]
                for row in connection.execute(
                    "SELECT DISTINCT file FROM submissions WHERE source = ? AND state IN ('waiting', 'running') AND file IS NOT NULL",
                    (source,),
                )
            }
            for number, row_count, received_at in waiting:
                file, first_row = self._place(connection, source, row_count, folder, datetime.fromisoformat(received_at))
                connection.execute("UPDATE submissions SET file = ?, first_row = ? WHERE number = ?", (file, first_row, number))
                touched.add(file)
        for file in sorted(touched):
            self._write(source, folder, file)
        with self._file.transaction() as connection:
            taken = connection.execute(
                "UPDATE submissions SET state = 'running' WHERE source = ? AND state IN ('waiting', 'running') AND file IS NOT NULL "
                "RETURNING submission_id",
                (source,),
            ).fetchall()
        return [row[0] for row in taken]

    def end(
        self, ids: Sequence[str], now: datetime, *, run_id: str | None, error: str | None, not_taken: Mapping[str, str] | None = None
    ) -> None:
        """A run has been through these, or has failed; `not_taken` are files that it left alone, and why: they get no more rows."""
        state = "done" if error is None else "failed"
        with self._file.transaction() as connection:
            connection.executemany(
                "UPDATE submissions SET state = ?, run_id = ?, error = ?, ended_at = ? WHERE submission_id = ?",
                [(state, run_id, error, now.isoformat(), each) for each in ids],
            )
            for file, reason in (not_taken or {}).items():
                connection.executemany(
                    "UPDATE submissions SET state = 'failed', error = ? WHERE submission_id = ? AND file = ?",
                    [(reason, each, file) for each in ids],
                )
                connection.executemany(
                    "INSERT OR IGNORE INTO closed SELECT source, file FROM submissions WHERE submission_id = ? AND file = ?",
                    [(each, file) for each in ids],
                )
            connection.execute(
                "DELETE FROM submissions WHERE state IN ('done', 'failed') AND received_at < ? AND file NOT IN "
                "(SELECT file FROM submissions WHERE file IS NOT NULL AND (state IN ('waiting', 'running') OR received_at >= ?))",
                [(now - KEPT).isoformat()] * 2,
            )
            connection.execute("DELETE FROM columns WHERE day < ?", [_day(now - KEPT)])
            connection.execute("DELETE FROM closed WHERE file < ?", [f"api-{_day(now - KEPT)}"])

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()

    def _place(self, connection: sqlite3.Connection, source: str, row_count: int, folder: Path, now: datetime) -> tuple[str, int]:
        """The file that rows go into, and the number that the first of them has there. A file that lies there and that the ledger does
        not know, since it was lost, is left alone."""
        day = f"api-{_day(now)}"
        there = connection.execute(
            "SELECT file, max(first_row + row_count), (source, file) IN (SELECT source, file FROM closed) FROM submissions "
            "WHERE source = ? AND file LIKE ? GROUP BY file ORDER BY file",
            (source, f"{day}-%"),
        ).fetchall()
        if there and not there[-1][2] and there[-1][1] - 1 + row_count <= ROWS_IN_A_FILE:
            return there[-1][:2]
        names = [*(row[0] for row in there), *(path.name for path in folder.glob(f"{day}-*.jsonl"))]
        last = max((int(name.removeprefix(day)[1:5]) for name in names), default=0)
        return file_name(now, last + 1), 1

    def _write(self, source: str, folder: Path, file: str) -> None:
        """Write a file as the ledger says it."""
        rows = self._file.asked("SELECT rows FROM submissions WHERE source = ? AND file = ? ORDER BY first_row", source, file)
        make_private_folder(folder)
        part = folder / f".{file}.part"
        with private():
            part.write_text("\n".join(row[0] for row in rows) + "\n", encoding="utf-8")
        part.replace(folder / file)


def file_name(now: datetime, number: int) -> str:
    """What a file of the inbox is called."""
    return f"api-{_day(now)}-{number:04d}.jsonl"


def _day(now: datetime) -> str:
    return f"{now:%Y-%m-%d}"


def _add_columns(connection: sqlite3.Connection, source: str, now: datetime, columns: Collection[KeyPath], stored: Collection[str]) -> None:
    """Note which columns the rows of a day have."""
    rows = connection.execute("SELECT path FROM columns WHERE source = ? AND day = ?", (source, _day(now))).fetchall()
    others = {row[0] for row in rows}
    new = [text for path in columns if (text := json.dumps(path)) not in others]
    if new:
        check_beside(columns, [tuple(json.loads(text)) for text in others], stored, source)
        connection.executemany("INSERT INTO columns VALUES (?, ?, ?)", [(source, _day(now), text) for text in new])
