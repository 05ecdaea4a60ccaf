"""What tests of a lost or damaged warehouse start from."""

import shutil

import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets_tests.empty_warehouse import empty_warehouse


@pytest.fixture
def warehouse(tmp_path):
    """An empty warehouse that was published."""
    shutil.copyfile(empty_warehouse(), tmp_path / "live.duckdb")
    made = Warehouse(tmp_path / "live.duckdb", tmp_path / "published.duckdb")
    made.publish("first")
    return made
