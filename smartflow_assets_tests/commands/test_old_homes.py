"""A home of an earlier version opens and runs: its incidents go on, and nothing of it is lost.

`old_homes/version_7.tar.xz` was made by two runs of `smartflow run shop` of the last version with that schema: two regions that count
four times as much as usual for the last four hours, each with an open incident that was told.
"""

import tarfile
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.tables import SCHEMA_VERSION
from smartflow_assets_tests.homes import Home

OLD = Path(__file__).parents[1] / "old_homes" / "version_7.tar.xz"
KEPT = ("raw.shop", "clean_series", "anomaly_scores", "anomalies", "incident_events", "alert_sends", "trained_models", "run_log")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path)


def test_a_home_of_version_7_opens_and_its_incidents_end(old: Home, smartflow):
    feed = old.folder / "data/examples/shop.csv"
    calm = pd.read_csv(feed).tail(2 * 24 * 3).head(2 * 24)  # the same hours two days earlier
    later = calm.assign(at=(pd.to_datetime(calm["at"]) + pd.Timedelta(days=3)).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    later[later["at"] >= "2026-03-23"].to_csv(feed, mode="a", header=False, index=False)
    with duckdb.connect(str(old.settings.warehouse_file), read_only=True) as file:
        before = {table: file.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in KEPT}

    answer = smartflow("run", "shop", "--as-of", "2026-03-24T00:00Z")
    assert answer.code == 0 and "resolved 2" in answer.out, answer
    assert old.warehouse.schema_version == SCHEMA_VERSION > 7
    assert {table: old.count(table) >= count for table, count in before.items()} == dict.fromkeys(KEPT, True)
    assert old.table("incidents")["state"].tolist() == ["resolved", "resolved"]
    assert sorted(old.sent()["event"]) == ["opened", "opened", "resolved", "resolved"]
    assert (old.folder / "data/warehouse/smartflow.v7.duckdb").exists()
