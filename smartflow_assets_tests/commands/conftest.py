"""Commands as a user calls them: through the typer app, in a temporary home."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smartflow_assets.cli import app

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


@pytest.fixture
def smartflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Smartflow]:
    """Call a command in this process."""
    for name in ("SMARTFLOW_HOME", "DAGSTER_HOME"):  # commands set them; the next test starts without
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def call(*arguments: str, input: str | None = None) -> Answer:
        answer = CliRunner().invoke(app, list(arguments), input=input)
        return Answer(answer.exit_code, answer.stdout, answer.stderr)

    yield call
    for name in ("SMARTFLOW_HOME", "DAGSTER_HOME"):
        os.environ.pop(name, None)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one source and 120 calm hours of it."""
    (tmp_path / "data" / "sources").mkdir(parents=True)
    (tmp_path / "data" / "feeds").mkdir()
    (tmp_path / "data" / "sources" / "shop.yaml").write_text(SHOP)
    rows = [f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z,{100 + hour % 7}" for hour in range(120)]
    (tmp_path / "data" / "feeds" / "shop.csv").write_text("ts,n\n" + "\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path
