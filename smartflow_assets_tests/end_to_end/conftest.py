"""A home whose runs go through a real Dagster instance, and real servers on loopback."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from smartflow_assets_tests.homes import Home
from smartflow_assets_tests.receivers import HookServer, MailServer, hook_server, mail_server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    with dg.instance_for_test(temp_dir=str(_made(tmp_path / "dagster-instance"))) as instance:
        yield Home(tmp_path, instance)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def mailbox() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[HookServer]:
    with hook_server() as server:
        yield server
