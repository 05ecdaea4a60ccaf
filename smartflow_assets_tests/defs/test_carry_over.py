"""A home and its history from before names had a prefix: nothing looks as if it had never run, and what was open is closed by name."""

import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.instance import open_instance
from smartflow_assets.defs.names import PARTITION_SET, asset_key
from smartflow_assets.defs.partitions import PARTITION_TAG, SOURCE_TAG
from smartflow_assets.defs.schedules import monitor_schedule
from smartflow_assets.defs.sensors import inbox_sensor
from smartflow_assets.defs.settling_in import AS_LONG_AS_IT_TAKES, CARRIED_OVER, settle_in
from smartflow_assets_tests.homes import Home

ARCHIVE = Path(__file__).parents[1] / "old_homes" / "version_7.tar.xz"
AFTER = datetime(2026, 3, 24, tzinfo=UTC)


CARRIED = [asset for asset in ASSETS if asset.key.path[-1] not in ("schema_checks", "drift_checks", "data_profile")]  # these came later


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home of version 7 with its history: one source, two runs, two open incidents."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "data" / "dagster"))
    with open_instance(tmp_path / "data" / "dagster") as instance:
        yield Home(tmp_path, instance)


def carried(home: Home) -> bool:
    return settle_in(home.instance, home.settings, patience=AS_LONG_AS_IT_TAKES)


def made(home: Home, key: dg.AssetKey, source: str = "shop") -> list[dg.AssetMaterialization]:
    """Newest first."""
    filter_ = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[source])
    records = home.instance.fetch_materializations(filter_, limit=9).records
    return [made for record in records if (made := record.asset_materialization)]


def answers(home: Home, key: dg.AssetKey, check: str) -> list[AssetCheckEvaluation]:
    """Newest first."""
    history = home.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(key, check), limit=9, partition_filter=PartitionKeyFilter(key="shop")
    )
    return [answer for record in history if (answer := record.evaluation)]


def fail_as_before(home: Home, step: str) -> str:
    """A run of the job of before whose step fails, and which nobody has closed."""

    @dg.op(name=step)
    def failing() -> None:
        raise RuntimeError("the disk is full")

    @dg.job(name="monitor_source")
    def monitor_source() -> None:
        failing()

    tags = {PARTITION_TAG: "shop", SOURCE_TAG: "shop"}
    return monitor_source.execute_in_process(instance=home.instance, raise_on_error=False, tags=tags).run_id


def test_the_newest_state_of_each_partition_is_reported_once_under_the_new_key(old):
    assert carried(old)
    for asset in CARRIED:
        before, (now,) = made(old, dg.AssetKey(asset.key.path[-1])), made(old, asset.key)
        assert (now.metadata, now.partition) == (before[0].metadata, "shop")
        assert now.tags["dagster/data_version"] == before[0].tags["dagster/data_version"]
    scores = made(old, asset_key("anomaly_scores"))[0]
    assert {"dagster/input_data_version/smartflow/series_features", "dagster/input_data_version/smartflow/trained_models"} <= set(
        scores.tags
    )
    (check,) = answers(old, asset_key("anomalies"), "no_new_anomalies")
    assert check.description == answers(old, dg.AssetKey("anomalies"), "no_new_anomalies")[0].description
    assert check.target_materialization_data is not None
    assert old.instance.get_dynamic_partitions(PARTITION_SET) == ["shop"]

    assert not carried(old)
    assert [len(made(old, asset.key)) for asset in CARRIED] == [1] * len(CARRIED)
    assert old.instance.get_dynamic_partitions("sources") == ["shop"]  # what is there stays: it may be another project's


@pytest.mark.soak
def test_what_another_project_made_under_the_same_key_is_not_taken_over(old):
    ours = made(old, dg.AssetKey("incidents"))[0]
    old.instance.report_runless_asset_event(dg.AssetMaterialization("incidents", partition="shop", metadata={"theirs": 1}))
    old.instance.add_dynamic_partitions("sources", ["north"])
    old.instance.report_runless_asset_event(dg.AssetMaterialization("incidents", partition="north"))
    assert carried(old)
    assert [each.metadata for each in made(old, asset_key("incidents"))] == [ours.metadata]
    assert made(old, asset_key("incidents"), "north") == []
    assert old.instance.get_dynamic_partitions(PARTITION_SET) == ["shop"]


