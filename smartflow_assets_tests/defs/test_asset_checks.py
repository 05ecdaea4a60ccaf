"""The checks that say of a source whether its rows come in time, and whether its last run has left a stage failed."""

from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.event_api import PartitionKeyFilter

from smartflow_assets.defs.execute import execute_many
from smartflow_assets.defs.names import asset_key
from smartflow_assets.stages import ingestion
from smartflow_assets.stages.arrivals import arriving
from smartflow_assets.stages.preparation import bucket_plan
from smartflow_assets_tests.defs.conftest import SHOP
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows

END = START + timedelta(days=3)


def shown(home: Home, asset: str, check: str, source: str) -> dg.AssetCheckEvaluation:
    """The answer on the page of the asset."""
    key = dg.AssetCheckKey(asset_key(asset), check)
    found = home.instance.event_log_storage.get_latest_asset_check_execution_by_key([key], partition_filter=PartitionKeyFilter(key=source))
    return found[key].event.dagster_event.asset_check_evaluation_data


def test_a_run_that_failed_shows_which_stage_and_why_until_one_goes_well(home):
    home.write_source("web", WEB)
    path = home.settings.data / "examples/web.csv"
    assert not home.run("web", END).is_success
    failed = shown(home, "analyst_snapshot", "no_partition_is_failed", "web")
    assert not failed.passed and "raw_records failed: read.path: no file matches examples/web.csv" in failed.description
    home.write_source("web", WEB.replace("web.csv", "lost.csv"))
    again = home.run("web", END)
    assert [failure.cause for failure in again.failures] == ["raw_records"] and home.count("run_log") == 2
    assert "no file matches examples/lost.csv" in shown(home, "analyst_snapshot", "no_partition_is_failed", "web").description
    for name in ("stock", "web"):
        home.write_source(name, WEB.replace("name: web", f"name: {name}") + "freshness: {warn_after: 1h}\n")
    write_rows(path, daily_series(1))
    home.write_source("stock", WEB.replace("name: web", "name: stock").replace("web.csv", "stock.csv"))
    execute_many(home.instance, home.settings, ["stock", "web"], {"as_of": END.isoformat()}, on_end=lambda outcome: None)
    assert shown(home, "analyst_snapshot", "no_partition_is_failed", "web").passed
    failed = shown(home, "analyst_snapshot", "no_partition_is_failed", "stock")
    assert not failed.passed and "stock.csv" in failed.description
    execute_many(home.instance, home.settings, ["stock", "web"], {"as_of": END.isoformat()}, on_end=lambda outcome: None)
    assert list(home.table("run_log", "source = 'stock'")["status"]) == ["failed", "failed"]
    in_time = shown(home, "raw_records", "rows_arrive_in_time", "web")
    assert not in_time.passed and in_time.description.startswith(
        "No row since Mon 02 Mar 23:55 UTC, 2 days ago; rows usually come each 5 min"
    )


@pytest.fixture
def web(tmp_path, monkeypatch):
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    home = Home(tmp_path)
    write_rows(home.settings.data / "examples/web.csv", daily_series(2))
    return home


@pytest.mark.parametrize(
    ("freshness", "minutes", "severity", "said"),
    [
        ("auto", 10, None, "The newest row is of Tue 03 Mar 23:55 UTC, 10 min old; rows usually come each 5 min."),
        ("off", 9000, None, "freshness is off, so it is never called silent."),
        ("{warn_after: 15min, error_after: 1h}", 20, "warning", "20 min ago; rows usually come each 5 min; it may be 15 min old."),
        ("{warn_after: 15min, error_after: 1h}", 90, "critical", "it may be 1 h old."),
    ],
)
def test_how_late_rows_are_is_said_with_what_is_usual(web, freshness, minutes, severity, said):
    web.write_source("web", f"{WEB}freshness: {freshness}\n")
    web.run_stages("web", START + timedelta(days=2), [ingestion.raw_records])
    run = web.source_run("web", START + timedelta(days=2, minutes=minutes - 5))
    found = arriving(run, bucket_plan(run))
    assert found.severity == severity and found.said.endswith(said)


def test_a_source_without_rows_says_so(web):
    web.write_source("shop", SHOP)
    run = web.source_run("shop", END)
    assert arriving(run, bucket_plan(run)).said == "Too few rows have come to say how often they do."
