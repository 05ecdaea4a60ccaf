"""The time bucket of a source whose YAML names none: resolved once in a run, after its rows were read."""

from datetime import timedelta

import dagster as dg
import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.defs.names import PARTITION_SET
from smartflow_assets.stages import bucket_resolution, ingestion, preparation
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets_tests.homes import START, Home, daily_series, write_rows

SOURCE = "name: web\nread: {type: csv, path: examples/web.csv, time: timestamp}\nmetrics: [{name: requests, column: value}]\n"
NOW = START + timedelta(days=10)


def write_history(home: Home, *, days: float, step: timedelta) -> None:
    home.write_source("web", SOURCE)
    write_rows(home.settings.data / "examples" / "web.csv", daily_series(days, step=step))


def test_without_rows_the_source_stays_as_declared(home: Home) -> None:
    home.write_source("web", SOURCE)
    run = home.source_run("web", NOW)
    assert with_bucket(run) is run and not run.source.is_bucket_given


def test_rows_give_the_bucket_and_clean_rows_keep_it(home: Home) -> None:
    write_history(home, days=2, step=timedelta(minutes=15))
    run = home.source_run("web", NOW)
    ingestion.raw_records(run)
    run = with_bucket(run)
    assert run.source.time_bucket.every == timedelta(minutes=15)
    preparation.clean_series(run)
    assert home.source_run("web", NOW).source.fingerprint == run.source.fingerprint


def test_the_source_of_a_run_is_data_and_no_query(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write_history(home, days=2, step=timedelta(minutes=15))
    run = home.source_run("web", NOW)
    ingestion.raw_records(run)
    run = with_bucket(run)

    def refused(self: Warehouse, *query: object) -> None:
        raise AssertionError(f"the warehouse was asked: {query}")

    monkeypatch.setattr(Warehouse, "read", refused)
    assert run.source.time_bucket.every == timedelta(minutes=15)
    assert with_bucket(run) is run


def test_no_table_is_counted_to_learn_whether_there_are_rows(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write_history(home, days=2, step=timedelta(minutes=15))
    ingestion.raw_records(home.source_run("web", NOW))
    monkeypatch.setattr(Warehouse, "tables", lambda self: pytest.fail("all tables were counted"))
    assert home.source_run("web", NOW).source.time_bucket.every == timedelta(minutes=15)


@pytest.mark.soak
def test_a_run_of_dagster_resolves_the_bucket_once_from_the_rows_it_has_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write_history(home, days=0.1, step=timedelta(minutes=1))
    ingestion.raw_records(home.source_run("web", NOW))  # what a run left that died before it had cleaned anything
    rows = daily_series(3, step=timedelta(minutes=5), start=START - timedelta(days=5))
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    asked, original = [], bucket_resolution.usual_bucket
    monkeypatch.setattr(bucket_resolution, "usual_bucket", lambda *given: asked.append(given) or original(*given))
    with dg.DagsterInstance.ephemeral() as home.instance:
        home.instance.add_dynamic_partitions(PARTITION_SET, ["web"])
        assert home.run("web", NOW).is_success
    assert len(asked) == 1
    assert '"every": "5min"' in str(bucket_resolution.made_under(home.warehouse, "web"))
