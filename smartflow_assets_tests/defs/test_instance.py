"""One history, whether Dagster was started by `smartflow` or by a bare `dagster dev` in the project folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager

import smartflow_assets
from smartflow_assets.defs.instance import INSTANCE_SETTINGS, open_instance, prepare_dagster_home
from smartflow_assets.defs.names import PARTITION_SET

ROOT_FILE = Path(smartflow_assets.__file__).parents[1] / "dagster.yaml"
PATH_ENTRIES = {"storage", "compute_logs", "local_artifact_storage"}


def test_the_root_file_has_our_settings_and_the_paths():
    root = yaml.safe_load(ROOT_FILE.read_text())
    assert {key: value for key, value in root.items() if key not in PATH_ENTRIES} == INSTANCE_SETTINGS
    assert root.keys() - INSTANCE_SETTINGS.keys() == PATH_ENTRIES


def test_a_bare_dagster_and_smartflow_share_history_and_logs(tmp_path, monkeypatch):
    shutil.copy(ROOT_FILE, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with dg.DagsterInstance.from_config(str(tmp_path)) as bare:
        bare.add_dynamic_partitions(PARTITION_SET, ["web"])
        log_of_bare = Path(bare.compute_log_manager.get_captured_local_path(["a", "b"], "out")).resolve()
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that monkeypatch takes away what open_instance sets
    monkeypatch.delenv("DAGSTER_HOME")
    with open_instance(tmp_path / "data" / "dagster") as ours:
        assert ours.get_dynamic_partitions(PARTITION_SET) == ["web"]
        assert Path(ours.compute_log_manager.get_captured_local_path(["a", "b"], "out")).resolve() == log_of_bare
        assert ours.telemetry_enabled is False and ours.nux_enabled is False


def test_a_users_own_dagster_home_wins_and_keeps_its_settings(tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    (own / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(own))
    assert prepare_dagster_home(tmp_path / "data" / "dagster") == own
    assert (own / "dagster.yaml").read_text() == "telemetry: {enabled: true}\n"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("times", [1, 2])
def test_a_home_without_settings_gets_ours(tmp_path, monkeypatch, times):
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("DAGSTER_HOME")
    for _ in range(times):
        home = prepare_dagster_home(tmp_path / "dagster")
    assert yaml.safe_load((home / "dagster.yaml").read_text()) == INSTANCE_SETTINGS


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ("", "NoOpComputeLogManager"),
        ("compute_logs: {module: dagster._core.storage.local_compute_log_manager, class: LocalComputeLogManager, config: {base_dir: logs}}",
         "NoOpComputeLogManager"),
        ("compute_logs: {module: smartflow_assets_tests.defs.test_instance, class: Bucket}", "Bucket"),
    ],
    ids=["nothing stated", "where Dagster keeps it", "a place of its own"],
)  # fmt: skip
def test_output_of_runs_of_a_command_is_kept_only_where_the_settings_have_a_place_for_it(tmp_path, monkeypatch, stated, kept):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{stated}\n")
    with open_instance(tmp_path, captures_output=False) as instance:
        assert type(instance.compute_log_manager).__name__ == kept
        instance.add_dynamic_partitions(PARTITION_SET, ["web"])
    with open_instance(tmp_path) as instance:  # the same history
        assert instance.get_dynamic_partitions(PARTITION_SET) == ["web"]


class Bucket(NoOpComputeLogManager):
    """A place of a user's own for output."""


@pytest.mark.soak
def test_processes_that_create_the_history_at_once_leave_one_that_opens(tmp_path):
    """Without the lock, some such starts leave a version table with two heads, which nothing opens again."""
    program = """if True:
        import os, sys
        from pathlib import Path
        from smartflow_assets.defs.instance import open_instance
        print("ready", flush=True)
        for home in sys.stdin:
            os.environ.pop("DAGSTER_HOME", None)
            with open_instance(Path(home.strip())) as instance:
                print(instance.get_runs_count(), flush=True)
    """
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    creators = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            text=True,
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    try:
        assert [creator.stdout.readline() for creator in creators if creator.stdout] == ["ready\n"] * 2
        for attempt in range(5):
            for creator in creators:
                assert creator.stdin
                print(tmp_path / str(attempt), file=creator.stdin, flush=True)
            answers = [creator.stdout.readline() for creator in creators if creator.stdout]
            assert answers == ["0\n"] * 2, [creator.communicate()[1] for creator in creators]
    finally:
        for creator in creators:
            creator.kill()
            creator.wait(10)
