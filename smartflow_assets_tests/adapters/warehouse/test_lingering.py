"""The file stays open for a moment after a read, and keeps nobody out for longer."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import duckdb
import pytest

from smartflow_assets.adapters.warehouse.lingering import Lingering
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.errors import WarehouseBusyError, WarehouseError

WRITE = "import sys, duckdb; duckdb.connect(sys.argv[1]).execute('CREATE OR REPLACE TABLE stranger AS SELECT 1 AS one')"
NOW = timedelta(0)


class Opened:
    """Counts what is opened and closed, and by which thread it is read at one time."""

    def __init__(self) -> None:
        self.opened, self.closed, self.errors = 0, 0, []

    @contextmanager
    def open(self):
        self.opened += 1
        try:
            yield f"connection {self.opened}"
        except ValueError as error:
            self.errors.append(error)
            raise KeyError("translated") from error
        finally:
            self.closed += 1

    @property
    def is_open(self) -> bool:
        return self.opened > self.closed


@pytest.fixture
def opened() -> Opened:
    return Opened()


def soon(asked) -> bool:
    until = time.monotonic() + 20
    while not asked() and time.monotonic() < until:
        time.sleep(0.005)
    return asked()


def test_reads_that_follow_each_other_share_an_opening_which_ends_by_itself(opened):
    lingering = Lingering(opened.open, lambda: True)
    for _ in range(5):
        with lingering.connection() as connection:
            assert connection == "connection 1"
    assert soon(lambda: not opened.is_open)
    with lingering.connection() as connection:
        assert connection == "connection 2"
    assert soon(lambda: not opened.is_open)


def test_nothing_lingers_where_it_may_not(opened):
    answers = iter([True, False, False])
    lingering = Lingering(opened.open, lambda: next(answers))
    with lingering.connection():
        pass
    assert opened.is_open
    with lingering.connection() as connection:  # asked again before it is used again
        assert (connection, opened.closed) == ("connection 2", 1)
    assert not opened.is_open


def test_an_error_closes_it_and_is_translated_by_who_opened_it(opened):
    lingering = Lingering(opened.open, lambda: True)
    with lingering.connection():
        pass
    with pytest.raises(KeyError, match="translated"), lingering.connection():
        raise ValueError
    assert not opened.is_open and len(opened.errors) == 1


def test_each_thread_reads_alone_and_one_opening_stays(opened):
    lingering, both = Lingering(opened.open, lambda: True), threading.Barrier(2, timeout=20)

    def read(_):
        with lingering.connection() as connection:
            both.wait()
            return connection

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(read, range(2))) == {"connection 1", "connection 2"}
    lingering.close()
    assert soon(lambda: not opened.is_open)


def test_strangers_may_write_a_moment_after_a_read(warehouse):
    warehouse.read("SELECT 1")
    warehouse.release()
    warehouse.read("SELECT 1")
    assert soon(
        lambda: subprocess.run([sys.executable, "-c", WRITE, str(warehouse.path)], capture_output=True, check=False).returncode == 0
    )
    assert warehouse.has_table("stranger")


def test_a_writer_gets_in_between_reads_without_a_gap(warehouse):
    """Another process that reads all the time would otherwise keep its opening, and everybody who writes out."""
    warehouse.commit("run", [])
    other = Warehouse(warehouse.path, warehouse.published, lock_timeout=timedelta(seconds=20))
    is_over = threading.Event()

    def reads() -> int:
        count = 0
        while not is_over.is_set():
            other.read("SELECT 1")
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reads)
        try:
            for _ in range(10):
                warehouse.commit("run", [])
        finally:
            is_over.set()
        assert reading.result() > 0


def test_what_others_put_in_place_of_the_file_is_read(warehouse, tmp_path):
    warehouse.commit("run", [])
    other = tmp_path / "other.duckdb"
    warehouse.copy_to(other)
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE theirs AS SELECT 1 AS one")
    warehouse.read("SELECT 1")
    other.replace(warehouse.path)
    assert warehouse.has_table("theirs")
    warehouse.read("SELECT 1")
    warehouse.path.unlink()
    assert not warehouse.has_table("theirs")  # made anew


def test_a_failed_read_leaves_nothing_open(warehouse):
    warehouse.read("SELECT 1")
    with pytest.raises(WarehouseError):
        warehouse.read("SELECT * FROM no_such_table")
    duckdb.connect(str(warehouse.path)).close()  # as a writer


def test_a_fork_neither_frees_our_lock_nor_reads_with_our_connection(warehouse):
    with warehouse.reading():
        warehouse.read("SELECT 1")
        child = os.fork()
        if not child:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert not warehouse._lock.is_wanted()
        with pytest.raises(WarehouseBusyError), Warehouse(warehouse.path, warehouse.published, lock_timeout=NOW)._alone():
            pass
    warehouse.read("SELECT 1")
    child = os.fork()  # what lingers is closed before it
    if not child:
        os._exit(0 if warehouse._lingering._kept is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert warehouse.read("SELECT 1 AS one")["one"].tolist() == [1]
