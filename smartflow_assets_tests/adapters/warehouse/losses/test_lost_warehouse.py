"""A warehouse that somebody deleted or damaged: nothing is written over what is left of it, and the error says how to go on."""

import shutil

import duckdb
import pytest

from smartflow_assets.adapters.warehouse.engine import STORAGE_VERSION
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.errors import WarehouseError
from smartflow_assets_tests.adapters.warehouse.losses.test_damaged_copy import cut_off, overwrite
from smartflow_assets_tests.empty_warehouse import empty_warehouse


def delete(file):
    file.unlink()


def empty(file):
    file.write_bytes(b"")


def make_one_without_tables(file):
    file.unlink()
    duckdb.connect(str(file), config={"storage_compatibility_version": STORAGE_VERSION}).close()


def change_a_block(file):
    whole = file.read_bytes()
    file.write_bytes(whole[:20_000] + b"other bytes" + whole[20_011:])


def cut_to_its_head(file):
    file.write_bytes(file.read_bytes()[:100])


@pytest.fixture
def backup(tmp_path):
    return shutil.copyfile(empty_warehouse(), tmp_path / "backup.duckdb")


USES = (
    lambda warehouse: warehouse.read("SELECT 1"),
    lambda warehouse: warehouse.commit("run", []),
    lambda warehouse: warehouse.publish("run"),
    lambda warehouse: warehouse.publish("run", is_forced=True),
)


@pytest.mark.parametrize("loss", [delete, empty, make_one_without_tables])
def test_no_new_one_is_made_beside_the_published_copy_of_one_that_is_gone(warehouse, loss):
    loss(warehouse.path)
    left, copy = warehouse.path.exists() and warehouse.path.read_bytes(), warehouse.published.read_bytes()
    next_process = Warehouse(warehouse.path, warehouse.published)
    for use in USES:
        with pytest.raises(WarehouseError, match=r"the warehouse is gone; its published copy, of .* UTC, is still there") as told:
            use(next_process)
        assert "`smartflow restore DIR --replace`" in told.value.remedy and f"move {warehouse.published} away" in told.value.remedy
    assert (warehouse.path.exists() and warehouse.path.read_bytes()) == left
    assert warehouse.published.read_bytes() == copy
    assert len(warehouse.published_read("SELECT 1 AS one")) == 1


def test_a_backup_without_it_is_none(warehouse, tmp_path):
    warehouse.path.unlink()
    with pytest.raises(WarehouseError, match="the warehouse is gone"):
        warehouse.copy_to(tmp_path / "copy.duckdb")


@pytest.mark.parametrize("damage", [cut_off, overwrite])
def test_nor_beside_a_copy_that_is_damaged(warehouse, damage):
    damage(warehouse.published)
    copy = warehouse.published.read_bytes()
    warehouse.path.unlink()
    with pytest.raises(WarehouseError, match="its published copy, which cannot be read either, is still there") as told:
        warehouse.read("SELECT 1")
    assert "cp " not in told.value.remedy
    assert not warehouse.path.exists() and warehouse.published.read_bytes() == copy


def test_a_new_one_is_made_once_the_copy_is_moved_away(warehouse, tmp_path):
    warehouse.path.unlink()
    warehouse.published.replace(tmp_path / "away.duckdb")
    assert warehouse.publish("anew") and warehouse.has_sound_copy()


def test_it_goes_on_from_the_copy_with_the_command_that_the_error_names(warehouse):
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("CREATE TABLE raw.shop AS SELECT 7 AS orders")
    warehouse.publish("second", is_forced=True)
    warehouse.path.unlink()
    with pytest.raises(WarehouseError) as told:
        warehouse.read("SELECT 1")
    source, target = told.value.remedy.rpartition("cp ")[2].split()
    shutil.copyfile(source, target)
    assert warehouse.has_table("raw.shop")
    warehouse.commit("run", [])


@pytest.mark.parametrize("loss", [delete, empty, cut_off, overwrite, change_a_block])
def test_a_backup_is_put_back_in_its_place_and_what_is_left_is_moved_aside(warehouse, backup, tmp_path, loss):
    loss(warehouse.path)
    left, copy = warehouse.path.exists() and warehouse.path.read_bytes(), warehouse.published.read_bytes()
    aside = tmp_path / "aside" / "live.duckdb"
    warehouse.put_back(backup, aside)
    assert (aside.exists() and aside.read_bytes()) == left
    assert (tmp_path / "aside" / "published.duckdb").read_bytes() == copy
    assert warehouse.publish("restore", is_forced=True) and warehouse.has_sound_copy()


@pytest.mark.parametrize("damage", [cut_off, cut_to_its_head, overwrite, change_a_block])
def test_a_damaged_one_is_named_with_what_puts_a_backup_back(warehouse, damage):
    damage(warehouse.path)
    left, copy = warehouse.path.read_bytes(), warehouse.published.read_bytes()
    next_process = Warehouse(warehouse.path, warehouse.published)
    for use in USES:
        with pytest.raises(WarehouseError, match=r"the warehouse (is damaged|was cut off)") as told:
            use(next_process)
        assert told.value.where == str(warehouse.path) and "`smartflow restore DIR --replace`" in told.value.remedy
    assert warehouse.path.read_bytes() == left and warehouse.published.read_bytes() == copy


def test_a_cut_that_duckdb_does_not_see_is_seen_before_it_is_published(warehouse):
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("CREATE TABLE raw.shop AS SELECT range, md5(CAST(range AS VARCHAR)) AS text FROM range(100000)")
        connection.execute("CHECKPOINT")
        connection.execute("CREATE TABLE raw.other AS SELECT 1 AS one")
    block = 256 * 1024
    cut = warehouse.path.read_bytes()[:-block]
    warehouse.path.write_bytes(cut)
    copy = warehouse.published.read_bytes()
    with pytest.raises(WarehouseError, match=r"the warehouse was cut off"):
        Warehouse(warehouse.path, warehouse.published).publish("run", is_forced=True)
    assert warehouse.published.read_bytes() == copy


def test_what_is_wrong_with_a_statement_is_no_damage(warehouse):
    with pytest.raises(WarehouseError) as told:
        warehouse.read("SELECT 'corrupt database' FROM no_such_table")
    assert not told.value.remedy
