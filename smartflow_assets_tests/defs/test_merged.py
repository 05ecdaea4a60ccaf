"""In one project with a stranger's definitions, which have every name that ours had: neither takes the other's for its own."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.storage.defs_state.base import set_defs_state_storage
from dagster._core.workspace.autodiscovery import loadable_targets_from_python_file

from smartflow_assets.definitions import defs
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.dead_runs import fail_dead_runs
from smartflow_assets.defs.names import OPTIONS, asset_key, prefixed
from smartflow_assets.defs.partitions import PARTITION_TAG
from smartflow_assets.defs.run_closing import close_run
from smartflow_assets.defs.run_history import prune_runs
from smartflow_assets.defs.sensors import catalogue_sensor
from smartflow_assets_tests.defs.conftest import SHOP
from smartflow_assets_tests.defs.second_project import THEIRS
from smartflow_assets_tests.docs.pages import DOCS, blocks
from smartflow_assets_tests.homes import START, Home

KEYS = {asset.key for asset in ASSETS}
IMPLICIT = "__ASSET_JOB"


@pytest.fixture(scope="module")
def merged() -> dg.Definitions:
    both = dg.Definitions.merge(defs, THEIRS)
    with set_defs_state_storage(None):  # that of an instance of an earlier test may be left, and nobody holds that instance
        dg.Definitions.validate_loadable(both)
    return both


def test_our_definitions_bring_no_executor_and_no_name_without_the_prefix():
    assert defs.executor is None
    names = [each.name for each in (*(defs.jobs or ()), *(defs.schedules or ()), *(defs.sensors or ()))]
    assert all(name.startswith("smartflow_") for name in (*names, *(defs.resources or {})))
    assert {key.path[0] for key in KEYS} == {"smartflow"}


def test_both_load_in_one_project_with_the_lineage_across(merged):
    graph = merged.resolve_asset_graph()
    assert len(graph.get_all_asset_keys()) == len(KEYS) + 4  # the weekly report, of no source; three of the other project
    assert graph.get(dg.AssetKey("weekly_report")).parent_keys == {asset_key("anomalies")}
    assert merged.resolve_job_def("monitor_source").name == "monitor_source"  # theirs


def test_the_project_of_the_page_is_one_that_dagster_loads(tmp_path):
    (block,) = [block for block in blocks(DOCS / "operations.md") if block.path and block.path.endswith("definitions.py")]
    file = tmp_path / "definitions.py"
    file.write_text(block.text)
    (target,) = loadable_targets_from_python_file(str(file))
    assert target.attribute == "defs" and isinstance(target.target_definition, dg.Definitions)


@pytest.mark.parametrize(("job", "keys"), [("monitor_source", KEYS), ("train_source", {asset_key("trained_models")})])
def test_our_jobs_take_our_assets_alone(merged, job, keys):
    ours = merged.resolve_job_def(prefixed(job))
    assert ours.asset_layer.selected_asset_keys == keys
    assert ours.partitions_def is not None and ours.partitions_def.name == "smartflow_sources"
    assert ours.executor_def.name == "in_process"


@pytest.fixture
def shop(shop: Home) -> Home:
    shop.instance.add_dynamic_partitions("sources", ["north"])
    return shop


def in_project(merged: dg.Definitions, home: Home, job: str, partition: str, **more: object) -> dg.ExecuteInProcessResult:
    return merged.resolve_job_def(job).execute_in_process(instance=home.instance, partition_key=partition, raise_on_error=False, **more)


@pytest.mark.soak
def test_a_run_in_the_merged_project_is_closed_under_the_names_of_before(merged, shop):
    options = {"resources": {OPTIONS: {"config": {"as_of": (START + timedelta(days=1)).isoformat()}}}}
    result = in_project(merged, shop, prefixed("monitor_source"), "shop", run_config=options)  # before any sensor has looked
    assert result.success and close_run(shop.instance, result.run_id, settings=shop.settings).is_new
    (run,) = shop.table("run_log").to_dict("records")
    assert (run["job"], run["rows_in"]) == ("monitor_source", 288)
    assert set(run["seconds"]) == {key.path[-1] for key in KEYS}
    assert shop.instance.get_dynamic_partitions("smartflow_sources") == ["shop"]
    assert shop.instance.get_dynamic_partitions("sources") == ["north"]


def test_a_failed_step_of_theirs_is_no_incident_of_ours(merged, shop):
    """A click may start assets of both: only what is ours counts."""
    both = [asset_key("analyst_snapshot"), dg.AssetKey("weekly_report")]
    result = in_project(merged, shop, IMPLICIT, "shop", asset_selection=both)
    assert not result.success
    closed = close_run(shop.instance, result.run_id, settings=shop.settings)
    assert closed.is_new and closed.failures == ()
    assert shop.count("incidents") == 0
    assert list(shop.table("run_log")["seconds"][0]) == ["analyst_snapshot"]


def test_a_run_of_theirs_is_not_closed_though_its_asset_has_our_old_name(merged, shop):
    failing = {"resources": {"options": {"config": {"dry_run": True}}}}
    result = in_project(merged, shop, IMPLICIT, "north", asset_selection=[dg.AssetKey("incidents")], run_config=failing)
    assert not close_run(shop.instance, result.run_id, settings=shop.settings).is_new
    assert not shop.settings.warehouse_file.exists()


def test_partitions_and_runs_of_theirs_stay_whatever_their_names(merged, shop):
    theirs = merged.resolve_job_def("monitor_source")
    (shop.settings.sources / "orders.yaml").write_text(SHOP.replace("name: shop", "name: orders"))
    run = shop.instance.create_run_for_job(theirs, status=dg.DagsterRunStatus.STARTED, tags={PARTITION_TAG: "orders"})
    assert fail_dead_runs(shop.instance, shop.settings, datetime.now(UTC) + timedelta(hours=1)) == []
    catalogue_sensor(dg.build_sensor_context(instance=shop.instance))
    assert shop.instance.get_dynamic_partitions("sources") == ["north"]
    assert set(shop.instance.get_dynamic_partitions("smartflow_sources")) == {"orders", "shop"}
    shop.instance.report_run_failed(run)
    assert not close_run(shop.instance, run.run_id, settings=shop.settings).is_new
    prune_runs(shop.instance, shop.settings, before=lambda source: datetime.now(UTC) + timedelta(days=1))
    assert shop.instance.get_run_by_id(run.run_id) is not None


def test_a_run_with_a_process_for_each_step_is_not_dead_between_two_of_them(merged, shop):
    """Theirs is the executor of a click; until the next process holds the lock again, its events say that it lives."""
    job = merged.resolve_job_def(prefixed("monitor_source"))
    run = shop.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={PARTITION_TAG: "shop"})
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.STEP_WORKER_STARTING.value,
        job_name=job.name,
        step_key="smartflow__clean_series",
        event_specific_data=EngineEventData(),
    )
    shop.instance.report_dagster_event(event, run.run_id)
    now = datetime.now(UTC)
    assert fail_dead_runs(shop.instance, shop.settings, now + timedelta(seconds=90)) == []
    assert fail_dead_runs(shop.instance, shop.settings, now + timedelta(seconds=150)) == [run.run_id]
