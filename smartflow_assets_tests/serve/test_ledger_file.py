"""The small SQLite files of the server: what happens where they are held, broken or gone."""

import sqlite3

import pytest

from smartflow_assets.core.errors import WarehouseBusyError, WarehouseError
from smartflow_assets.serve.ledger_file import LedgerFile

TABLES = "CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL)"


@pytest.fixture
def ledger(tmp_path):
    return LedgerFile(tmp_path / "serve/notes.sqlite", TABLES, is_kept_through_power_cuts=True)


def note(ledger, text):
    with ledger.transaction() as connection:
        connection.execute("INSERT INTO notes VALUES (?)", (text,))


def test_what_fails_in_the_middle_is_taken_back(ledger):
    note(ledger, "kept")
    with pytest.raises(ZeroDivisionError), ledger.transaction() as connection:
        connection.execute("INSERT INTO notes VALUES ('lost')")
        raise ZeroDivisionError
    assert ledger.asked("SELECT text FROM notes") == [("kept",)]
    assert ledger.file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_none_is_named_with_a_remedy_and_a_new_one_is_taken(ledger):
    note(ledger, "one")
    ledger.close()
    for file in ledger.file.parent.iterdir():
        file.unlink()
    ledger.file.write_bytes(b"no database at all, " * 100)
    with pytest.raises(WarehouseError, match=r"notes\.sqlite.*put the file aside"):
        ledger.asked("SELECT text FROM notes")
    ledger.file.unlink()
    note(ledger, "two")
    assert ledger.asked("SELECT text FROM notes") == [("two",)]


def test_a_file_that_another_program_holds_is_busy(ledger, monkeypatch):
    note(ledger, "one")
    ledger.close()
    monkeypatch.setattr(sqlite3, "connect", lambda file, timeout, **options: CONNECT(file, timeout=0.1, **options))
    with sqlite3.connect(ledger.file, timeout=0.1, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(WarehouseBusyError, match="another program"):
            note(ledger, "two")
        other.execute("ROLLBACK")
    note(ledger, "two")
    assert len(ledger.asked("SELECT text FROM notes")) == 2


CONNECT = sqlite3.connect
