"""A file that is mostly free blocks is rewritten, and stands as it was when that does not come to its end."""

import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from datetime import timedelta

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse import compaction, publishing
from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append, Prune, Replace
from smartflow_assets.core.errors import WarehouseError
from smartflow_assets_tests.adapters.warehouse.frames import at, clean

ROWS = 400_000


@pytest.fixture
def swollen(warehouse, monkeypatch) -> Warehouse:
    """A warehouse nine tenths of which were pruned; files of a few megabytes count as large here."""
    monkeypatch.setattr(compaction, "LEAST_BYTES", 1024**2)
    frame = clean(range(ROWS))
    warehouse.commit("run", [Replace("clean_series", "web", frame, at(0), at(ROWS))])
    logged = pd.DataFrame({"source": "web", "run_id": ["a", "b", "c"], "started_at": [at(2), at(1), at(0)]})
    warehouse.commit("run", [Append("run_log", logged)])
    warehouse.commit("prune", [Prune("clean_series", "web", at(ROWS * 9 // 10))])
    warehouse.publish("run", is_forced=True)
    return warehouse


def content(warehouse: Warehouse) -> dict[str, pd.DataFrame]:
    return {name: warehouse.read(f"SELECT * FROM {name}") for name in TABLES}


def described(warehouse: Warehouse) -> list:
    own = "database_name = current_database()"
    return [
        warehouse.read(f"SELECT table_name, comment FROM duckdb_tables() WHERE {own} ORDER BY ALL").values.tolist(),
        warehouse.read(
            f"SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE {own} ORDER BY ALL"
        ).values.tolist(),
        warehouse.read(f"SELECT view_name, sql FROM duckdb_views() WHERE {own} AND NOT internal ORDER BY ALL").values.tolist(),
    ]


@pytest.mark.soak
def test_it_gives_the_free_blocks_back_and_changes_nothing_else(swollen):
    before, words, size = content(swollen), described(swollen), swollen.path.stat().st_size
    use = swollen.compact()
    assert use is not None and use.size <= size and use.free > size / 2
    assert swollen.path.stat().st_size < size / 2
    after = content(swollen)
    for name, rows in before.items():
        pd.testing.assert_frame_equal(after[name], rows, check_exact=True)  # in their order: ledgers go by it
    assert described(swollen) == words
    assert swollen.path.stat().st_mode & 0o777 == 0o600
    assert swollen.compact() is None
    swollen.commit("run", [Replace("clean_series", "web", clean([1]), at(0), at(1))])
    assert (
        swollen.publish("run", is_forced=True) and swollen.published_read("SELECT count(*) AS n FROM clean_series")["n"][0] == ROWS / 10 + 1
    )


@pytest.mark.soak
def test_a_file_with_few_free_blocks_or_a_small_one_is_left_alone(warehouse, monkeypatch):
    warehouse.commit("run", [Replace("clean_series", "web", clean(range(1000)), at(0), at(1000))])
    warehouse.commit("prune", [Prune("clean_series", "web", at(999))])
    assert warehouse.compact() is None
    monkeypatch.setattr(compaction, "LEAST_BYTES", 0)
    warehouse.commit("run", [Replace("clean_series", "web", clean(range(ROWS)), at(0), at(ROWS))])
    assert warehouse.compact() is None


@pytest.mark.soak
def test_a_disk_without_room_is_told_before_anything_is_written(swollen, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 1000, 1000))
    inode = swollen.path.stat().st_ino
    with pytest.raises(WarehouseError, match="rewriting it needs"):
        swollen.compact()
    assert swollen.path.stat().st_ino == inode and not compaction.part_of(swollen.path).exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from smartflow_assets.adapters.warehouse import compaction, publishing
from smartflow_assets.adapters.warehouse.warehouse import Warehouse

compaction.LEAST_BYTES = 0
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "copied":
    publishing.put_in_place = die
else:
    compaction._counts = die
Warehouse(Path(sys.argv[1]), Path(sys.argv[1]).with_name("analyst.duckdb")).compact()
"""


@pytest.mark.parametrize("when", ["copying", "copied"])
@pytest.mark.soak
def test_killed_while_it_copies_it_loses_nothing(swollen, when):
    before = content(swollen)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(swollen.path), when], env={**os.environ}, timeout=120)
    assert killed.returncode == -signal.SIGKILL and compaction.part_of(swollen.path).exists()
    again = Warehouse(swollen.path, swollen.published, lock_timeout=timedelta(seconds=5))
    for name, rows in content(again).items():
        pd.testing.assert_frame_equal(rows, before[name], check_exact=True)
    assert again.compact() is not None and not compaction.part_of(swollen.path).exists()


@pytest.mark.soak
def test_a_copy_with_other_rows_does_not_take_its_place(swollen, monkeypatch):
    counts = iter([{"clean_series": 2}, {"clean_series": 1}])
    monkeypatch.setattr(compaction, "_counts", lambda connection, database: next(counts))
    monkeypatch.setattr(publishing, "put_in_place", lambda part, live: pytest.fail("it did"))
    with pytest.raises(WarehouseError, match="other rows"):
        swollen.compact()
    assert not compaction.part_of(swollen.path).exists()
