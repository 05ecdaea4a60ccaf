"""A warehouse in a temporary folder, and staged Parquet files made from SQL."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets_tests.empty_warehouse import empty_warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    path = tmp_path / "smartflow.duckdb"
    shutil.copyfile(empty_warehouse(), path)
    return Warehouse(path, tmp_path / "analyst.duckdb", lock_timeout=timedelta(seconds=30))


@pytest.fixture
def staged(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the result of a query to a new Parquet file, as readers do."""

    def stage(sql: str) -> Path:
        path = tmp_path / f"staged_{len(list(tmp_path.glob('staged_*')))}.parquet"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet)").fetchall()
        return path

    return stage


@pytest.fixture
def stored(warehouse: Warehouse) -> Callable[..., list]:
    """The values of a column of the source `web` as they were ingested, sorted."""

    def values(column: str = "value") -> list:
        return sorted(warehouse.read(f'SELECT "{column}" FROM raw."web"')[column].tolist())

    return values
