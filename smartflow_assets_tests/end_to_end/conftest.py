"""A home whose runs go through a real Dagster instance, and real servers on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from smartflow_assets_tests.homes import Home
from smartflow_assets_tests.quick_history import install
from smartflow_assets_tests.receivers import HookServer, MailServer, hook_server, mail_server

install()


@contextmanager
def opened(folder: Path) -> Iterator[Home]:
    """A home in a folder, new or copied, with the Dagster instance that lies in it."""
    (folder / "dagster-instance").mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, dg.instance_for_test(temp_dir=str(folder / "dagster-instance")) as instance:
        patch.setenv("SMARTFLOW_HOME", str(folder))
        yield Home(folder, instance)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened(tmp_path) as made:
        yield made


@pytest.fixture
def mailbox() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[HookServer]:
    with hook_server() as server:
        yield server
