"""Files are readable and writable across DuckDB versions: analysts, and half-upgraded installations, have others."""

import os
import subprocess
from pathlib import Path

import duckdb
import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Replace
from smartflow_assets_tests.adapters.warehouse.frames import at, clean

OTHER_PYTHON = os.environ.get("SMARTFLOW_OTHER_PYTHON", "")
ROOT = Path(__file__).parents[3]
WITH_OTHER = pytest.mark.skipif(
    not OTHER_PYTHON, reason="SMARTFLOW_OTHER_PYTHON does not name a Python that has another DuckDB (.ci/run sets it)"
)
USE = """
import sys
from pathlib import Path
import duckdb
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Replace
from smartflow_assets_tests.adapters.warehouse.frames import at, clean
warehouse = Warehouse(Path(sys.argv[1]) / "smartflow.duckdb", Path(sys.argv[1]) / "analyst.duckdb")
number = int(sys.argv[2])
warehouse.commit("other", [Replace("clean_series", "web", clean([number], first=number), at(number), at(number + 1))])
warehouse.publish("other")
sql = "SELECT value, dimensions['region'] AS region FROM marts.series_with_bands ORDER BY observed_at"
print(duckdb.__version__, warehouse.read(sql).to_numpy().tolist(), warehouse.published_read(sql).to_numpy().tolist())
"""


def other(folder: Path, number: int) -> str:
    """Lets the other DuckDB write a row to the warehouse and publish; what it then reads."""
    done = subprocess.run(
        [OTHER_PYTHON, "-W", "ignore", "-c", USE, str(folder), str(number)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def rows(warehouse: Warehouse) -> list:
    return warehouse.published_read("SELECT value FROM clean_series ORDER BY observed_at")["value"].tolist()


@WITH_OTHER
def test_other_version_reads_and_extends_our_file(warehouse):
    warehouse.commit("ours", [Replace("clean_series", "web", clean([0]), at(0), at(1))])
    warehouse.publish("ours")
    version, _, read = other(warehouse.path.parent, 1).partition(" ")
    assert version != duckdb.__version__
    assert read == "[[0.0, 'eu'], [1.0, 'eu']] [[0.0, 'eu'], [1.0, 'eu']]"
    assert rows(warehouse) == [0, 1]


@WITH_OTHER
def test_we_read_and_extend_a_file_of_the_other_version(tmp_path):
    warehouse = Warehouse(tmp_path / "smartflow.duckdb", tmp_path / "analyst.duckdb")
    other(tmp_path, 0)
    assert rows(warehouse) == [0]
    warehouse.commit("ours", [Replace("clean_series", "web", clean([1], first=1), at(1), at(2))])
    warehouse.publish("ours")
    assert rows(warehouse) == [0, 1]


def test_file_says_that_it_is_stored_for_older_tools(warehouse):
    warehouse.publish("ours")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{warehouse.published}' AS copy (READ_ONLY)")
        found = connection.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'copy'").fetchall()[0][0]
    assert found["storage_version"].startswith("v1.4.0")
