"""What a command writes where the user says: nothing in the place of what the home lives by."""

from pathlib import Path

import pytest

from smartflow_assets.commands.target_file import not_of_home
from smartflow_assets.commands.terminal import UsageError
from smartflow_assets_tests.commands.conftest import Smartflow

VITAL = [
    "data/warehouse/smartflow.duckdb",
    "data/warehouse/analyst.duckdb",
    "data/warehouse/models/new.html",
    "data/sources/shop.yaml",
    "data/sources/new.html",
    "data/channels.yaml",
    "data/defaults.yaml",
    "data/home.yaml",
    "data/serve/link_key",
    "data/dagster/runs.db",
    "dagster.yaml",
    "data/reports/../home.yaml",
    "link.html",
]


@pytest.mark.parametrize("name", VITAL)
def test_what_the_home_lives_by_is_no_target(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("SMARTFLOW_HOME", raising=False)
    (home / "link.html").symlink_to(home / "data/sources/shop.yaml")
    with pytest.raises(UsageError, match=r"SmartFlow's own\. Write elsewhere, such as data/reports\."):
        not_of_home(Path(name))


@pytest.mark.parametrize("name", ["out.csv", "data/reports/x.html", "data/outbox/x", "data/feeds/x.csv", "data/sources/source.schema.json"])
def test_any_other_place_is_the_users(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("SMARTFLOW_HOME", raising=False)
    assert not_of_home(Path(name)) == Path(name)


def test_where_there_is_no_home_nothing_is_vital(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMARTFLOW_HOME", raising=False)
    assert not_of_home(Path("data/home.yaml")) == Path("data/home.yaml")


@pytest.mark.parametrize(
    ("arguments", "ending"),
    [
        (("report", "-o"), "html"),
        (("metrics", "-o"), "prom"),
        (("config-schema", "-o"), "json"),
        (("contract", "export", "shop", "-o"), "json"),
        (("backtest", "shop", "-o"), "html"),
        (("compare", "shop", "--detectors", "mad,zscore", "-o"), "html"),
        (("detect", "data/feeds/shop.csv", "-o"), "csv"),
        (("generate", "iot_sensors", "-o"), "csv"),
        (("generate", "iot_sensors", "-o", "rows.csv", "--labels"), "csv"),
    ],
)
def test_every_command_that_writes_a_named_file_looks(smartflow: Smartflow, home: Path, arguments: tuple[str, ...], ending: str) -> None:
    (home / "data/sources/shop.yaml").write_text(
        (home / "data/sources/shop.yaml").read_text() + "contract: {row_count: {min: 1, per: day}}\n"
    )
    target = home / f"data/sources/precious.{ending}"
    target.write_text("precious")
    answer = smartflow(*arguments, str(target))
    assert answer.code == 2 and "SmartFlow's own" in answer.err, answer
    assert target.read_text() == "precious"
