"""Several sources in one run: what each of them leaves is what a run of its own leaves, whatever becomes of the others."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import pandas as pd
import pytest
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.dead_runs import fail_dead_runs
from smartflow_assets.defs.execute import execute_many
from smartflow_assets.defs.names import asset_key
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.defs.resources import source_lock
from smartflow_assets.defs.run_closing import close_run
from smartflow_assets.defs.source_report import Outcome
from smartflow_assets.stages.run_closing import unsuccessful_sources
from smartflow_assets_tests.end_to_end.conftest import opened
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows

END = START + timedelta(days=4)
GOOD = ("north", "south", "west")
TABLES = ("clean_series", "anomaly_scores", "anomalies", "incidents", "incident_events", "alert_sends", "run_log")
OF_A_RUN = (
    "run_id",
    "model_id",
    "event_id",
    "seconds",
    "happened_at",
    "trained_at",
    "changed_at",
    "started_at",
    "ended_at",
    "job",
    "storage",
)


def add_source(home: Home, name: str, seed: int = 7) -> None:
    text = WEB.replace("name: web", f"name: {name}").replace("web.csv", f"{name}.csv")
    home.write_source(name, text.replace("to: [file]", "to: [file], group_within: off"))  # each is to be told as in a run of its own
    rows = daily_series(4, seed=seed)
    rows.loc[1000 + seed, "value"] = 2500
    write_rows(home.settings.data / "examples" / f"{name}.csv", rows)


def watch(home: Home, *names: str, **options: object) -> list[Outcome]:
    outcomes: list[Outcome] = []
    execute_many(home.instance, home.settings, names, {"as_of": END.isoformat(), **options}, on_end=outcomes.append)
    return outcomes


def newest_run(home: Home) -> dg.DagsterRun:
    return home.instance.get_runs(limit=1)[0]


def rows_of(home: Home, table: str, source: str) -> pd.DataFrame:
    """The rows of a source without what differs from run to run, in an order of their own."""
    rows = home.table(table, f"source = '{source}'").drop(columns=list(OF_A_RUN), errors="ignore")
    return rows.loc[rows.astype(str).sort_values(list(rows.columns)).index].reset_index(drop=True)


def materialized(home: Home, stage: str) -> set[str]:
    return home.instance.get_materialized_partitions(asset_key(stage))


def failed_partitions(home: Home, stage: str) -> set[str]:
    """As the page of the asset shows them."""
    asset = next(asset for asset in ASSETS if asset.key == asset_key(stage))
    state = get_and_update_asset_status_cache_value(home.instance, asset.key, SOURCES)
    return set(state.deserialize_failed_partition_subsets(SOURCES).get_partition_keys()) if state else set()


def check_of(home: Home, source: str, stage: str, check: str) -> AssetCheckExecutionResolvedStatus | None:
    """What the page of the asset says of the check of a partition."""
    key = dg.AssetCheckKey(asset_key(stage), check)
    found = home.instance.event_log_storage.get_latest_asset_check_execution_by_key([key], PartitionKeyFilter(key=source))
    return asyncio.run(found[key].resolve_status(LoadingContextForTest(home.instance))) if key in found else None


@dataclass
class Storm:
    """One run of six sources: three good ones, of which another run has `north`, one without its file, one whose YAML is broken, one that
    no longer has a file."""

    home: Home
    outcomes: list[Outcome]
    run: dg.DagsterRun


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    with opened(tmp_path_factory.mktemp("storm")) as home:
        for seed, name in enumerate((*GOOD, "lost")):
            add_source(home, name, seed)
        (home.settings.data / "examples" / "lost.csv").unlink()
        home.write_source("broken", "name: broken\nreed: {}\n")
        outcomes: list[Outcome] = []
        with ExitStack() as elsewhere:
            elsewhere.enter_context(source_lock(home.settings, "north").exclusive(timedelta(0), "another run"))

            def ended(outcome: Outcome) -> None:
                outcomes.append(outcome)
                if len(outcomes) == 4:  # all but the one that is held: it keeps nobody waiting
                    elsewhere.close()

            names = ("broken", "north", "lost", "south", "west", "stranger")
            execute_many(home.instance, home.settings, names, {"as_of": END.isoformat()}, on_end=ended)
        yield Storm(home, outcomes, newest_run(home))


@pytest.mark.soak
def test_the_others_go_on_and_what_another_run_works_on_comes_last(storm):
    assert [(outcome.source, outcome.is_success) for outcome in storm.outcomes] == [
        ("broken", False),
        ("lost", False),
        ("south", True),
        ("west", True),
        ("north", True),
    ]
    broken, lost = storm.outcomes[:2]
    assert [failure.cause for failure in broken.failures] == ["run"] and "did you mean `read`?" in broken.failures[0].message
    assert [failure.cause for failure in lost.failures] == ["raw_records"] and "lost.csv" in lost.failures[0].message


@pytest.mark.soak
def test_the_run_is_red_and_says_whose_fault_it_was(storm):
    assert storm.run.status == dg.DagsterRunStatus.FAILURE
    assert storm.run.tags["smartflow/sources"] == "6 sources"
    (failed,) = storm.home.instance.all_logs(storm.run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    said = failed.dagster_event.step_failure_data.error.message
    assert "2 of 5 sources failed: broken (run), lost (raw_records); there is no source stranger in data/sources" in said


def test_each_source_has_its_row_its_facts_and_its_incident(storm):
    log = storm.home.table("run_log").set_index("source")
    assert log["status"].to_dict() == dict.fromkeys(GOOD, "success") | {"broken": "failed", "lost": "failed"}
    assert set(log["job"]) == {"monitor_source"} and set(log["run_id"]) == {storm.run.run_id} and set(log["reason"]) == {"command line"}
    assert (log.loc[list(GOOD), "rows_in"] == 1152).all() and "raw_records: " in log.loc["lost", "error"]
    assert set(log.loc["south", "seconds"]) == {asset.key.path[-1] for asset in ASSETS}
    causes = storm.home.table("incidents", "cause <> 'anomaly'").set_index("source")["cause"].to_dict()
    assert causes == {"broken": "run", "lost": "raw_records"}


@pytest.mark.soak
def test_the_tables_are_those_of_separate_runs(storm, tmp_path):
    with opened(tmp_path) as home:
        for seed, name in enumerate(GOOD):
            add_source(home, name, seed)
            assert home.run(name, END).is_success
        for table in TABLES:
            for name in GOOD:
                expected, found = rows_of(home, table, name), rows_of(storm.home, table, name)
                pd.testing.assert_frame_equal(found, expected, check_exact=True, obj=f"{table} of {name}")
        assert len(list(storm.home.settings.outbox.glob("*.eml"))) == len(list(home.settings.outbox.glob("*.eml"))) + 2


def test_the_pages_show_each_partition_as_it_is(storm):
    for asset in ASSETS:
        stage = asset.key.path[-1]
        assert materialized(storm.home, stage) == set(GOOD)
        assert failed_partitions(storm.home, stage) == {"lost"}
    assert check_of(storm.home, "south", "raw_records", "every_row_was_readable") == AssetCheckExecutionResolvedStatus.SUCCEEDED
    assert check_of(storm.home, "south", "anomalies", "no_new_anomalies") == AssetCheckExecutionResolvedStatus.FAILED
    assert check_of(storm.home, "lost", "raw_records", "every_row_was_readable") == AssetCheckExecutionResolvedStatus.EXECUTION_FAILED


def test_closing_the_run_once_more_does_nothing(storm):
    before = storm.home.count("run_log"), storm.home.count("alert_sends")
    assert not close_run(storm.home.instance, storm.run.run_id, settings=storm.home.settings).is_new
    assert (storm.home.count("run_log"), storm.home.count("alert_sends")) == before


@pytest.mark.soak
def test_a_source_that_failed_is_green_again_after_a_run_of_its_own(storm, tmp_path):
    """Also where that run finds nothing to do."""
    home = storm.home
    assert unsuccessful_sources(home.warehouse) == {"broken", "lost"}
    write_rows(home.settings.data / "examples" / "lost.csv", daily_series(4, seed=9))
    assert home.run("lost", END).is_success
    assert not any(failed_partitions(home, asset.key.path[-1]) for asset in ASSETS)
    assert home.table("incidents", "source = 'lost' AND cause = 'raw_records'")["state"].tolist() == ["resolved"]
    assert unsuccessful_sources(home.warehouse) == {"broken"}
    (home.settings.data / "examples" / "lost.csv").unlink()
    assert [outcome.is_success for outcome in watch(home, "lost", "south")] == [False, True]
    assert failed_partitions(home, "incidents") == {"lost"}
    write_rows(home.settings.data / "examples" / "lost.csv", daily_series(4, seed=9))
    assert [outcome.is_success for outcome in watch(home, "lost", "south")] == [True, True]
    assert not any(failed_partitions(home, asset.key.path[-1]) for asset in ASSETS)


@pytest.mark.soak
def test_a_run_with_nothing_new_tells_dagster_that_it_began_and_no_more(storm):
    assert all(outcome.is_success and outcome.facts["rows_in"] == 0 for outcome in watch(storm.home, "south", "west"))  # checks turn green
    assert check_of(storm.home, "south", "anomalies", "no_new_anomalies") == AssetCheckExecutionResolvedStatus.SUCCEEDED
    watch(storm.home, "south", "west")
    told = Counter(entry.step_key and entry.message for entry in storm.home.instance.all_logs(newest_run(storm.home).run_id))
    assert sum("south" in str(message) for message in told) == 1 and len(told) < 12
    assert storm.home.count("run_log", "source = 'south' AND status = 'success'") >= 3


@pytest.mark.soak
def test_a_dry_run_of_several_leaves_nothing_behind(home):
    for name in GOOD[:2]:
        add_source(home, name)
    outcomes = watch(home, *GOOD[:2], dry_run=True)
    assert [outcome.facts["rows_in"] for outcome in outcomes] == [1152, 1152]
    assert home.instance.get_runs() == [] and not home.settings.warehouse_file.exists()
    assert not list(home.settings.locks.glob("run-*")) and not home.settings.outbox.exists()


RUN_AND_DIE = """
import os, signal, sys
from pathlib import Path
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.execute import execute_many
from smartflow_assets.defs.instance import open_instance

