"""What a user sees of single rows that a contract diverts, from the run to the release."""

import json
from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import Smartflow, make_contract_home, rows_of, write_lanes

CONTRACT = """\
contract:
  on_breach: quarantine
  columns:
    n: {min: 0, severity: critical}
    lane: {allowed: [north, south], sensitive: true}
"""
PLANTED = "westbound-4711"
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_contract_home(tmp_path_factory.mktemp("home"), CONTRACT)


def test_diverted_rows_are_told_listed_shown_and_decided(home: Path, smartflow: Smartflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    assert smartflow("quarantine", "shop", "--release").out == "no row is held\n"
    assert smartflow("run", "--as-of", "2026-03-06").out.split()[1] == "ok"
    good = [(f"2026-03-06T{hour:02}:00:00Z", 103, "north") for hour in range(3, 12)]
    bad = (("2026-03-06T00:00:00Z", -7, "north"), ("2026-03-06T01:00:00Z", 104, PLANTED))
    write_lanes(home, *bad, *good)
    answer = smartflow("run", "--as-of", "2026-03-06T12:00")
    assert (answer.code, answer.out.split()[1]) == (0, "ok") and "diverted 2" in answer.out
    assert (
        "2 rows are diverted, and the rest of their loads went on: lane is not among north, south (1), n is negative (1); "
        "`smartflow quarantine shop` lists them"
    ) in answer.err
    found = rows_of(smartflow, "SELECT cause, severity, state FROM incidents")
    assert found == [{"cause": "check:values_are_as_agreed", "severity": "critical", "state": "open"}]  # told, and nothing is blocked
    values = rows_of(
        smartflow, "SELECT CAST(observed_at AS VARCHAR) AS at FROM clean_series WHERE value < 0 OR observed_at > '2026-03-06T02:30'"
    )
    assert len(values) == 9

    listed = smartflow("quarantine").out
    assert "n is negative" in listed and "-7" in listed and "***" in listed
    header, shop = smartflow("sources").out.splitlines()[:2]
    assert shop[header.index("held") : header.index("held") + 4].strip() == "2"
    assert "shop has 2 rows in quarantine" in smartflow("doctor").out
    assert [row["row_count"] for row in rows_of(smartflow, "SELECT * FROM marts.quarantine WHERE state = 'held'")] == [1, 1]

    shown = json.loads(smartflow("quarantine", "shop", "--show", "--format", "json").out)
    assert [(row["n"], row["lane"], row["because"]) for row in shown] == [
        (-7, "***", "n is negative"),
        (104, "***", "lane is not among north, south"),
    ]
    assert smartflow("quarantine", "shop", "--show", "--column", "n", "--format", "csv").out.count("\n") == 2

    assert smartflow("quarantine", "shop", "--release", "--column", "m").code == 2
    assert smartflow("quarantine", "shop", "--release", "--row", "nowhere").code == 2
    assert smartflow("quarantine", "shop", "--column", "n").code == 2
    assert smartflow("quarantine", "--release").code == 2
    answer = smartflow("quarantine", "shop", "--release", "--row", shown[0]["row"][:6])
    assert answer.out == "shop: 1 diverted row released; the next run takes them\n"
    assert smartflow("quarantine", "shop", "--drop").out == (
        "shop: 0 rows dropped\nshop: 1 diverted row dropped; they stay in the raw table and go no further\n"
    )
    assert smartflow("quarantine").out == "no row is held\n"
    assert smartflow("run", "--as-of", "2026-03-06T12:01").out.split()[1] == "ok"
    assert rows_of(smartflow, "SELECT value FROM clean_series WHERE observed_at = '2026-03-06T00:00Z'") == [{"value": -7.0}]
    assert rows_of(smartflow, "SELECT repair FROM clean_series WHERE observed_at = '2026-03-06T01:00Z'") == [{"repair": "filled"}]
    assert smartflow("quarantine", "shop", "--release", "--reason", "n is negative").code == 2


def test_a_sensitive_value_stands_in_the_raw_table_alone(home: Path) -> None:
    """It broke the contract of its column in the test before."""
    places = [path for path in home.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()]
    assert {path.name for path in places} <= {"shop.csv", "smartflow.duckdb", "analyst.duckdb"}
