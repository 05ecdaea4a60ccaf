"""A file of another schema version: an older one becomes today's after a copy, a newer one is refused."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse import migrations, tables
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append, Replace
from smartflow_assets.core.errors import WarehouseError
from smartflow_assets_tests.adapters.warehouse.frames import at, clean


@pytest.fixture
def old(warehouse):
    """A file of version 0 that calls `repair` `fix`, lacks a table, and has two rows."""
    warehouse.commit("run", [Replace("clean_series", "web", clean([1, 2]), at(0), at(2))])
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{warehouse.path}' AS old; USE old; DROP SCHEMA marts CASCADE")
        connection.execute("ALTER TABLE clean_series RENAME COLUMN repair TO fix; ALTER TABLE writes DROP COLUMN fingerprint")
        connection.execute("DROP TABLE alert_sends; UPDATE snapshot_info SET schema_version = 0")
    return Warehouse(warehouse.path, warehouse.published)


@pytest.fixture
def renaming(monkeypatch):
    def rename(connection):
        connection.execute("ALTER TABLE clean_series RENAME COLUMN fix TO repair")

    monkeypatch.setattr(migrations, "STEPS", {0: rename})


def test_older_file_is_upgraded_and_keeps_its_rows(old, renaming):
    rows = old.read("SELECT value, repair FROM clean_series ORDER BY observed_at")
    assert rows.to_numpy().tolist() == [[1, "none"], [2, "none"]]
    assert old.schema_version == tables.SCHEMA_VERSION
    assert old.tables()["alert_sends"] == 0
    old.commit("run", [Replace("clean_series", "web", clean([3], first=2), at(2), at(3), fingerprint="f")])
    assert old.publish("run")
    assert old.published_read("SELECT count(*) AS n FROM marts.series_with_bands")["n"].iloc[0] == 3


def test_model_changes_of_version_4_get_the_times_that_they_must_have_had(warehouse):
    """Two trainings of one series, the first retired by the second, and one of another source."""
    trained = pd.DataFrame(
        {
            "source": ["web", "web", "shop"],
            "series": "*",
            "detector": "auto",
            "model_id": ["a", "b", "c"],
            "status": "current",
            "trained_at": [at(0), at(9), at(4)],
            "changed_at": [at(0), at(9), at(4)],
        }
    )
    retired = trained[:1].assign(status="retired", changed_at=at(9))
    warehouse.commit("run", [Append("trained_models", trained), Append("trained_models", retired)])
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{warehouse.path}' AS old; USE old; DROP SCHEMA marts CASCADE; DROP TABLE training_requests")
        for column in ("changed_at", "change", "reason", "changed_by", "replaced_model_id", "baseline_from"):
            connection.execute(f"ALTER TABLE trained_models DROP COLUMN {column}")
        connection.execute("UPDATE snapshot_info SET schema_version = 4")
    rows = Warehouse(warehouse.path, warehouse.published).read(
        "SELECT model_id, status, change, changed_at FROM trained_models ORDER BY model_id, changed_at"
    )
    assert rows[["model_id", "status", "change"]].to_numpy().tolist() == [
        ["a", "current", "trained"],
        ["a", "retired", "replaced"],
        ["b", "current", "trained"],
        ["c", "current", "trained"],
    ]
    assert rows["changed_at"].tolist() == [at(0), at(9), at(9), at(4)]


def test_anomalies_of_version_6_say_how_far_and_which_way_they_went(warehouse):
    intervals = [("a", 9.0, 5.0), ("b", 1.0, 5.0), ("c", float("nan"), 5.0)]
    warehouse.commit(
        "run",
        [
            Replace(
                "anomalies",
                "web",
                pd.DataFrame(
                    [
                        {
                            "source": "web",
                            "anomaly_id": name,
                            "series": "requests",
                            "metric": "requests",
                            "started_at": at(number),
                            "ended_at": at(number + 1),
                            "value": value,
                            "expected": expected,
                        }
                        for number, (name, value, expected) in enumerate(intervals)
                    ]
                ),
                at(0),
                at(5),
            )
        ],
    )
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{warehouse.path}' AS old; USE old; DROP SCHEMA marts CASCADE")
        for column in ("deviation", "direction", "extreme", "slices", "last_similar_at", "last_similar_seconds"):
            connection.execute(f"ALTER TABLE anomalies DROP COLUMN {column}")
        connection.execute("UPDATE snapshot_info SET schema_version = 6")
    found = Warehouse(warehouse.path, warehouse.published).read("SELECT * FROM anomalies ORDER BY anomaly_id")
    assert found["deviation"].tolist()[:2] == [4.0, -4.0] and pd.isna(found["deviation"][2])
    assert found["direction"].tolist()[:2] == ["spike", "drop"] and pd.isna(found["direction"][2])


def test_file_as_it_was_is_copied_before_the_upgrade(old, renaming):
    old.read("SELECT 1 AS one")
    with duckdb.connect(old.path.with_name("smartflow.v0.duckdb"), read_only=True) as copy:
        assert copy.execute("SELECT fix FROM clean_series").fetchall() == [("none",), ("none",)]
        assert copy.execute("SELECT schema_version FROM snapshot_info").fetchall() == [(0,)]


def test_failed_upgrade_leaves_the_file_as_it_was(old, monkeypatch):
    def fail(connection):
        connection.execute("ALTER TABLE clean_series RENAME COLUMN fix TO repair")
        connection.execute("SELECT no_such_column FROM clean_series")

    monkeypatch.setattr(migrations, "STEPS", {0: fail})
    with pytest.raises(WarehouseError, match="no_such_column"):
        old.read("SELECT 1 AS one")
    with duckdb.connect(old.path, read_only=True) as connection:
        assert connection.execute("SELECT fix FROM clean_series LIMIT 1").fetchall() == [("none",)]


@pytest.mark.parametrize("is_known", [False, True], ids=["at the first use", "upgraded while we run"])
def test_newer_file_is_refused_with_a_sentence(warehouse, is_known):
    if is_known:
        warehouse.read("SELECT 1 AS one")
        warehouse.release()
    with duckdb.connect(warehouse.path) as newer:
        newer.execute("UPDATE snapshot_info SET schema_version = 99")
    sentence = f"the file has schema version 99, this SmartFlow knows {tables.SCHEMA_VERSION}. Upgrade SmartFlow, or"
    for use in (lambda: warehouse.read("SELECT 1 AS one"), lambda: warehouse.commit("run", []), lambda: warehouse.publish("run")):
        with pytest.raises(WarehouseError, match=sentence):
            use()


def file_with(path: Path, sql: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS theirs (STORAGE_VERSION 'v1.4.0'); USE theirs; {sql}")


def test_file_of_somebody_else_is_left_alone(tmp_path):
    file_with(tmp_path / "shop.duckdb", "CREATE TABLE orders AS SELECT 1 AS id")
    theirs = Warehouse(tmp_path / "shop.duckdb", tmp_path / "analyst.duckdb")
    with pytest.raises(WarehouseError, match="the file has 1 tables but no snapshot_info, so it is not SmartFlow's"):
        theirs.commit("run", [])
    with duckdb.connect(tmp_path / "shop.duckdb") as connection:
        assert connection.execute("SHOW TABLES").fetchall() == [("orders",)]


def test_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "smartflow.duckdb").write_text("not a database, but long enough to look like one to a careless reader" * 100)
    with pytest.raises(WarehouseError, match=r"the warehouse is damaged: .*not a valid DuckDB database file.*smartflow.duckdb"):
        Warehouse(tmp_path / "smartflow.duckdb", tmp_path / "analyst.duckdb").commit("run", [])


def test_creation_that_was_cut_short_is_completed(tmp_path):
    file_with(tmp_path / "smartflow.duckdb", "CHECKPOINT")
    warehouse = Warehouse(tmp_path / "smartflow.duckdb", tmp_path / "analyst.duckdb")
    assert set(tables.TABLES) == set(warehouse.tables())


def test_file_is_created_once_it_is_used_and_again_after_it_was_removed(warehouse):
    warehouse.read("SELECT 1 AS one")
    warehouse.path.unlink()
    assert warehouse.tables()["clean_series"] == 0
