"""Two commands at once and an analyst who never closes: nobody fails, nobody waits for the analyst, one message."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from smartflow_assets_tests.homes import START, Home, daily_series, write_rows

SOURCE = """
name: {name}
read: {{type: csv, path: examples/{name}.csv, time: timestamp}}
metrics: [{{name: requests, column: value, aggregate: sum}}]
time_bucket: {{every: 5min, settle: 0s}}
rules: [{{type: threshold, metric: requests, above: 1500}}]
alerts: {{to: [file], max_age: 3650 days}}
"""
END = START + timedelta(days=3)


def smartflow(home: Home, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "SMARTFLOW_HOME": str(home.folder), "DAGSTER_HOME": str(home.instance.root_directory)}
    command = [str(Path(sys.executable).with_name("smartflow")), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def write_sources(home: Home, *names: str, more: str = "") -> None:
    for name in names:
        home.write_source(name, SOURCE.format(name=name) + more)
        rows = daily_series(3)
        rows.loc[500, "value"] = 2500
        write_rows(home.settings.data / "examples" / f"{name}.csv", rows)


@contextmanager
def read_in_a_loop(home: Home) -> Iterator[None]:
    """An analyst beside it, who must see neither an error nor nothing."""
    is_over, errors, reads = threading.Event(), [], []

    def read() -> None:
        while not is_over.is_set():
            try:
                with duckdb.connect(str(home.settings.published_file), read_only=True) as connection:
                    reads.append(connection.execute("SELECT count(*) FROM marts.source_health").fetchall())
            except duckdb.Error as error:
                errors.append(str(error))
            time.sleep(0.2)  # a reader that never rests takes a core from the runs

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        is_over.set()
        reader.join()
    assert errors == [] and len(reads) > 10


def nothing_is_doubled(home: Home, *names: str) -> None:
    for name in names:
        assert home.count(f"raw.{name}") == 3 * 288
        assert home.count("clean_series", f"source = '{name}'") == 3 * 288
        assert home.count("incidents", f"source = '{name}'") == 1
        assert home.count("alert_sends", f"source = '{name}' AND event = 'opened' AND status = 'sent'") == 1


@pytest.mark.soak
def test_two_commands_at_once_and_a_reader_in_a_loop(home):
    write_sources(home, "web", "shop")
    first = smartflow(home, "run", "shop", "--as-of", (END - timedelta(hours=1)).isoformat())
    output, _ = first.communicate(timeout=300)
    assert first.returncode == 0, output
    with read_in_a_loop(home):
        both = [smartflow(home, "run", "--as-of", END.isoformat()) for _ in range(2)]
        outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    nothing_is_doubled(home, "web", "shop")


@pytest.mark.soak
def test_a_command_beside_a_run_and_a_reader_in_a_loop(home):
    write_sources(home, "web", more="detectors: [{type: mad}]\n")  # what is found does not matter here
    assert home.run("web", END - timedelta(hours=1)).is_success
    with read_in_a_loop(home):
        command = smartflow(home, "run", "web", "--as-of", END.isoformat())
        while not list(home.settings.locks.glob("run-*.lock")):  # it has begun
            assert command.poll() is None
            time.sleep(0.02)
        ran = home.run("web", END)
        output, _ = command.communicate(timeout=300)
    assert command.returncode == 0 and ran.is_success, output
    nothing_is_doubled(home, "web")