def test_a_newer_state_under_the_new_key_is_not_covered_by_an_older_one(old):
    old.instance.report_runless_asset_event(dg.AssetMaterialization(asset_key("incidents"), partition="shop", metadata={"newer": 1}))
    assert carried(old)
    assert ["newer" in each.metadata for each in made(old, asset_key("incidents"))] == [True]


@pytest.mark.soak
def test_what_a_tick_has_no_time_for_is_left_for_the_next(old):
    assert settle_in(old.instance, old.settings, patience=timedelta(0))
    assert sum(len(made(old, asset.key)) for asset in CARRIED) < len(CARRIED)
    assert carried(old)
    assert [len(made(old, asset.key)) for asset in CARRIED] == [1] * len(CARRIED)


@pytest.mark.soak
def test_a_run_that_failed_before_is_closed_and_its_incident_ends_with_the_step_of_that_name(old):
    run_id = fail_as_before(old, "series_features")
    assert carried(old)
    failed = old.table("incidents", "cause = 'series_features'")
    assert failed["state"].tolist() == ["open"]
    (logged,) = old.table("run_log", f"run_id = '{run_id}'").to_dict("records")
    assert (logged["job"], logged["status"]) == ("monitor_source", "failed")

    assert old.run("shop", AFTER).is_success
    assert old.table("incidents", "cause = 'series_features'")["resolved_reason"].tolist() == ["series_features succeeded again"]
    newest = old.table("run_log").sort_values("started_at").iloc[-1]
    assert set(newest["seconds"]) == {asset.key.path[-1] for asset in ASSETS} and newest["job"] == "monitor_source"
    assert len(made(old, asset_key("incidents"))) == 2


def state(name: str, kind: InstigatorType, status: InstigatorStatus, cursor: str | None = None) -> InstigatorState:
    target = LoadableTargetOrigin(module_name="smartflow_assets.definitions")
    location = InProcessCodeLocationOrigin(loadable_target_origin=target, location_name="smartflow_assets.definitions")
    origin = RemoteInstigatorOrigin(repository_origin=RemoteRepositoryOrigin(location, "__repository__"), instigator_name=name)
    data = SensorInstigatorData(cursor=cursor) if kind == InstigatorType.SENSOR else ScheduleInstigatorData("* * * * *")
    return InstigatorState(origin, kind, status, data)


def test_what_was_switched_off_stays_off_and_an_inbox_is_not_read_again(old):
    (old.settings.sources / "feed.yaml").write_text(
        "name: feed\nread: {type: inbox, time: at, pattern: '*.csv'}\nmetrics: [{name: n, aggregate: count}]\nschedule: manual\n"
    )
    file = old.settings.inbox / "feed" / "a.csv"
    file.parent.mkdir(parents=True)
    file.write_text("at\n2026-03-02T00:00:00Z\n")
    stat = file.stat()
    asked = json.dumps({str(file): [stat.st_size, stat.st_mtime_ns]})
    old.instance.add_instigator_state(state("monitor_schedule", InstigatorType.SCHEDULE, InstigatorStatus.STOPPED))
    old.instance.add_instigator_state(state("inbox_sensor", InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, asked))
    old.instance.add_instigator_state(state("outbox_sensor", InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, "no JSON"))

    repository = build_definitions().get_repository_def()
    with dg.build_schedule_context(instance=old.instance, scheduled_execution_time=datetime.now(UTC), repository_def=repository) as context:
        assert monitor_schedule.evaluate_tick(context).skip_message == CARRIED_OVER
    stopped = old.instance.all_instigator_state(instigator_statuses={InstigatorStatus.STOPPED})
    assert {each.instigator_name for each in stopped} == {"monitor_schedule", "smartflow_monitor_schedule"}
    assert len({each.repository_selector_id for each in stopped}) == 1
    old.instance.add_dynamic_partitions(PARTITION_SET, ["feed"])
    assert isinstance(inbox_sensor(dg.build_sensor_context(instance=old.instance)), dg.SkipReason)
