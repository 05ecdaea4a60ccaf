"""What the processes do that `test_warehouse_processes.py` starts; here because a started process imports it by name."""

import resource
import time
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pandas as pd

from smartflow_assets.adapters.warehouse import commits
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append, Replace
from smartflow_assets_tests.adapters.warehouse.frames import START, at, clean

ROWS = 20_000


def opened(folder: Path) -> Warehouse:
    return Warehouse(folder / "smartflow.duckdb", folder / "analyst.duckdb", lock_timeout=timedelta(seconds=60))


def write_often(folder: Path, name: str, times: int, report: Connection) -> None:
    """Commits an event and a window `times` times, publishing now and then; reports the first error or None."""
    warehouse = opened(folder)
    try:
        for number in range(times):
            event = {"source": name, "event_id": f"{name}-{number}", "incident_id": "i", "event": "seen", "happened_at": START}
            rows = Replace("clean_series", name, clean([number], first=number), at(number), at(number + 1))
            warehouse.commit(f"run-{name}", [Append("incident_events", pd.DataFrame([event])), rows])
            if number % 3 == 0:
                warehouse.publish(f"run-{name}")
    except Exception as error:
        report.send(repr(error))
    else:
        report.send(None)


def read_until(folder: Path, is_over: Event, report: Connection) -> None:
    """Counts events and rows in the published copy in a loop; reports how often, and what went wrong."""
    warehouse, counts, problem = opened(folder), [0], None
    sql = "SELECT (SELECT count(*) FROM incident_events) AS events, (SELECT count(*) FROM clean_series) AS buckets"
    while problem is None and not is_over.is_set():
        try:
            events, buckets = warehouse.published_read(sql).iloc[0]
            if events != buckets or events < counts[-1]:
                problem = f"half a commit: {events} events, {buckets} rows after {counts[-1]}"
            counts.append(events)
        except Exception as error:
            problem = repr(error)
    report.send((len(counts) - 1, problem))


def write_versions(folder: Path, report: Connection) -> None:
    """Replaces all rows by the next version, for ever; reports each version once it is committed."""
    warehouse, version = opened(folder), 1
    while True:
        version += 1
        warehouse.commit("run", [Replace("clean_series", "web", clean([version] * ROWS), at(0), at(ROWS))])
        report.send(version)


def stop_before_the_end_of_a_write(folder: Path, report: Connection) -> None:
    """Has replaced all rows and not yet committed when it reports, and stays so."""

    def stop(*_: object) -> None:
        report.send("rows are replaced")
        time.sleep(60)

    commits._record = stop
    opened(folder).commit("run", [Replace("clean_series", "web", clean([2] * ROWS), at(0), at(ROWS))])


def fill_the_disk(folder: Path, report: Connection) -> None:
    """Writes more than a file may hold; reports the error, and whether a small write works when there is room again."""
    warehouse = opened(folder)
    size = (folder / "smartflow.duckdb").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 500_000, resource.RLIM_INFINITY))
    messages: list[str] = []
    values = [float(value) for value in pd.util.hash_array(pd.RangeIndex(200_000).to_numpy())]
    for work in (
        lambda: warehouse.commit("run", [Replace("clean_series", "web", clean(values), at(0), at(200_000))]),
        lambda: warehouse.publish("run"),
    ):
        try:
            work()
            messages.append("no error")
        except Exception as error:
            messages.append(f"{type(error).__name__}: {error}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    warehouse.commit("run", [Replace("clean_series", "shop", clean([7]), at(0), at(1))])
    report.send(messages)


def hold_open(path: Path, is_read_only: bool, report: Connection) -> None:
    """A notebook: opens a DuckDB file with no regard to our lock, looks at it, and on request looks again."""
    with duckdb.connect(path, read_only=is_read_only) as connection:
        while True:
            report.send(connection.execute("SELECT value FROM clean_series WHERE source = 'web' LIMIT 1").fetchall()[0][0])
            report.recv()
