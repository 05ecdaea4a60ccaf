"""Where things lie."""

from pathlib import Path

from smartflow_assets.config.settings import Settings


def test_the_home_is_named_by_the_environment_else_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({}).home == tmp_path
    assert Settings.from_environment({"SMARTFLOW_HOME": ""}).home == tmp_path
    assert Settings.from_environment({"SMARTFLOW_HOME": "elsewhere"}).home == tmp_path / "elsewhere"


def test_a_dry_run_writes_elsewhere_and_reads_the_same(tmp_path):
    real = Settings(tmp_path)
    copy = real.with_state_in(Path("/copy"))
    written = ["warehouse_file", "published_file", "models", "locks", "staging", "outbox", "reports", "exports"]
    read = ["data", "sources", "defaults_file", "channels_file", "inbox", "dagster_home"]
    assert all(getattr(copy, name).is_relative_to("/copy") for name in written)
    assert all(getattr(copy, name) == getattr(real, name) for name in read)
