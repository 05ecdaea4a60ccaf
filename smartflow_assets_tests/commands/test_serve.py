"""`smartflow serve` as a process: what it says, how it ends, several processes that read."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from smartflow_assets.serve.access.tokens import Role
from smartflow_assets_tests.commands.conftest import call
from smartflow_assets_tests.receivers import free_port
from smartflow_assets_tests.serve.served import filled, service_of, token

pytestmark = pytest.mark.integration
START = "from smartflow_assets.cli import main; main()"


@pytest.fixture
def home(tmp_path, monkeypatch):
    made = filled(tmp_path)
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    return made


def started(home, *options):
    port = free_port()
    environment = os.environ | {"SMARTFLOW_HOME": str(home.folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", START, "serve", "--port", str(port), *options], env=environment, stderr=subprocess.PIPE, text=True
    )
    for _ in range(300):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return process, f"http://127.0.0.1:{port}"
        except httpx.HTTPError:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
    raise AssertionError("it did not start")


def test_tokens_are_made_listed_and_revoked(home):
    made = call("serve", "token", "create", "anna", "--role", "operator", "--for", "30d")
    assert made.code == 0 and made.out.startswith("sf_") and "shown once" in made.err
    assert service_of(home).tokens.found(made.out.strip(), service_of(home).now()).role == "operator"
    listed = call("serve", "token", "list")
    assert "anna" in listed.out and made.out.strip() not in listed.out
    assert call("serve", "token", "create", "anna").code == 1
    assert call("serve", "token", "create", "bob", "--role", "king").code == 2
    assert call("serve", "token", "revoke", "anna").code == 0 and service_of(home).tokens.tokens() == ()


def test_the_network_gets_nothing_without_a_token(home):
    answer = call("serve", "--host", "0.0.0.0")
    assert answer.code == 1 and "no token yet" in answer.err


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_port_that_is_taken_is_told_before_an_address_is_said(home, options):
    token(home, Role.reader)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = call("serve", "--port", str(port), *options)
    assert answer.code == 1 and f"port {port} of 127.0.0.1 cannot be used" in answer.err and "--port" in answer.err
    assert "http://" not in answer.err, "nobody answers there"


@pytest.mark.soak
def test_a_second_server_is_told_where_the_first_one_is_and_an_end_leaves_nothing_behind(home):
    process, address = started(home)
    told = call("serve", "--port", str(free_port()))
    assert told.code == 1 and address in told.err
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0 and not (home.settings.serve / "server.json").exists()
    process, _ = started(home)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    process, _ = started(home)
    process.kill()
    process.wait()
    process, _ = started(home)  # nobody has to clear up after a kill
    process.terminate()
    assert process.wait(20) == 0


@pytest.mark.soak
def test_several_processes_answer_and_change_nothing(home):
    header = token(home, Role.admin)
    process, address = started(home, "--workers", "2")
    try:
        assert httpx.get(f"{address}/api/status", headers=header).json()["source_count"] == 2
        answer = httpx.post(f"{address}/api/submit", headers=header, json={"source": "web", "row": {"timestamp": 1}})
        assert answer.status_code == 403 and "only reads" in answer.json()["detail"]
        assert httpx.put(f"{address}/api/configure", headers=header, json={}).status_code == 405
    finally:
        process.terminate()
        assert process.wait(20) in (0, -signal.SIGTERM)
