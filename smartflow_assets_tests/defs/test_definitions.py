"""All that Dagster loads, by name: whoever adds, renames or drops one changes this file and sees what else must follow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import smartflow_assets
from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS, TABLES
from smartflow_assets.core.incidents.known_causes import STEPS
from smartflow_assets.defs.build import ASSETS, build_definitions
from smartflow_assets.defs.names import prefixed
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.defs.weekly_report import weekly_report
from smartflow_assets_tests.homes import STAGES

ROOT = Path(smartflow_assets.__file__).parents[1]
GROUPS = {
    "ingestion": ["raw_records"],
    "quality": ["data_profile", "drift_checks", "schema_checks"],
    "preparation": ["clean_series", "rule_violations", "series_features"],
    "modelling": ["trained_models"],
    "detection": ["anomalies", "anomaly_scores", "detection_quality", "record_anomalies"],
    "alerting": ["alert_sends", "incidents"],
    "serving": ["analyst_snapshot", "anomaly_exports"],
}


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_definitions()


def test_everything_loads(defs):
    dg.Definitions.validate_loadable(defs)


@pytest.mark.soak
def test_loading_warns_of_nothing():
    run = subprocess.run([sys.executable, "-c", "import smartflow_assets.definitions"], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_the_names_of_everything(defs):
    groups: dict[str, list[str]] = {}
    for asset in ASSETS:
        groups.setdefault(asset.group_names_by_key[asset.key], []).append(asset.key.to_user_string())
    named = {f"smartflow_{group}": [f"smartflow/{name}" for name in names] for group, names in GROUPS.items()}
    assert {group: sorted(names) for group, names in groups.items()} == named
    assert sorted(check.to_user_string() for check in defs.resolve_asset_graph().asset_check_keys) == [
        "smartflow/analyst_snapshot:no_partition_is_failed",
        "smartflow/anomalies:no_new_anomalies",
        "smartflow/data_profile:values_are_usual",
        "smartflow/data_profile:volumes_are_usual",
        "smartflow/drift_checks:distributions_are_usual",
        "smartflow/raw_records:every_file_was_taken",
        "smartflow/raw_records:every_row_was_readable",
        "smartflow/raw_records:rows_arrive_in_time",
        "smartflow/schema_checks:columns_are_as_agreed",
        "smartflow/schema_checks:row_counts_are_as_agreed",
        "smartflow/schema_checks:values_are_as_agreed",
    ]
    assert sorted(job.name for job in defs.jobs or ()) == [
        "smartflow_monitor_source",
        "smartflow_monitor_sources",
        "smartflow_preview_rules",
        "smartflow_prune_home",
        "smartflow_train_source",
        "smartflow_weekly_report",
    ]
    assert sorted(schedule.name for schedule in defs.schedules or ()) == [
        "smartflow_monitor_many_schedule",
        "smartflow_monitor_schedule",
        "smartflow_prune_schedule",
        "smartflow_train_schedule",
        "smartflow_weekly_report_schedule",
    ]
    assert sorted(sensor.name for sensor in defs.sensors or ()) == [
        "smartflow_catalogue_sensor",
        "smartflow_housekeeping_sensor",
        "smartflow_inbox_sensor",
        "smartflow_outbox_sensor",
        "smartflow_settle_failure_sensor",
        "smartflow_settle_success_sensor",
        "smartflow_training_sensor",
        "smartflow_watch_sensor",
    ]


def test_what_tests_run_as_stages_are_the_assets_in_their_order():
    names = [asset.key.path[-1] for asset in ASSETS]
    assert [stage.__name__ for stage in STAGES] == names[: len(STAGES)]  # sending and publishing come after them
    assert names[len(STAGES) :] == ["alert_sends", "analyst_snapshot", "anomaly_exports"]


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.key.to_user_string())
def test_every_asset_is_partitioned_by_source_and_described(asset):
    key = asset.key
    assert asset.partitions_def is not None and asset.partitions_def.name == "smartflow_sources"
    assert asset.descriptions_by_key[key] and asset.owners_by_key[key] and "dagster/kind/duckdb" in asset.tags_by_key[key]
    schema = asset.metadata_by_key[key]["dagster/column_schema"]
    table = str(asset.metadata_by_key[key]["dagster/table_name"])
    columns = TABLES[table].columns if table in TABLES else RAW_COLUMNS
    assert [column.name for column in schema.columns] == [column.name for column in columns]
    assert all(column.description for column in schema.columns)


def test_every_check_has_the_partitions_of_its_asset():
    """Without them the next source's success would hide a failure."""
    specs = [spec for asset in ASSETS for spec in asset.check_specs]
    assert specs and all(spec.partitions_def is not None and spec.description for spec in specs)


def test_everything_runs_without_being_switched_on(defs):
    assert {schedule.default_status for schedule in defs.schedules or ()} == {dg.DefaultScheduleStatus.RUNNING}
    assert {sensor.default_status for sensor in defs.sensors or ()} == {dg.DefaultSensorStatus.RUNNING}
    assert all(each.description for each in (*(defs.schedules or ()), *(defs.sensors or ())))


@pytest.mark.parametrize(
    ("job", "fields"),
    [
        ("monitor_source", ["since", "until", "as_of", "dry_run", "send"]),
        ("train_source", ["as_of", "dry_run", "retrain"]),
    ],
)
def test_the_launchpad_is_prefilled_with_what_a_run_without_it_does(defs, job, fields):
    config = defs.resolve_job_def(prefixed(job)).partitioned_config.get_run_config_for_partition_key("web")
    prefilled = config["resources"]["smartflow_options"]["config"]
    assert list(prefilled) == fields
    assert prefilled == {name: getattr(RunOptions(), name) for name in fields} | ({"retrain": True} if job == "train_source" else {})
    assert all(RunOptions.model_fields[name].description for name in fields)


def test_the_launchpad_of_many_sources_watches_all_of_them(defs):
    config = defs.resolve_job_def(prefixed("monitor_sources")).run_config
    assert config["ops"] == {"smartflow_each_source": {"config": {"sources": []}}}
    assert list(config["resources"]["smartflow_options"]["config"]) == ["since", "until", "as_of", "dry_run", "send"]


@pytest.mark.soak
def test_dg_finds_the_project_and_can_load_it(tmp_path):
    """`[tool.dg]` in pyproject.toml; the command comes with the dev dependencies."""
    dg_command = Path(sys.executable).with_name("dg")
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "1"}
    checked, listed = (
        subprocess.run([dg_command, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        for words in (("check", "defs"), ("list", "defs", "--json"))
    )
    assert checked.returncode == 0 and "All definitions loaded successfully" in checked.stdout + checked.stderr, checked
    found = json.loads(listed.stdout)
    assert {asset["asset_key"] for asset in found["assets"]} == {asset.key.to_user_string() for asset in (*ASSETS, weekly_report)}
    assert {job["name"] for job in found["jobs"]} == {
        f"smartflow_{job}" for job in ("monitor_source", "monitor_sources", "preview_rules", "prune_home", "train_source", "weekly_report")
    }


def test_a_route_may_ask_for_each_step_that_may_fail() -> None:
    assert {asset.key.path[-1] for asset in ASSETS} == set(STEPS)
