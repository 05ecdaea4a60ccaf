"""A home of an earlier version opens and runs: its incidents go on, and nothing of it is lost.

Each was made by two runs of `smartflow run` of the last version with that schema. In both `shop` has two regions that count four times as
much as usual for the last four hours, with an open incident that was told. From version 8 on there are two sources more: `log`, which is
silent and whose equal lines version 8 counted once, and `broken`, whose reading has failed since its time column was renamed.
"""

import tarfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.tables import SCHEMA_VERSION
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages.audit import Audited, note
from smartflow_assets.stages.scheduling.looks import look
from smartflow_assets_tests.homes import Home, stages_until

OLD = Path(__file__).parents[1] / "old_homes"
KEPT = ("raw.shop", "clean_series", "anomaly_scores", "anomalies", "incident_events", "alert_sends", "trained_models", "run_log")


@pytest.fixture
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    with tarfile.open(OLD / f"version_{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path)


@pytest.mark.parametrize(("old", "version"), [(7, 7), (8, 8), (9, 9), (10, 10), (11, 11), (12, 12), (13, 13)], indirect=["old"])
@pytest.mark.soak
def test_an_old_home_opens_and_its_incidents_end(old: Home, smartflow, version: int):
    feed = old.folder / "data/examples/shop.csv"
    calm = pd.read_csv(feed).tail(2 * 24 * 3).head(2 * 24)  # the same hours two days earlier
    later = calm.assign(at=(pd.to_datetime(calm["at"]) + pd.Timedelta(days=3)).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    later[later["at"] >= "2026-03-23"].to_csv(feed, mode="a", header=False, index=False)
    with duckdb.connect(str(old.settings.warehouse_file), read_only=True) as file:
        before = {table: file.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in KEPT}

    answer = smartflow("run", "shop", "--as-of", "2026-03-24T00:00Z")
    assert answer.code == 0 and "resolved 2" in answer.out, answer
    assert old.warehouse.schema_version == SCHEMA_VERSION >= version
    assert {table: old.count(table) >= count for table, count in before.items()} == dict.fromkeys(KEPT, True)
    assert set(old.table("incidents", "source = 'shop'")["state"]) == {"resolved"}
    assert old.count("incidents", "source = 'shop'") == 2
    assert (old.folder / f"data/warehouse/smartflow.v{version}.duckdb").exists() == (version < SCHEMA_VERSION)


@pytest.mark.parametrize("old", [13], indirect=True)
def test_version_13_had_no_audit_and_gets_one(old: Home):
    note(old.warehouse, Audited("shop", "configure", "ann", "admin", "done", "r1", datetime(2026, 3, 23, tzinfo=UTC)))
    assert old.table("api_audit")[["source", "action", "done_by"]].to_numpy().tolist() == [["shop", "configure", "ann"]]
    assert old.warehouse.schema_version == SCHEMA_VERSION and old.count("saved_views") == 0
    assert (old.folder / "data/warehouse/smartflow.v13.duckdb").exists()


@pytest.mark.parametrize("old", [12], indirect=True)
def test_incidents_that_version_12_opened_are_taken_on_snoozed_and_resolved(old: Home, smartflow):
    names = old.table("incidents", "state <> 'resolved' AND group_id IS NULL ORDER BY source")
    assert list(names["source"]) == ["broken", "log", "shop"]
    broken, log, shop = names["incident_id"]
    assert smartflow("incidents", "ack", broken, "--by", "ann").out == f"{broken[:8]} broken raw_records: acknowledged\n"
    assert smartflow("incidents", "snooze", log, "2h").code == 0
    assert "resolved, with 1 that was told with it" in smartflow("incidents", "resolve", shop).out
    assert list(
        old.table(
            "incidents",
            "group_id IS NULL AND incident_id IN (SELECT incident_id FROM incident_events WHERE event IN "
            "('acknowledged', 'snoozed')) ORDER BY source",
        )["state"]
    ) == ["acknowledged", "suppressed"]
    again = smartflow("run", "shop", "--as-of", "2026-03-23T01:00Z")
    assert "opened 0" in again.out and old.count("incidents", "source = 'shop' AND state <> 'resolved'") == 0


@pytest.mark.parametrize("old", [8], indirect=True)
def test_equal_rows_that_version_8_counted_once_count_after_a_rebuild_that_plan_announces(old: Home, smartflow):
    said = smartflow("plan", "log").out
    assert said.startswith("log: clean rows,") and "equal rows count each by itself now" in said
    answer = old.run_stages("log", datetime(2026, 3, 23, 1, tzinfo=UTC), stages_until("clean_series"))
    read, cleaned = answer["raw_records"], answer["clean_series"]
    assert (read.origins, read.new_rows, cleaned.rebuilt_because) == (("inbox/log/part2.csv",), 2, "equal rows count each by itself now")
    lines = old.table("clean_series", "source = 'log' ORDER BY observed_at")["value"]
    assert lines.iloc[:-3].eq(3).all() and sorted(lines.iloc[-3:]) == [3, 3, 5]
    assert "equal rows" not in smartflow("plan", "log").out


@pytest.mark.parametrize("old", [9], indirect=True)
def test_what_version_9_ran_is_run_once_more_before_anybody_only_looks(old: Home):
    now = datetime(2026, 3, 23, 1, tzinfo=UTC)
    found = look(Catalogue.load(old.settings), ["broken", "log", "shop"], old.warehouse, now)
    assert dict(found.worth) == dict.fromkeys(["broken", "log", "shop"], "no run has found nothing to do yet")
    health = old.table("marts.source_health")
    assert (health["last_looked_at"] >= health["last_run_at"]).all()
