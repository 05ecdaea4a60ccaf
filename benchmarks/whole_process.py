"""What a program takes, run as a user would: in a process of its own, with start-up and all its children."""

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

SMARTFLOW = str(Path(sys.executable).with_name("smartflow"))
UNSET = ("DAGSTER_HOME", "PYTHONDONTWRITEBYTECODE")  # a user has neither; without bytecode each start is .3 to .5 s longer


@dataclass(frozen=True)
class Taken:
    """How a program ended and what it took; `peak_mib` is the resident memory of the process tree."""

    exit_code: int
    output: str
    cpu_seconds: float
    wall_seconds: float
    peak_mib: float


def measure(home: Path, *arguments: str) -> Taken:
    """Run `smartflow` with these arguments on a home."""
    return measure_command([SMARTFLOW, *arguments], {"SMARTFLOW_HOME": str(home)})


def measure_command(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Taken:
    """Run a command with this added to the environment."""
    variables = {name: value for name, value in os.environ.items() if name not in UNSET} | dict(environment or {})
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watcher.start()
    output, _ = process.communicate()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(process.returncode, output, cpu, wall, peak[0] / 2**20)


def _watch(pid: int, peak: list[int]) -> None:
    try:
        root = psutil.Process(pid)
        while root.is_running():
            peak[0] = max(peak[0], sum(p.memory_info().rss for p in [root, *root.children(recursive=True)]))
            time.sleep(0.05)
    except psutil.Error:
        return


@contextmanager
def running_ui(home: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """`smartflow ui` on a home, from when its page answers until it is no longer needed: its process and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "SMARTFLOW_HOME": str(home)}
    process = subprocess.Popen(
        [SMARTFLOW, "ui", "--port", str(port)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 180
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if time.monotonic() > deadline:
                raise SystemExit("smartflow ui does not answer")
            time.sleep(0.5)
        yield process, port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
