"""Many processes at one warehouse: nothing is lost, nothing fails, and who dies leaves the old rows."""

import errno
import multiprocessing
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest

from smartflow_assets.adapters.warehouse import waiting
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Replace
from smartflow_assets.core.errors import WarehouseBusyError, WarehouseError
from smartflow_assets_tests.adapters.warehouse import workers
from smartflow_assets_tests.adapters.warehouse.frames import at, clean

SPAWN = multiprocessing.get_context("forkserver")  # imports once; a plain fork would share the threads of our DuckDB
SPAWN.set_forkserver_preload(["smartflow_assets_tests.adapters.warehouse.workers"])
Start = Callable[..., tuple[BaseProcess, Connection]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a worker with the given arguments and a connection to report on; ends it after the test."""
    processes = []

    def run(target: Callable, *arguments: object) -> tuple[BaseProcess, Connection]:
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=target, args=(*arguments, theirs), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        return process, ours  # pyright: ignore[reportReturnType] (typeshed has another class for each end of a pipe)

    yield run
    for process in processes:
        process.kill()
        process.join()


@pytest.fixture
def first_version(warehouse: Warehouse) -> Warehouse:
    warehouse.commit("run", [Replace("clean_series", "web", clean([1] * workers.ROWS), at(0), at(workers.ROWS))])
    return warehouse


def versions(warehouse: Warehouse) -> list[list[float]]:
    sql = "SELECT value, count(*) AS n FROM clean_series WHERE source = 'web' GROUP BY value"
    return warehouse.read(sql).to_numpy().tolist()


@pytest.mark.parametrize(("count", "times"), [(3, 4), pytest.param(8, 8, marks=pytest.mark.soak)])
def test_many_writers_and_two_readers_lose_nothing_and_fail_nothing(warehouse, start, count, times):
    folder = warehouse.path.parent
    warehouse.publish("run")
    is_over = SPAWN.Event()
    readers = [start(workers.read_until, folder, is_over) for _ in range(2)]
    writers = [start(workers.write_often, folder, f"source_{number}", times) for number in range(count)]
    assert [report.recv() for _, report in writers] == [None] * count
    is_over.set()
    for _, report in readers:
        read_count, problem = report.recv()
        assert problem is None and read_count > 0
    counts = warehouse.tables()
    assert (counts["incident_events"], counts["clean_series"], counts["writes"]) == (count * times, count * times, 2 * count * times)
    assert warehouse.read("SELECT count(DISTINCT written_at) AS n FROM writes")["n"].iloc[0] == count * times


def test_killed_in_the_middle_of_a_write_leaves_the_old_rows(first_version, start):
    process, report = start(workers.stop_before_the_end_of_a_write, first_version.path.parent)
    assert report.recv() == "rows are replaced"
    process.kill()
    assert versions(first_version) == [[1, workers.ROWS]]


@pytest.mark.parametrize("milliseconds", [5, 20, 45])
def test_killed_at_any_time_leaves_one_whole_version(first_version, start, milliseconds):
    process, report = start(workers.write_versions, first_version.path.parent)
    committed = report.recv()
    time.sleep(milliseconds / 1000)
    process.kill()
    process.join()
    ((version, count),) = versions(first_version)
    assert count == workers.ROWS and version >= committed
    first_version.commit("run", [Replace("clean_series", "web", clean([9]), at(0), at(workers.ROWS))])
    assert versions(first_version) == [[9, 1]]


def test_killed_while_publishing_leaves_a_whole_copy(first_version, start):
    first_version.publish("run")
    part = first_version.published.with_name("analyst.duckdb.part")
    part.write_bytes(b"half a copy")
    assert first_version.published_read("SELECT count(*) AS n FROM clean_series")["n"].iloc[0] == workers.ROWS
    first_version.publish("run", is_forced=True)
    assert not part.exists()


def test_notebook_that_holds_the_published_copy_blocks_nobody(first_version, start):
    first_version.publish("run")
    _, notebook = start(workers.hold_open, first_version.published, True)
    assert notebook.recv() == 1
    first_version.commit("run", [Replace("clean_series", "web", clean([2]), at(0), at(workers.ROWS))])
    assert first_version.publish("run")
    assert first_version.published_read("SELECT value FROM clean_series")["value"].tolist() == [2]
    notebook.send("look again")
    assert notebook.recv() == 1


@pytest.mark.parametrize("is_read_only", [True, False])
def test_stranger_who_holds_the_live_file_is_named(first_version, start, is_read_only, caplog, monkeypatch):
    monkeypatch.setattr(waiting, "TOLD_AFTER", timedelta(seconds=0.1))
    stranger, report = start(workers.hold_open, first_version.path, is_read_only)
    report.recv()
    impatient = Warehouse(first_version.path, first_version.published, lock_timeout=timedelta(seconds=0.2))
    with pytest.raises(WarehouseBusyError) as refused:
        impatient.commit("run", [Replace("clean_series", "web", clean([2]), at(0), at(workers.ROWS))])
    assert "smartflow.duckdb is open in " in str(refused.value)
    assert [told for told in caplog.messages if told.startswith("waiting")] == [f"waiting: {refused.value.what}"]
    assert f"(PID {stranger.pid})" in refused.value.what and f"Close it there (or: kill {stranger.pid})" in refused.value.remedy
    stranger.kill()
    stranger.join()
    assert versions(impatient) == [[1, workers.ROWS]]


@pytest.mark.soak
def test_full_disk_is_said_and_keeps_the_old_rows(first_version, start):
    first_version.publish("run")
    _, report = start(workers.fill_the_disk, first_version.path.parent)
    commit, publish = report.recv()
    assert commit.startswith("WarehouseError: the disk is full, nothing was written")
    assert "Free some space and run again; the rows from before are still there." in commit
    assert publish == "no error"
    assert versions(first_version) == [[1, workers.ROWS]]
    assert first_version.read("SELECT value FROM clean_series WHERE source = 'shop'")["value"].tolist() == [7]


def test_full_disk_while_publishing_keeps_the_old_copy(first_version, monkeypatch):
    first_version.publish("run")
    monkeypatch.setattr("shutil.copyfile", _no_space)
    with pytest.raises(WarehouseError, match=r"could not be published: No space left on device .* the copy from before is still"):
        first_version.publish("run", is_forced=True)
    assert len(first_version.published_read("SELECT value FROM clean_series")) == workers.ROWS


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
