"""The published copy as a server holds it: one state from the first question to the last, whatever is published meanwhile."""

import threading

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.published_copy import PublishedCopy
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.core.errors import WarehouseError


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path / "live.duckdb", tmp_path / "published.duckdb")


def configured(number: int) -> Append:
    """One row more."""
    held_from = pd.Timestamp("2026-03-01", tz="UTC") + pd.Timedelta(minutes=number)
    row = {"source": "shop", "configuration": "{}", "is_gone": False, "held_from": held_from, "run_id": "run"}
    return Append("configurations", pd.DataFrame([row]))


def count(snapshot) -> int:
    return snapshot.rows("SELECT count(*) AS n FROM configurations")[0]["n"]


def test_before_the_first_publication_it_says_so(warehouse):
    copy = PublishedCopy(warehouse.published)
    assert copy.generation == ""
    with pytest.raises(WarehouseError, match="nothing is published yet"), copy.snapshot():
        pass


def test_who_has_begun_with_a_copy_ends_with_it(warehouse):
    warehouse.publish("first")
    copy = PublishedCopy(warehouse.published)
    with copy.snapshot() as before:
        warehouse.commit("run", [configured(1)])
        warehouse.publish("second")
        with copy.snapshot() as after:
            assert (count(before), count(after)) == (0, 1) and before.generation != after.generation
        assert count(before) == 0
    with copy.snapshot() as again:
        assert again.generation == after.generation
    copy.close()
    with copy.snapshot() as opened_again:
        assert count(opened_again) == 1


def test_rows_columns_and_frames_say_the_same(warehouse):
    warehouse.commit("run", [configured(1), configured(2)])
    warehouse.publish("run")
    with PublishedCopy(warehouse.published).snapshot() as snapshot:
        sql = "SELECT held_from, NULL::DOUBLE AS nothing FROM configurations ORDER BY held_from"
        rows, columns, frame = snapshot.rows(sql), snapshot.columns(sql), snapshot.read(sql)
        assert [row["held_from"] for row in rows] == frame["held_from"].tolist()
        assert columns["nothing"] == [None, None] and rows[0]["nothing"] is None
        with pytest.raises(WarehouseError):
            snapshot.rows("SELECT nonsense")
        with pytest.raises(WarehouseError):
            snapshot.rows("DELETE FROM configurations")


@pytest.mark.soak
def test_readers_meet_whole_states_while_it_is_published_again_and_again(warehouse):
    warehouse.publish("first")
    copy, is_over, states = PublishedCopy(warehouse.published), threading.Event(), list[tuple[int, int]]()
    errors = list[BaseException]()

    def read() -> None:
        try:
            while not is_over.is_set():
                with copy.snapshot() as snapshot:
                    states.append((count(snapshot), count(snapshot)))
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(30):
        warehouse.commit("run", [configured(number)])
        warehouse.publish("run", is_forced=True)
    is_over.set()
    for reader in readers:
        reader.join()
    assert errors == [] and all(first == second for first, second in states) and len({first for first, _ in states}) > 5
