"""How the process of a command ends: what was registered is done, streams are written, codes are kept, threads are waited for."""

import gc
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.commands import process

REGISTERED = "import atexit, sys; atexit.register(lambda: print('registered'))"


def ended(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


@pytest.mark.parametrize("code", [0, 1, 130])
def test_it_does_what_was_registered_and_keeps_the_code(code):
    program = f"{REGISTERED}; from smartflow_assets.commands import process; sys.stdout.write('said '); process.leave({code})"
    assert (found := ended(program)).returncode == code and (found.stdout, found.stderr) == ("said registered\n", "")


def test_a_thread_at_work_is_waited_for():
    program = f"""{REGISTERED}
import threading, time
from smartflow_assets.commands import process
threading.Thread(target=lambda: (time.sleep(0.3), print("worked", flush=True))).start()
process.leave(3)
"""
    assert (found := ended(program)).returncode == 3 and found.stdout == "worked\nregistered\n"


def test_a_thread_that_does_not_end_is_waited_for_a_while_only():
    program = f"""{REGISTERED}
import threading, time
from smartflow_assets.commands import process
process.PATIENCE = 0.1
threading.Thread(target=time.sleep, args=(60,)).start()
process.leave(3)
"""
    began = time.monotonic()
    assert (found := ended(program)).returncode == 3 and found.stdout == "registered\n" and time.monotonic() - began < 30


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.soak
def test_a_stream_that_is_closed_stops_nothing_and_is_no_file_of_ours(tmp_path, closed):
    program = "import sys, typer; from smartflow_assets import cli; sys.argv = ['smartflow', 'sql', 'SELECT 41 + 1 AS n']; cli.main()"
    shutil.copytree(Path(__file__).parents[2] / "data" / "sources", tmp_path / "data" / "sources")
    Warehouse(tmp_path / "data/warehouse/smartflow.duckdb", tmp_path / "data/warehouse/analyst.duckdb").publish("test", is_forced=True)
    found = subprocess.run(
        ["bash", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program],
        env={**os.environ, "SMARTFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found
    assert ("42" in found.stdout) == (closed in ("<&-", "2>&-"))


def test_a_stream_that_cannot_be_written_is_told_as_by_any_program():
    program = "import sys; from smartflow_assets.commands import process; sys.stdout.write('x'); process.leave(0)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        found = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert found.returncode == 120 and "No space left on device" in found.stderr  # Python's own code


def test_what_was_frozen_leaves_no_word_at_a_usual_end():
    program = """if True:
        from smartflow_assets.commands import process
        with process.loading():
            import duckdb
        duckdb.connect().sql("select 1").fetchall()"""
    found = ended(program)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_garbage_is_looked_for_again_after_loading():
    frozen = gc.get_freeze_count()
    with process.loading():
        assert not gc.isenabled()
    assert gc.isenabled() and gc.get_freeze_count() == frozen  # nothing was loaded