def die_at(source, stage):
    if (source, stage) == ("south", sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

settings = Settings(Path(sys.argv[1]))
with open_instance(settings.dagster_home) as instance:
    execute_many(instance, settings, ["north", "south", "west"], {"as_of": sys.argv[3]}, on_stage=die_at, on_end=lambda outcome: None)
"""


@pytest.mark.parametrize("stage", ["anomaly_scores", "alert_sends"])
@pytest.mark.soak
def test_a_kill_in_the_second_of_three_concerns_that_one_alone(storm, tmp_path, stage):
    with opened(tmp_path) as home:
        for seed, name in enumerate(GOOD):
            add_source(home, name, seed)
        dagster_home = str(tmp_path / "dagster-instance")
        died = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", RUN_AND_DIE, str(home.folder), stage, END.isoformat()],
            env={**os.environ, "DAGSTER_HOME": dagster_home},
            capture_output=True,
            text=True,
        )
        assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
        (dead,) = fail_dead_runs(home.instance, home.settings, datetime.now(UTC) + timedelta(seconds=31))
        assert close_run(home.instance, dead, settings=home.settings).is_new
        assert not close_run(home.instance, dead, settings=home.settings).is_new
        assert home.table("run_log").set_index("source")["status"].to_dict() == {"north": "success", "south": "killed"}
        assert failed_partitions(home, "alert_sends") == {"south"} and materialized(home, "alert_sends") == {"north"}
        assert home.table("incidents", "cause = 'run'").empty  # the next run goes on: nobody is woken
        assert all(outcome.is_success for outcome in watch(home, *GOOD))
        for table in ("clean_series", "anomaly_scores", "anomalies"):
            for name in GOOD:
                pd.testing.assert_frame_equal(rows_of(home, table, name), rows_of(storm.home, table, name), obj=f"{table} of {name}")
        sent = home.sent().groupby("source")["idempotency_key"].agg(["size", "nunique"])
        assert sent.to_numpy().tolist() == [[2, 2]] * 3
        assert not any(failed_partitions(home, asset.key.path[-1]) for asset in ASSETS)
