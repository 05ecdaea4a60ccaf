"""The published copy in the place of the warehouse: the same answers, no writes, and another copy is another generation."""

import duckdb
import pytest

from smartflow_assets.adapters.warehouse.published_warehouse import PublishedWarehouse
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.errors import WarehouseError


@pytest.fixture
def live(tmp_path) -> Warehouse:
    return Warehouse(tmp_path / "smartflow.duckdb", tmp_path / "analyst.duckdb")


def test_it_is_read_and_never_written(live):
    copy = PublishedWarehouse(live.path, live.published)
    with pytest.raises(WarehouseError, match="nothing is published yet"):
        copy.read("SELECT 1")
    assert copy.generation == ""
    live.publish("run")
    first = copy.generation
    with copy.reading():
        assert copy.read("SELECT run_id FROM snapshot_info")["run_id"].tolist() == ["run"] and copy.has_table("incidents")
    with pytest.raises(WarehouseError, match="only read"):
        copy.commit("run", [])
    live.publish("again", is_forced=True)
    assert copy.generation != first and copy.read("SELECT run_id FROM snapshot_info")["run_id"].tolist() == ["again"]


def test_a_copy_of_an_older_version_says_what_to_do(live):
    live.publish("run")
    with duckdb.connect(str(live.published)) as file:
        file.execute("UPDATE snapshot_info SET schema_version = 7")
    with pytest.raises(WarehouseError, match="schema version 7") as refused:
        PublishedWarehouse(live.path, live.published).read("SELECT 1")
    assert "smartflow run" in refused.value.remedy
