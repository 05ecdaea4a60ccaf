"""A published copy that somebody cut off, overwrote or took away: it is told the same way by whoever reads it, and made anew."""

import pytest

from smartflow_assets.adapters.warehouse.published_copy import PublishedCopy
from smartflow_assets.adapters.warehouse.published_warehouse import PublishedWarehouse
from smartflow_assets.core.errors import WarehouseError


def cut_off(file):
    """The half that DuckDB opens as if nothing were missing."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def overwrite(file):
    file.write_bytes(b"\x5a" * 100_000)


def make_a_folder(file):
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [cut_off, overwrite, make_a_folder])
def test_whoever_reads_it_is_told_what_makes_it_anew(warehouse, damage):
    damage(warehouse.published)
    beside = PublishedWarehouse(warehouse.path, warehouse.published)
    for read in (
        lambda: PublishedCopy(warehouse.published).snapshot().__enter__(),
        warehouse.snapshot_info,
        lambda: warehouse.published_read("SELECT 1"),
        lambda: beside.read("SELECT 1"),
    ):
        with pytest.raises(WarehouseError, match="the published copy") as told:
            read()
        assert "`smartflow run` makes it anew" in told.value.remedy and ("folder" in told.value.remedy) == (damage is make_a_folder)
    assert not warehouse.has_sound_copy()


@pytest.mark.parametrize("damage", [cut_off, overwrite, lambda file: file.unlink()])
def test_it_is_published_again_though_nothing_is_new(warehouse, damage):
    assert not warehouse.publish("nothing new")
    damage(warehouse.published)
    assert warehouse.publish("again") and warehouse.has_sound_copy()
    assert not warehouse.publish("nothing new")


def test_what_is_wrong_with_a_statement_is_no_damage_of_the_copy(warehouse):
    with pytest.raises(WarehouseError) as told:
        warehouse.published_read("SELECT no_such_column FROM incidents")
    assert "anew" not in str(told.value)


def test_a_folder_in_its_place_is_told_by_who_publishes(warehouse):
    make_a_folder(warehouse.published)
    with pytest.raises(WarehouseError, match="Take away the folder"):
        warehouse.publish("again")
