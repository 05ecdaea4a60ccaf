"""The processes beside a server: they end with it, and one that dies takes nothing else with it."""

import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from smartflow_assets.serve.beside import Beside

pytestmark = pytest.mark.soak


def own_pid():
    return os.getpid()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid: int) -> bool:
    for _ in range(100):
        if not is_alive(pid):
            return True
        time.sleep(0.1)
    return False


def test_work_goes_on_in_a_new_process_after_one_that_died():
    beside = Beside()
    first = beside.submit(own_pid).result()
    assert first != os.getpid()
    with pytest.raises(BrokenProcessPool):
        beside.submit(die).result()
    assert beside.submit(own_pid).result() != first
    beside.close()


def test_a_process_without_work_ends_after_a_while():
    beside = Beside(idle_after=0.2)
    assert gone(beside.submit(own_pid).result())
    beside.close()


def test_closing_waits_for_nobody_who_does_not_end():
    beside = Beside()
    pid = beside.submit(own_pid).result()
    beside.submit(time.sleep, 600)
    beside.close(patience=0.2)
    assert gone(pid)
