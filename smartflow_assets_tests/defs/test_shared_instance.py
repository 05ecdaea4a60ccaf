"""Two homes on one Dagster instance: each with a prefix of its own, and refused with a sentence where they have the same one."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterUnknownPartitionError

from smartflow_assets.config.name_prefix import prefix_of
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.instance import open_instance
from smartflow_assets.defs.name_claim import claim_prefix
from smartflow_assets.defs.names import PARTITION_SET, prefixed
from smartflow_assets.defs.partitions import PARTITION_TAG
from smartflow_assets.defs.sensors import catalogue_sensor
from smartflow_assets_tests.defs import hour_of_ticks
from smartflow_assets_tests.defs.conftest import SHOP
from smartflow_assets_tests.homes import Home, daily_series, write_rows


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an instance that lies in no home."""
    folder = tmp_path / "shared"
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


def home_in(folder: Path, *names: str, schedule: str = "30min") -> Home:
    home = Home(folder)
    for name in names:
        text = SHOP.replace("name: shop", f"name: {name}").replace("schedule: 1min", f"schedule: {schedule}")
        home.write_source(name, text)
    write_rows(home.settings.data / "examples" / "shop.csv", daily_series(0.5))
    return home


def ticking(folder: Path, prefix: str, begin: datetime, minutes: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", hour_of_ticks.__file__, begin.isoformat(), str(minutes)],
        env={**os.environ, "SMARTFLOW_HOME": str(folder), "SMARTFLOW_PREFIX": prefix},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.soak
def test_the_ticks_of_one_home_leave_partitions_and_runs_of_the_other_alone(tmp_path, shared, monkeypatch):
    """South looks an hour later by its clock, when a run of north's without a process in south would be long dead."""
    north, south = home_in(tmp_path / "north", "shop", "north"), home_in(tmp_path / "south", "shop", schedule="manual")
    monkeypatch.setenv("SMARTFLOW_HOME", str(north.folder))
    with open_instance(shared) as instance:
        catalogue_sensor(dg.build_sensor_context(instance=instance))
        job = build_definitions().resolve_job_def(prefixed("monitor_source"))
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={PARTITION_TAG: "shop"})
        program = ticking(south.folder, "south", datetime.now(UTC) + timedelta(hours=1), minutes=2)
        answer = program.communicate(timeout=300)
        assert program.returncode == 0, answer
        assert sorted(instance.get_dynamic_partitions(PARTITION_SET)) == ["north", "shop"]
        assert instance.get_dynamic_partitions("south_sources") == ["shop"]
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED
        catalogue_sensor(dg.build_sensor_context(instance=instance))
        assert instance.get_dynamic_partitions("south_sources") == ["shop"]


@pytest.mark.soak
def test_two_homes_go_on_side_by_side_for_an_hour(tmp_path, shared):
    """Both have a source of the same name, and run at the same time."""
    homes = {prefix: home_in(tmp_path / prefix, "shop", prefix) for prefix in ("north", "south")}
    with open_instance(shared):
        pass  # its tables are there before both begin
    begin = datetime.now(UTC)
    programs = {prefix: ticking(home.folder, prefix, begin, minutes=60) for prefix, home in homes.items()}
    answers = {prefix: program.communicate(timeout=900) for prefix, program in programs.items()}
    assert {prefix: program.returncode for prefix, program in programs.items()} == {"north": 0, "south": 0}, answers
    with open_instance(shared) as instance:
        assert instance.get_dynamic_partitions("sources") == []
        for prefix, home in homes.items():
            made = json.loads(answers[prefix][0])
            assert all(is_success for *_, is_success in made)
            assert {source for _, source, _ in made} == {"shop", prefix}  # each at least once; then a look may find nothing new
            assert sorted(instance.get_dynamic_partitions(f"{prefix}_sources")) == sorted(["shop", prefix])
            assert sorted(home.table("run_log")["run_id"]) == sorted(run_id for run_id, *_ in made)
            assert set(home.table("run_log")["status"]) == {"success"} and home.count("incidents") == 0
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
        assert {run.job_name for run in instance.get_runs()} == {"north_monitor_sources", "south_monitor_sources"}


def test_a_second_home_of_the_same_prefix_is_refused_by_name(tmp_path, shared, monkeypatch):
    first, second = home_in(tmp_path / "first", "shop"), home_in(tmp_path / "second", "shop")
    with open_instance(shared) as instance:
        claim_prefix(instance, first.settings)
        with pytest.raises(
            SmartflowError, match=r"two homes have the prefix 'smartflow'.*first was there first.*SMARTFLOW_PREFIX=smartflow_2 "
        ):
            claim_prefix(instance, second.settings)
        monkeypatch.setenv("SMARTFLOW_HOME", str(second.folder))
        with pytest.raises(SmartflowError, match="SMARTFLOW_PREFIX"):
            catalogue_sensor(dg.build_sensor_context(instance=instance))
        assert instance.get_dynamic_partitions(PARTITION_SET) == []
        claim_prefix(instance, first.settings)  # still its own


def test_a_home_that_was_moved_takes_its_prefix_along(tmp_path, shared):
    home = home_in(tmp_path / "here", "shop")
    with open_instance(shared) as instance:
        claim_prefix(instance, home.settings)
        home.folder.rename(tmp_path / "there")
        claim_prefix(instance, Home(tmp_path / "there").settings)


def test_a_copied_home_is_at_home_in_its_own_history(tmp_path, monkeypatch):
    original, copy = home_in(tmp_path / "original", "shop"), home_in(tmp_path / "copy", "shop")
    monkeypatch.setenv("DAGSTER_HOME", str(copy.settings.dagster_home))
    with open_instance(copy.settings.dagster_home) as instance:
        claim_prefix(instance, original.settings)  # as the copied history says
        claim_prefix(instance, copy.settings)
        with pytest.raises(SmartflowError, match="SMARTFLOW_PREFIX"):
            claim_prefix(instance, original.settings)


@pytest.mark.parametrize("prefix", ["Quality", "1st", "a-b", "class", "x" * 33])
def test_a_prefix_that_dagster_could_not_take_is_refused_by_name(prefix):
    with pytest.raises(SmartflowError, match=f"SMARTFLOW_PREFIX={prefix} cannot be"):
        prefix_of({"SMARTFLOW_PREFIX": prefix})


@pytest.mark.soak
def test_a_source_is_a_partition_of_an_instance_that_nobody_has_told_of_it(tmp_path, shared, monkeypatch):
    """With a DAGSTER_HOME of one's own, Dagster's tools come before any sensor."""
    home = home_in(tmp_path / "home", "orders")
    monkeypatch.setenv("SMARTFLOW_HOME", str(home.folder))
    with open_instance(shared) as instance:
        job = build_definitions().resolve_job_def(prefixed("monitor_source"))
        assert job.execute_in_process(instance=instance, partition_key="orders", raise_on_error=False).success
        assert instance.get_dynamic_partitions(PARTITION_SET) == ["orders"]
        with pytest.raises(DagsterUnknownPartitionError, match="Could not find a partition with key"):
            job.execute_in_process(instance=instance, partition_key="stranger")
