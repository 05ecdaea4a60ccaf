"""A home whose stages are called one by one, without Dagster."""

from pathlib import Path

import pytest

from smartflow_assets_tests.homes import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    return Home(tmp_path)
