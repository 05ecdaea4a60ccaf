"""Commands as a user calls them: through the typer app, in a temporary home.

What several tests of a module start from is run once, in a fixture of the module, and copied for each of them.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smartflow_assets.cli import app
from smartflow_assets_tests.quick_history import install

install()
SHOP = """\
name: shop
description: Orders.
read: {type: csv, path: feeds/shop.csv, time: ts}
metrics: [{name: orders, column: n, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
schedule: manual
rules:
  - {type: threshold, name: flood, metric: orders, above: 500, severity: critical}
"""


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Smartflow = Callable[..., Answer]


def call(*arguments: str, input: str | None = None) -> Answer:
    """Call a command in this process."""
    answer = CliRunner().invoke(app, list(arguments), input=input)
    return Answer(answer.exit_code, answer.stdout, answer.stderr)


@contextmanager
def no_home_in_the_environment() -> Iterator[None]:
    """Commands set these variables; what comes next starts without them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SMARTFLOW_HOME", "DAGSTER_HOME"):
            patch.setenv(name, "")
            patch.delenv(name)
        yield
        for name in ("SMARTFLOW_HOME", "DAGSTER_HOME"):
            os.environ.pop(name, None)


@contextmanager
def in_folder(folder: Path) -> Iterator[Smartflow]:
    """Commands called in a folder: for fixtures that outlive a test."""
    with no_home_in_the_environment(), chdir(folder):
        yield call


@pytest.fixture
def smartflow() -> Iterator[Smartflow]:
    """Call a command in this process."""
    with no_home_in_the_environment():
        yield call


def make_home(folder: Path) -> Path:
    """One source and 120 calm hours of it."""
    (folder / "data" / "sources").mkdir(parents=True)
    (folder / "data" / "feeds").mkdir()
    (folder / "data" / "sources" / "shop.yaml").write_text(SHOP)
    rows = [f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z,{100 + hour % 7}" for hour in range(120)]
    (folder / "data" / "feeds" / "shop.csv").write_text("ts,n\n" + "\n".join(rows) + "\n")
    return folder


def make_contract_home(folder: Path, contract: str) -> Path:
    """The same source with a contract and a column of lanes."""
    make_home(folder)
    (folder / "data/sources/shop.yaml").write_text(SHOP + "detectors: [{type: mad}]\n" + contract)
    write_lanes(folder)
    return folder


def write_lanes(home: Path, *rows: tuple[str, int, str], header: str = "ts,n,lane") -> None:
    """The 120 calm hours of that home, and these rows behind them."""
    calm = [(f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z", 100 + hour % 7, "north") for hour in range(120)]
    text = "\n".join(",".join(map(str, row)) for row in (header.split(","), *calm, *rows))
    (home / "data/feeds/shop.csv").write_text(text + "\n")


def rows_of(smartflow: Smartflow, query: str) -> list[dict]:
    """What `smartflow sql` answers."""
    return json.loads(smartflow("sql", query, "--format", "json").out)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one source and 120 calm hours of it."""
    monkeypatch.chdir(tmp_path)
    return make_home(tmp_path)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Copies a home that a fixture of the module has made, for one test to change, and goes there."""

    def copy(made: Path) -> Path:
        monkeypatch.chdir(tmp_path)
        return shutil.copytree(made, tmp_path, dirs_exist_ok=True)

    return copy
