"""The database that contents are staged in, one after the other."""

import duckdb
import pytest

from smartflow_assets.adapters.staging import session as module
from smartflow_assets.adapters.staging.session import session


@pytest.fixture(autouse=True)
def no_engine_of_another_test(monkeypatch):
    monkeypatch.setattr(module, "_idle", [])


def test_the_next_content_has_the_same_engine_and_nothing_of_the_one_before(tmp_path):
    with session(tmp_path / "a", "Europe/Berlin") as connection:
        connection.execute("CREATE TEMP TABLE second_hour AS SELECT 1 AS row_number")
        connection.execute("SET threads = 1")
    [(_, engine)] = module._idle
    with session(tmp_path / "b", "UTC") as connection:
        with pytest.raises(duckdb.CatalogException):
            connection.execute("FROM second_hour")
        asked = "SELECT current_setting('TimeZone'), current_setting('threads'), current_setting('temp_directory')"
        assert connection.execute(asked).fetchall() == [("UTC", module.THREADS, str(tmp_path / "b/spill"))]
    assert module._idle[0][1] is engine


def test_an_engine_that_had_an_error_or_has_spilled_is_not_kept(tmp_path):
    with pytest.raises(duckdb.Error), session(tmp_path / "a", "UTC") as connection:
        connection.execute("SELECT no_such_function(1)")
    assert module._idle == []
    (tmp_path / "b").mkdir()
    with session(tmp_path / "b", "UTC") as connection:
        connection.execute("SET memory_limit = '30MB'")
        connection.execute("CREATE TEMP TABLE much AS SELECT random() AS value FROM range(10_000_000)")
        assert (tmp_path / "b/spill").exists()
        connection.execute("DROP TABLE much")
    assert module._idle == []
    with session(tmp_path / "c", "UTC") as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_fork_starts_an_engine_of_its_own(tmp_path, monkeypatch):
    with session(tmp_path / "a", "UTC"):
        pass
    [(_, engine)] = module._idle
    monkeypatch.setattr(module.os, "getpid", lambda: -1)
    with session(tmp_path / "b", "UTC"):
        pass
    assert module._idle[0][1] is not engine
