"""A home with sources in a temporary folder, a real Dagster instance beside it, and real servers on loopback."""
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from aiosmtpd.controller import Controller

from smartflow_assets.adapters.warehouse import Warehouse
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.execute import Outcome, execute
from smartflow_assets.defs.resources import open_warehouse

START = datetime(2026, 3, 2, tzinfo=UTC)
STEP = timedelta(minutes=5)


@dataclass
class Home:
    """A folder that holds `data/`, and the instance that its runs are recorded in."""

    folder: Path
    instance: dg.DagsterInstance
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings(self.folder)
        for part in ("sources", "examples"):
            (self.folder / "data" / part).mkdir(parents=True, exist_ok=True)

    @property
    def warehouse(self) -> Warehouse:
        return open_warehouse(self.settings)

    def write_source(self, name: str, text: str) -> Path:
        path = self.settings.sources / f"{name}.yaml"
        path.write_text(text)
        if name not in self.instance.get_dynamic_partitions("sources"):
            self.instance.add_dynamic_partitions("sources", [name])
        return path

    def write_channels(self, text: str) -> None:
        self.settings.channels_file.write_text(text)

    def run(self, source: str, as_of: datetime, job: str = "monitor_source", **options: object) -> Outcome:
        return execute(self.instance, self.settings, job, source, {"as_of": as_of.isoformat(), **options})

    def table(self, name: str, where: str = "TRUE") -> pd.DataFrame:
        return self.warehouse.read(f"SELECT * FROM {name} WHERE {where}")

    def count(self, name: str, where: str = "TRUE") -> int:
        return int(self.warehouse.read(f"SELECT count(*) AS n FROM {name} WHERE {where}").n[0])

    def sent(self, channel: str | None = None) -> pd.DataFrame:
        return self.table("alert_sends", "status = 'sent'" + (f" AND channel = '{channel}'" if channel else ""))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    with dg.instance_for_test(temp_dir=str(_made(tmp_path / "dagster-instance"))) as instance:
        yield Home(tmp_path, instance)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def daily_series(days: float, *, start: datetime = START, step: timedelta = STEP, seed: int = 7) -> pd.DataFrame:
    """timestamp, value: a daily wave around 500 with a little noise, rounded as a counter would be."""
    times = pd.date_range(start, periods=int(timedelta(days=days) / step), freq=step)
    noise = np.random.default_rng(seed).normal(0, 12, len(times))
    hours = (times.hour + times.minute / 60).to_numpy()
    return pd.DataFrame({"timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "value": np.round(500 + 200 * np.sin(hours / 24 * 2 * np.pi) + noise)})


def write_rows(path: Path, rows: pd.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
    return path


@dataclass
class Mailbox:
    """A real SMTP server on loopback that keeps what it is given."""

    port: int
    messages: list[str]


class _Keep:
    def __init__(self, messages: list[str]) -> None:
        self.messages = messages

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        self.messages.append(envelope.content.decode("utf-8", "replace"))  # type: ignore[attr-defined]
        return "250 kept"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    messages: list[str] = []
    controller = Controller(_Keep(messages), hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield Mailbox(controller.server.sockets[0].getsockname()[1], messages)
    finally:
        controller.stop()


@dataclass
class Receiver:
    """A webhook receiver on loopback that can be told to be down."""

    url: str
    bodies: list[bytes]
    is_down: bool = False


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver("", [])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not state.is_down:
                state.bodies.append(body)
            self.send_response(503 if state.is_down else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
