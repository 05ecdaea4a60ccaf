"""A real server on loopback, on a home that stages have filled."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.app import create_app
from smartflow_assets.serve.service import Access, Service
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows

LIVE = """
name: live
read: {type: inbox, time: at}
metrics: [{name: load, column: load}]
time_bucket: {every: 5min, settle: 0s}
rules: [{type: threshold, metric: load, above: 1500, severity: critical}]
schedule: manual
"""
SPIKE_AT = 1900  # row of the spike, in the last day of a week
NOW = START + timedelta(days=7)


def filled(folder: Path) -> Home:
    """A week of `web` with one spike on its last day, judged and published."""
    home = Home(folder)
    home.write_source("web", WEB.replace("name: web\n", "name: web\nowner: team:shop\ntags: {domain: sales}\n"))
    home.write_source("broken", "name: broken\nread: {type: nothing}\n")
    rows = daily_series(7)
    rows.loc[SPIKE_AT, "value"] = 4000
    write_rows(home.settings.data / "examples/web.csv", rows)
    home.run_stages("web", NOW)
    home.warehouse.publish("test")
    return home


def service_of(home: Home, run_source: Any = None, **access: Any) -> Service:
    """A service of a home, as `smartflow serve` makes it."""
    hosts = frozenset({"127.0.0.1", "localhost"})
    return Service(home.settings, home.warehouse, Access(hosts, **{"requests_per_second": 0.0, **access}), run_source)


def token(home: Home, role: Role, name: str = "") -> dict[str, str]:
    """The header of a new token."""
    service = service_of(home)
    return {"Authorization": f"Bearer {service.tokens.create(name or role, role, service.now())}"}


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(service: Service, port: int | None = None) -> Iterator[httpx.Client]:
    """Run its app on a free port, or on this one; the client asks that."""
    port = port or free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(service),
            host="127.0.0.1",
            port=port,
            log_level="warning",
            timeout_graceful_shutdown=2,
            http="h11",
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        service.listeners.end()
        server.should_exit = True
        thread.join(10)
