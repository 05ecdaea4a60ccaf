"""Dagster's SQLite files are opened once while connections are kept, and as ever outside of it."""

import sqlite3
import sys

import dagster as dg
import pytest

from smartflow_assets.defs import kept_connections
from smartflow_assets_tests import quick_history


@pytest.fixture
def opened_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that SQLite opens, by name."""
    files, connect = list[str](), sqlite3.connect

    def counted(file: str, *arguments: object, **options: object) -> sqlite3.Connection:
        files.append(str(file).rpartition("/")[2])
        return connect(file, *arguments, **options)

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    return files


def store(instance: dg.DagsterInstance) -> None:
    for number in range(5):
        instance.report_runless_asset_event(dg.AssetMaterialization("a", metadata={"n": number}))
    assert instance.get_latest_materialization_event(dg.AssetKey("a")) is not None


def test_the_makers_of_engines_are_where_they_were():
    """Fails when a release of Dagster has moved them: nothing else breaks then, each event only costs twice as much."""
    storages = kept_connections._STORAGES
    assert len(storages) == len(kept_connections._MODULES) == 3
    for module in storages:
        maker = getattr(module, kept_connections._MAKER)
        assert maker.__module__.startswith("sqlalchemy") or maker is quick_history._engine


def test_files_stay_open(tmp_path, opened_files):
    with kept_connections.kept_connections(), dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        opened_files.clear()
        store(instance)
        kept = list(opened_files)
    assert len(kept) <= 4
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:  # after it as ever, and what was stored is there
        opened_files.clear()
        store(instance)
        assert len(opened_files) > 10
        assert len(instance.fetch_materializations(dg.AssetKey("a"), limit=20).records) == 10


def test_files_of_old_runs_are_closed(tmp_path):
    with kept_connections.kept_connections():
        create_engine = getattr(kept_connections._STORAGES[0], kept_connections._MAKER)
        engines = []
        for number in range(20):
            engines.append(create_engine(f"sqlite:///{tmp_path}/{number}.db"))
            with engines[-1].connect():
                pass
            engines[-1].dispose()  # as Dagster does after each use
        assert sum(engine.pool.checkedin() for engine in engines) == kept_connections._MOST_FILES
    assert all(engine.pool.checkedin() == 0 for engine in engines)


@pytest.mark.soak
def test_a_dagster_that_has_moved_them_works_as_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_connections, "_MODULES", ("dagster._core.storage.moved_away",))
    monkeypatch.setattr(kept_connections, "_STORAGES", tuple(kept_connections._storages()))
    assert "dagster._core.storage.moved_away" not in sys.modules
    with kept_connections.kept_connections(), dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        store(instance)
