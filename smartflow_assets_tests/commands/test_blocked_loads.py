"""What a user sees of a contract that is broken, from the run to the release, and of columns that change."""

from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import Smartflow, make_contract_home, rows_of, write_lanes

CONTRACT = """\
contract:
  columns:
    n: {min: 0, severity: critical}   # a count
    lane: {allowed: [north, south], sensitive: true}
"""
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_contract_home(tmp_path_factory.mktemp("home"), CONTRACT)


def test_a_load_that_breaks_a_critical_part_is_told_until_a_person_releases_it(home: Path, smartflow: Smartflow, monkeypatch) -> None:
    monkeypatch.chdir(home)
    assert smartflow("run", "--as-of", "2026-03-06").out.split()[1] == "ok"
    write_lanes(home, ("2026-03-06T00:00:00Z", -7, "westbound-4711"), ("2026-03-06T01:00:00Z", 103, "north"))
    answer = smartflow("run", "--as-of", "2026-03-06T03:00")
    assert (answer.code, answer.out.split()[1]) == (0, "blocked") and "blocked 2" in answer.out
    (load,) = (row["load_id"] for row in rows_of(smartflow, "SELECT load_id FROM blocked_loads"))
    assert f"2 rows of load {load} go no further, since 1 of 2 values of n is negative" in answer.err
    assert f"`smartflow quarantine shop --release --load {load}` lets them through" in answer.err
    assert "blocked" in smartflow("sources").out and load in smartflow("quarantine").out
    incidents = rows_of(smartflow, "SELECT cause, severity, state FROM incidents ORDER BY cause")
    told = [("check:values_are_as_agreed", "warning", "open"), (f"load:{load}", "critical", "open")]  # the unknown lane, and the load
    assert [(each["cause"], each["severity"], each["state"]) for each in incidents] == told
    (opened,) = rows_of(smartflow, "SELECT payload FROM incident_events WHERE cause LIKE 'load:%'")
    assert f"smartflow quarantine shop --release --load {load}" in str(opened["payload"])
    observed = "SELECT max(observed_at) AS at FROM clean_series"
    assert rows_of(smartflow, observed)[0]["at"].startswith("2026-03-05T23:00")

    assert smartflow("quarantine", "shop", "--release", "--load", "nowhere").code == 2
    answer = smartflow("quarantine", "shop", "--release", "--load", load[:8])
    assert answer.code == 0 and f"2 rows of load {load} released; the next run takes them" in answer.out
    assert smartflow("run", "--as-of", "2026-03-06T03:01").out.split()[1] == "ok"
    assert rows_of(smartflow, observed)[0]["at"].startswith("2026-03-06T01:00")
    (ended,) = rows_of(smartflow, "SELECT state, resolved_reason FROM incidents WHERE cause LIKE 'load:%'")
    assert ended["state"] == "resolved" and ended["resolved_reason"].startswith("let through by ")


def test_a_sensitive_value_stands_in_the_raw_table_alone(home: Path) -> None:
    """It broke the contract of its column in the first of these tests."""
    places = [path for path in home.rglob("*") if path.is_file() and b"westbound-4711" in path.read_bytes()]
    assert {path.name for path in places} <= {"shop.csv", "smartflow.duckdb", "analyst.duckdb"}


def test_a_column_that_was_renamed_is_shown_and_accepted_comments_kept(home: Path, smartflow: Smartflow, monkeypatch) -> None:
    monkeypatch.chdir(home)
    write_lanes(home, ("2026-03-06T00:00:00Z", 7, "north"), ("2026-03-06T02:00:00Z", 104, "south"), header="ts,n,direction")
    assert smartflow("run", "--as-of", "2026-03-06T05:00").out.split()[1] == "ok"
    said = smartflow("contract", "diff", "shop")
    assert said.out.startswith("shop: column lane is gone, and direction is new and holds the same, since 2026-03-06 05:00")
    assert "+    direction: {allowed: [north, south], sensitive: true}" in said.out.splitlines()
    assert smartflow("contract", "accept", "shop", "lain").code == 2
    assert "nothing is written" in smartflow("contract", "accept", "shop", "--dry-run").err
    assert smartflow("contract", "accept", "shop").code == 0
    text = (home / "data/sources/shop.yaml").read_text()
    assert "direction: {allowed" in text and "lane" not in text and "# a count" in text
    assert smartflow("contract", "diff", "shop").out == "shop: the columns are as they were accepted\n"
    assert smartflow("run", "--as-of", "2026-03-06T05:01").code == 0
    assert {each["state"] for each in rows_of(smartflow, "SELECT state FROM incidents WHERE cause LIKE 'check:%'")} == {"resolved"}
