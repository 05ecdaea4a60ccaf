"""`smartflow ui`: a real `dagster dev`, and no process of it left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.commands.ui import _alone
from smartflow_assets.config.settings import Settings
from smartflow_assets.stages.heartbeat import beat
from smartflow_assets_tests.commands.conftest import Smartflow


@pytest.fixture
def port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(port: int, query: str) -> dict[str, object]:
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["data"]


def test_a_port_in_use_is_said_with_another_one(smartflow: Smartflow, home: Path, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        answer = smartflow("ui", "--port", str(port))
    assert answer.code == 1
    assert answer.err == (
        f"error: port {port} of 127.0.0.1 cannot be used: Address already in use. Is it open already? "
        f"Else choose another: smartflow ui --port {port + 1}.\n"
    )


def test_a_second_ui_of_a_home_is_refused_and_names_the_first(smartflow: Smartflow, home: Path, port: int) -> None:
    settings = Settings(home)
    with AdvisoryLock(settings.ui_lock, is_beside_shared=True).exclusive(timedelta(0), holder="smartflow ui"):
        answer = smartflow("ui", "--port", str(port))
    assert answer.code == 1
    assert f"error: `smartflow ui` of this home is running: PID {os.getpid()} on " in answer.err
    assert answer.err.endswith(f"Open its page, or end it first: kill {os.getpid()}.\n")


def test_a_daemon_that_ticked_just_now_is_told_unless_its_ui_was_killed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(home)
    with _alone(settings):
        pass
    assert capsys.readouterr().err == ""
    beat(settings)
    with _alone(settings):
        pass
    assert "a daemon of this home ticked 0 s ago: if it still runs, end it, or this" in capsys.readouterr().err
    settings.ui_lock.write_text("{}")  # as a holder leaves it that was killed
    with _alone(settings):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.soak
@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
def test_the_ui_loads_from_another_folder_and_ends_with_all_its_processes(
    home: Path, tmp_path_factory: pytest.TempPathFactory, port: int, ended_by: signal.Signals
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | {"SMARTFLOW_HOME": str(home)}
    command = [sys.executable, "-m", "smartflow_assets.cli", "ui", "--port", str(port)]
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path_factory.mktemp("elsewhere"), stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            deadline, answer = time.monotonic() + 120, {}
            while not answer:
                assert process.poll() is None, "it ended by itself"
                assert time.monotonic() < deadline, "it did not answer"
                with suppress(OSError, ValueError):
                    answer = _ask(port, "{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }")
                time.sleep(0.1)
            children = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.send_signal(ended_by)
            process.communicate(timeout=60)  # its children have its streams too, so this waits for all
    assert answer["repositoriesOrError"] == {"nodes": [{"location": {"name": "smartflow_assets.definitions"}}]}
    assert process.returncode == (0 if ended_by == signal.SIGTERM else -signal.SIGKILL)
    assert len(children) >= 3
    psutil.wait_procs(children, timeout=15)
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert (home / "data/dagster/dagster.yaml").exists()
