"""Locks exclude, name their holder, and are free as soon as the holder is dead."""

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smartflow_assets.adapters.warehouse import waiting
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.core.errors import WarehouseBusyError

AT_ONCE, SOON = timedelta(0), timedelta(seconds=20)
HOLD = """
import sys, time
from datetime import timedelta
from pathlib import Path
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
with AdvisoryLock(Path(sys.argv[1])).exclusive(timedelta(seconds=20), holder="run-7"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path: Path) -> AdvisoryLock:
    return AdvisoryLock(tmp_path / "locks" / "web.lock")


@pytest.fixture
def foreign_holder(lock: AdvisoryLock):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_nobody_holds_a_lock_that_was_never_taken(lock):
    assert lock.holder() is None


def test_holder_is_known_while_held_and_forgotten_after(lock):
    with lock.exclusive(AT_ONCE, holder="run-1"):
        holder = lock.holder()
        assert holder is not None and (holder.run_id, holder.pid) == ("run-1", os.getpid())
    assert lock.holder() is None


def test_timeout_names_run_pid_and_remedy(lock, foreign_holder):
    with pytest.raises(WarehouseBusyError) as refused, lock.exclusive(AT_ONCE):
        pass
    assert f"run run-7, PID {foreign_holder.pid} on" in str(refused.value)
    assert f"end it with: kill {foreign_holder.pid}." in str(refused.value)


@pytest.mark.parametrize("mode", ["exclusive", "shared"])
def test_a_long_wait_is_told_once_with_who_holds_it(lock, foreign_holder, caplog, monkeypatch, mode):
    monkeypatch.setattr(waiting, "TOLD_AFTER", timedelta(seconds=0.1))
    with pytest.raises(WarehouseBusyError), getattr(lock, mode)(timedelta(seconds=0.3)):
        pass
    (told,) = caplog.messages
    assert told.startswith(f"waiting: {lock.path} is held by run run-7, PID {foreign_holder.pid} on ")


def test_a_short_wait_is_not_told(lock, foreign_holder, caplog):
    with pytest.raises(WarehouseBusyError), lock.exclusive(timedelta(seconds=0.3)):
        pass
    assert not caplog.messages


def test_killed_holder_frees_the_lock(lock, foreign_holder):
    foreign_holder.send_signal(signal.SIGKILL)
    foreign_holder.wait()
    assert lock.holder() is None
    with lock.exclusive(AT_ONCE):
        assert lock.holder() is not None


def test_a_lock_is_abandoned_from_the_death_of_its_holder_until_it_is_taken_again(lock, foreign_holder):
    assert lock.abandoned_at() is None  # it lives
    foreign_holder.kill()
    foreign_holder.wait()
    assert abs(lock.abandoned_at() - datetime.now(UTC)) < timedelta(minutes=1)
    with lock.exclusive(AT_ONCE):
        pass
    assert lock.abandoned_at() is None


def test_readers_share_and_keep_writers_out(lock):
    with (
        lock.shared(AT_ONCE),
        lock.shared(AT_ONCE),
        pytest.raises(WarehouseBusyError, match="processes that read"),
        lock.exclusive(AT_ONCE),
    ):
        pass


def test_threads_exclude_each_other(lock):
    inside, most = [], []

    def work():
        for _ in range(10):
            with lock.exclusive(SOON):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 40


def test_readers_without_a_gap_do_not_starve_a_writer(lock):
    is_over = threading.Event()

    def read():
        while not is_over.is_set():
            with lock.shared(SOON):
                is_over.wait(0.02)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        with lock.exclusive(timedelta(seconds=5)):
            assert lock.holder() is not None
    finally:
        is_over.set()
        for reader in readers:
            reader.join()


def test_half_written_holder_does_not_break_the_message(lock):
    with lock.exclusive(AT_ONCE):
        lock.path.write_text("{half")
        with pytest.raises(WarehouseBusyError, match="half"), lock.exclusive(AT_ONCE):
            pass
