"""Committing, reading and publishing: what is stored is what was given, and nothing else goes."""

import os
import signal
import threading
from datetime import UTC, datetime, timedelta, timezone

import duckdb
import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse import commits, publishing
from smartflow_assets.adapters.warehouse.writes import Append, Delete, LeavePending, MarkProcessed, Replace, Rewrite
from smartflow_assets.core.errors import WarehouseError
from smartflow_assets_tests.adapters.warehouse.frames import START, at, clean


@pytest.fixture
def replace(warehouse):
    def run(frame, first: int, until: int, source: str = "web", table: str = "clean_series", **options):
        return warehouse.commit("run", [Replace(table, source, frame, at(first), at(until), **options)])

    return run


@pytest.fixture
def values(warehouse):
    def read(source: str = "web") -> list:
        sql = "SELECT value FROM clean_series WHERE source = ? ORDER BY series, observed_at"
        return warehouse.read(sql, [source])["value"].tolist()

    return read


def event(event_id: str, source: str = "web", **columns) -> pd.DataFrame:
    row = {"source": source, "event_id": event_id, "incident_id": "i1", "event": "opened", "happened_at": START}
    return pd.DataFrame([row | columns])


def incident(incident_id: str, state: str = "open") -> pd.DataFrame:
    return pd.DataFrame([{"source": "web", "incident_id": incident_id, "state": state, "opened_at": START}])


# --- Replace -----------------------------------------------------------------------------------------------------------------


def test_rerun_replaces_rows(replace, values):
    replace(clean([1, 2, 3]), 0, 3)
    replace(clean([1, 20, 3]), 0, 3)
    assert values() == [1, 20, 3]


def test_rows_outside_the_window_and_other_sources_stay(replace, values):
    replace(clean([1, 2, 3]), 0, 3)
    replace(clean([7, 8, 9]), 0, 3, source="shop")
    replace(clean([20], first=1), 1, 2)
    assert values() == [1, 20, 3]
    assert values("shop") == [7, 8, 9]


def test_window_ends_before_until(replace, values):
    replace(clean([1, 2, 3]), 0, 3)
    replace(pd.DataFrame(), 0, 2, is_empty_allowed=True)
    assert values() == [3]


def test_named_series_leave_the_others_alone(replace, values):
    replace(pd.concat([clean([1, 2], "a"), clean([3, 4], "b")]), 0, 2)
    replace(clean([30, 40], "b"), 0, 2, series=("b",))
    assert values() == [1, 2, 30, 40]
    with pytest.raises(WarehouseError, match="clean_series was to get other series than a"):
        replace(clean([1], "a"), 0, 2, series=("b",))


def test_empty_frame_never_wipes_by_accident(replace, values):
    replace(clean([1, 2]), 0, 2)
    with pytest.raises(WarehouseError, match="web: an empty frame would wipe clean_series"):
        replace(clean([]), 0, 2)
    assert values() == [1, 2]


def test_row_outside_its_window_is_refused(replace):
    with pytest.raises(WarehouseError, match=r"web: 1 rows are outside the window .* such as 2024-05-01 00:10:00"):
        replace(clean([1, 2, 3]), 0, 2)


def test_stranger_row_is_refused(replace, values):
    with pytest.raises(WarehouseError, match="was to get rows of web, but the frame holds rows of shop"):
        replace(clean([1]).assign(source="shop"), 0, 1)
    assert values("shop") == []


def test_repeated_key_is_refused_and_shown(replace):
    with pytest.raises(WarehouseError, match=r"1 rows whose key is not unique, such as source=web, series=requests"):
        replace(pd.concat([clean([1]), clean([2])]), 0, 1)


def test_id_that_lives_outside_the_window_is_refused(replace):
    anomaly = pd.DataFrame([{"anomaly_id": "a1", "series": "s", "metric": "m", "started_at": at(0), "ended_at": at(1)}])
    replace(anomaly, 0, 1, table="anomalies")
    with pytest.raises(WarehouseError, match="table anomalies already has the row anomaly_id=a1"):
        replace(anomaly.assign(started_at=at(5)), 5, 6, table="anomalies")


def test_new_feature_becomes_a_column(replace, warehouse):
    rows = clean([1, 2])[["series", "observed_at"]]
    replace(rows.assign(mean_1h=[0.5, np.nan]), 0, 2, table="series_features")
    replace(rows[1:].assign(mean_1h=1.0, lag=2.0), 1, 2, table="series_features")
    features = warehouse.read("SELECT mean_1h, lag FROM series_features ORDER BY observed_at")
    assert features.fillna(-1).to_numpy().tolist() == [[0.5, -1], [1, 2]]


def test_columns_that_come_up_later_in_a_commit_are_no_conflict(replace, warehouse):
    rows = clean([1, 2])[["series", "observed_at"]]
    replace(rows.assign(lag=1.0), 0, 2, table="series_features")
    first = Replace("series_features", "web", rows[:1].assign(lag=2.0), at(0), at(1))
    later = Replace("series_features", "web", rows[1:].assign(lag=3.0, trend=4.0), at(1), at(2))
    warehouse.commit("run", [Delete("series_features", "web"), first, later])
    found = warehouse.read("SELECT lag, trend FROM series_features ORDER BY observed_at")
    assert found.fillna(-1).to_numpy().tolist() == [[2, -1], [3, 4]]


def test_write_mode_of_the_table_is_kept(warehouse):
    with pytest.raises(WarehouseError, match="table clean_series is written by window, not by append"):
        warehouse.commit("run", [Append("clean_series", clean([1]))])
    with pytest.raises(WarehouseError, match="there is no table cleanseries"):
        warehouse.commit("run", [Replace("cleanseries", "web", clean([1]), at(0), at(1))])


# --- Append, Rewrite, Delete -------------------------------------------------------------------------------------------------


def test_append_refuses_a_key_that_is_there(warehouse):
    warehouse.commit("run", [Append("incident_events", event("e1"))])
    with pytest.raises(WarehouseError, match="table incident_events already has the row event_id=e1"):
        warehouse.commit("run", [Append("incident_events", event("e1", cause="anomaly"))])
    assert warehouse.tables()["incident_events"] == 1


def test_rewrite_changes_the_named_rows_only(warehouse):
    warehouse.commit("run", [Rewrite("incidents", ("i1", "i2"), pd.concat([incident("i1"), incident("i2")]))])
    warehouse.commit("run", [Rewrite("incidents", ("i1",), incident("i1", "resolved"))])
    states = warehouse.read("SELECT incident_id, state FROM incidents ORDER BY incident_id")
    assert states["state"].tolist() == ["resolved", "open"]
    with pytest.raises(WarehouseError, match="incident_id i2 is not among them"):
        warehouse.commit("run", [Rewrite("incidents", ("i1",), incident("i2"))])


def test_delete_takes_one_source(replace, values, warehouse):
    replace(clean([1, 2]), 0, 2)
    replace(clean([3]), 0, 1, source="shop")
    assert warehouse.commit("run", [Delete("clean_series", "web")]).row_counts == {"clean_series": 2}
    assert (values(), values("shop")) == ([], [3])


def test_commit_is_all_or_nothing(warehouse, values):
    good = Replace("clean_series", "web", clean([1]), at(0), at(1))
    bad = Append("incident_events", event("e1").drop(columns="event"))
    with pytest.raises(WarehouseError, match="table incident_events needs the column 'event'"):
        warehouse.commit("run", [good, bad])
    assert values() == []
    assert warehouse.tables()["writes"] == 0


def test_conflicting_transaction_is_run_again_as_a_whole(warehouse, values, monkeypatch):
    refusals = iter([duckdb.TransactionException("conflict"), duckdb.TransactionException("conflict")])
    record = commits._record

    def refuse_twice(*arguments):
        for refusal in refusals:
            raise refusal
        return record(*arguments)

    monkeypatch.setattr(commits, "_record", refuse_twice)
    warehouse.commit("run", [Replace("clean_series", "web", clean([1]), at(0), at(1))])
    assert values() == [1]


# --- types -------------------------------------------------------------------------------------------------------------------


def test_all_types_come_back_as_they_went(warehouse):
    anomaly = pd.DataFrame(
        {
            "anomaly_id": ["a", "b"],
            "series": "s",
            "metric": "m",
            "dimensions": [{"region": "ü", "a,b": '"'}, {}],
            "started_at": pd.to_datetime(["2024-05-01T02:00:00.123456+02:00"] * 2),
            "ended_at": at(1),
            "peak_at": [pd.NaT, at(0)],
            "point_count": [3, None],
            "value": [1.5, np.nan],
            "detectors": [["zscore", "it's"], None],
            "rules": [(), np.array(["r"])],
            "contributions": [{"zscore": 0.25, "mad": np.nan}, None],
            "explanation": [None, "why\nso"],
        }
    )
    warehouse.commit("run", [Replace("anomalies", "web", anomaly, at(0), at(1))])
    rows = warehouse.read("SELECT * FROM anomalies ORDER BY anomaly_id")
    assert rows["started_at"].dtype == "datetime64[us, UTC]"
    assert rows["started_at"].tolist() == [pd.Timestamp("2024-05-01 00:00:00.123456", tz="UTC")] * 2
    assert rows["peak_at"].isna().tolist() == [True, False]
    assert rows["dimensions"].tolist() == [{"region": "ü", "a,b": '"'}, {}]
    assert rows["detectors"].tolist() == [["zscore", "it's"], None]
    assert rows["rules"].tolist() == [[], ["r"]]
    assert rows["contributions"].tolist() == [{"zscore": 0.25, "mad": None}, None]
    assert rows["point_count"].fillna(-1).tolist() == [3, -1]
    assert rows["value"].fillna(-1).tolist() == [1.5, -1]
    assert rows["explanation"].fillna("").tolist() == ["", "why\nso"]


def test_what_was_read_can_be_written_again(warehouse, replace, values):
    replace(clean([1, np.nan]), 0, 2)
    replace(warehouse.read("SELECT * FROM clean_series"), 0, 2)
    assert pd.Series(values()).fillna(-1).tolist() == [1, -1]


def test_categories_are_written_as_what_they_stand_for(warehouse, replace):
    """In a column of maps the categories are JSON text; one null among them."""
    rows = pd.concat([clean([1, 2], "a"), clean([3, 4], "b")], ignore_index=True)
    texts = pd.Categorical.from_codes([0, 0, 1, -1], ['{"region": "eu"}', '{"region": "ü", "a,b": ""}'])
    rows = rows.assign(**{name: rows[name].astype("category") for name in ("series", "metric", "repair")}, dimensions=texts)
    replace(rows, 0, 2)
    found = warehouse.read("SELECT * FROM clean_series ORDER BY series, observed_at")
    assert found["series"].tolist() == ["a", "a", "b", "b"] and found["source"].tolist() == ["web"] * 4
    assert found["dimensions"].tolist() == [{"region": "eu"}, {"region": "eu"}, {"region": "ü", "a,b": ""}, None]
    assert found["value"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("order", "message"),
    [([0, 1, 1], "1 rows whose key is not unique, such as source=web, series=b"), ([1, 0, 1], "1 rows whose key is not unique")],
    ids=["one after the other", "apart"],
)
def test_a_key_that_occurs_twice_in_categories_is_refused(replace, order, message):
    rows = clean([1, 2, 3]).assign(series=pd.Categorical.from_codes(order, ["a", "b"]), observed_at=at(0))
    with pytest.raises(WarehouseError, match=message):
        replace(rows, 0, 1)


def test_a_map_whose_category_is_no_json_of_one_is_refused(replace):
    with pytest.raises(WarehouseError, match=r"column 'dimensions' should be MAP\(VARCHAR, VARCHAR\), .* is not a dict"):
        replace(clean([1]).assign(dimensions=pd.Categorical(["[1]"])), 0, 1)


def test_text_after_thousands_of_nulls_is_kept(warehouse, replace):
    frame = clean([1.0] * 5000).assign(repair=[None] * 4999 + ["filled"])
    replace(frame, 0, 5000)
    assert warehouse.read("SELECT count(*) AS n FROM clean_series WHERE repair = 'filled'")["n"].iloc[0] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observed_at": START.tz_localize(None)}, "column 'observed_at' should be TIMESTAMPTZ, .* times need a time zone"),
        ({"value": "12"}, "column 'value' should be DOUBLE, .* text and truth values are not numbers"),
        ({"value": True}, "column 'value' should be DOUBLE, .* text and truth values are not numbers"),
        ({"repair": 3}, "column 'repair' should be VARCHAR, .* 3 is not text"),
        ({"dimensions": "region=eu"}, r"column 'dimensions' should be MAP\(VARCHAR, VARCHAR\), .* is not a dict"),
        ({"metric": None}, "column 'metric' must not be null, 1 rows are"),
        ({"valeu": 1.0}, "table clean_series has no column 'valeu'"),
    ],
)
def test_frame_that_does_not_fit_is_refused_by_column(replace, change, message):
    with pytest.raises(WarehouseError, match=message):
        replace(clean([1]).assign(**change), 0, 1)


def test_json_is_text_or_what_json_can_say(warehouse):
    warehouse.commit("run", [Append("incident_events", event("e1", payload={"seen": START, "share": np.float64(0.5)}))])
    warehouse.commit("run", [Append("incident_events", event("e2", payload='{"a": [1]}'))])
    payloads = warehouse.read("SELECT payload FROM incident_events ORDER BY event_id")["payload"].tolist()
    assert payloads == ['{"seen": "2024-05-01 00:00:00+00:00", "share": 0.5}', '{"a": [1]}']
    with pytest.raises(WarehouseError, match="column 'payload' should be JSON"):
        warehouse.commit("run", [Append("incident_events", event("e3", payload="{broken"))])


def test_times_are_bound_in_any_zone(warehouse, replace):
    replace(clean([1, 2]), 0, 2)
    berlin = datetime(2024, 5, 1, 2, 5, tzinfo=timezone(timedelta(hours=2)))
    found = warehouse.read("SELECT value FROM clean_series WHERE observed_at >= ? AND list_contains(?, source)", [berlin, ["web"]])
    assert found["value"].tolist() == [2]


def test_empty_result_keeps_its_types(warehouse):
    empty = warehouse.read("SELECT observed_at, value, dimensions FROM clean_series")
    assert [str(dtype) for dtype in empty.dtypes[:2]] == ["datetime64[us, UTC]", "float64"]
    assert len(empty) == 0


def test_wrong_sql_is_one_line(warehouse):
    with pytest.raises(WarehouseError, match="Catalog Error: Table with name clean does not exist") as refused:
        warehouse.read("SELECT * FROM clean")
    assert "\n" not in str(refused.value)


def test_reading_cannot_write(warehouse):
    with pytest.raises(WarehouseError, match="read-only mode"):
        warehouse.read("DELETE FROM clean_series")


# --- writes and pending ------------------------------------------------------------------------------------------------------


def test_every_commit_is_recorded_in_order_even_when_the_clock_goes_back(warehouse, monkeypatch):
    class Backwards(datetime):
        ticks = iter(range(1000))

        @classmethod
        def now(cls, tz=None):
            return datetime(2024, 5, 1, tzinfo=UTC) - timedelta(seconds=next(cls.ticks))

    monkeypatch.setattr(commits, "datetime", Backwards)
    for number in range(3):
        warehouse.commit(f"run-{number}", [Append("incident_events", event(f"e{number}"))])
    written = warehouse.read("SELECT run_id, source, table_name, operation, row_count, written_at FROM writes ORDER BY written_at")
    assert written["run_id"].tolist() == ["run-0", "run-1", "run-2"]
    assert written["written_at"].is_unique
    assert written.iloc[0][["source", "table_name", "operation", "row_count"]].tolist() == ["web", "incident_events", "append", 1]


def test_fingerprint_of_the_configuration_stays_with_the_write(replace, warehouse):
    replace(clean([1]), 0, 1, fingerprint="f1")
    assert warehouse.read("SELECT fingerprint FROM writes")["fingerprint"].tolist() == ["f1"]


def pending(warehouse) -> list:
    return warehouse.pending("web", "series_features", ["clean_series", "raw.web"])


def test_pending_is_what_upstream_changed_since(replace, warehouse):
    assert pending(warehouse) == []
    replace(clean([1, 2, 3]), 0, 3)
    replace(clean([4], first=3), 3, 4)
    replace(clean([9], first=9), 9, 10)
    replace(clean([1]), 0, 1, source="shop")
    assert pending(warehouse) == [(at(0), at(4)), (at(9), at(10))]
    features = clean([1, 2])[["series", "observed_at"]].assign(lag=1.0)
    replace(features, 0, 10, table="series_features")
    assert pending(warehouse) == []
    replace(clean([20], first=1), 1, 2)
    assert pending(warehouse) == [(at(1), at(2))]


def test_writes_of_one_commit_are_not_pending_for_each_other(warehouse):
    features = clean([1])[["series", "observed_at"]].assign(lag=1.0)
    warehouse.commit(
        "run",
        [
            Replace("series_features", "web", features, at(0), at(1)),
            Replace("clean_series", "web", clean([1]), at(0), at(1)),
        ],
    )
    assert pending(warehouse) == []


def test_what_a_commit_leaves_stays_pending_until_the_next(replace, warehouse):
    replace(clean([1, 2, 3]), 0, 3)
    features = clean([1])[["series", "observed_at"]].assign(lag=1.0)
    warehouse.commit(
        "run", [Replace("series_features", "web", features, at(0), at(1)), LeavePending("series_features", "web", at(1), at(3))]
    )
    assert pending(warehouse) == [(at(1), at(3))]
    replace(clean([9], first=9), 9, 10)
    assert pending(warehouse) == [(at(1), at(3)), (at(9), at(10))]
    assert warehouse.pending("web", "anomaly_scores", ["series_features"]) == [(at(0), at(1))]  # what was left was not written
    warehouse.commit("run", [Replace("series_features", "web", features[:0], at(1), at(10), is_empty_allowed=True)])
    assert pending(warehouse) == []


def test_rewritten_rows_settle_nothing(replace, warehouse):
    """Settling a failed run writes an incident of its own: the anomalies that its step did not get to stay pending."""
    replace(clean([1, 2, 3]), 0, 3)
    warehouse.commit("run", [Rewrite("incidents", ("i1",), incident("i1"))])
    assert warehouse.pending("web", "incidents", ["clean_series"]) == [(at(0), at(3))]
    warehouse.commit("run", [Rewrite("incidents", ("i1",), incident("i1")), MarkProcessed("incidents", "web", at(0), at(3))])
    assert warehouse.pending("web", "incidents", ["clean_series"]) == []


def test_deleted_table_has_everything_pending(replace, warehouse):
    replace(clean([1, 2]), 0, 2)
    replace(clean([1, 2])[["series", "observed_at"]].assign(lag=1.0), 0, 2, table="series_features")
    warehouse.commit("run", [Delete("series_features", "web")])
    assert pending(warehouse) == [(at(0), at(2))]
    warehouse.commit("run", [Delete("clean_series", "web")])
    assert pending(warehouse) == []


# --- publishing --------------------------------------------------------------------------------------------------------------


def test_published_copy_holds_what_was_committed_and_says_when(replace, warehouse):
    assert warehouse.snapshot_info() is None
    replace(clean([1, 2]), 0, 2)
    before = datetime.now(UTC)
    assert warehouse.publish("run-7")
    replace(clean([9], first=5), 5, 6)
    assert warehouse.published_read("SELECT value FROM clean_series ORDER BY observed_at")["value"].tolist() == [1, 2]
    info = warehouse.snapshot_info()
    assert info is not None and info.run_id == "run-7" and before <= info.published_at <= datetime.now(UTC)
    assert info.schema_version == warehouse.schema_version


def test_reading_what_was_never_published_says_what_to_do(warehouse):
    with pytest.raises(WarehouseError, match=r"nothing is published yet .* Run `smartflow run` first"):
        warehouse.published_read("SELECT 1 AS one")


def test_large_file_is_published_once_a_minute_unless_forced(replace, warehouse, monkeypatch):
    monkeypatch.setattr(publishing, "AT_ONCE_BELOW_BYTES", 1)
    assert warehouse.publish("run-1")
    replace(clean([1]), 0, 1)
    assert not warehouse.publish("run-2")
    assert warehouse.published_read("SELECT value FROM clean_series").empty
    assert warehouse.publish("run-3", is_forced=True)
    monkeypatch.setattr(publishing, "INTERVAL", timedelta(0))
    replace(clean([2]), 0, 1)
    assert warehouse.publish("run-4")


def test_it_is_published_once_for_what_was_written(replace, warehouse):
    assert warehouse.publish("run-1")
    replace(clean([1]), 0, 1)
    assert warehouse.publish("run-2")
    copy = warehouse.published.stat().st_ino
    assert not warehouse.publish("run-3") and warehouse.published.stat().st_ino == copy
    assert warehouse.snapshot_info().run_id == "run-2"
    os.utime(warehouse.published, (0, 0))  # a run said that it would publish, and was killed before it did
    assert warehouse.publish("run-4")
    warehouse.published.unlink()
    assert warehouse.publish("run-5")


def test_log_left_by_a_writing_analyst_does_not_spoil_the_next_copy(replace, warehouse):
    warehouse.publish("run")
    with duckdb.connect(warehouse.published) as analyst:
        analyst.execute("CREATE TABLE notes AS SELECT 1 AS note")
        replace(clean([1]), 0, 1)
        warehouse.publish("run")
    assert warehouse.published_read("SELECT value FROM clean_series")["value"].tolist() == [1]


def test_threads_write_and_read_at_once(warehouse):
    warehouse.publish("run")
    errors = []

    def work(number: int) -> None:
        try:
            for step in range(3):
                warehouse.commit(f"run-{number}", [Append("incident_events", event(f"{number}-{step}"))])
                warehouse.read("SELECT count(*) AS n FROM incident_events")
                warehouse.published_read("SELECT count(*) AS n FROM incident_events")
                warehouse.publish(f"run-{number}")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert warehouse.tables()["incident_events"] == 12


# --- One opening for several reads -----------------------------------------------------------------------------------------------


@pytest.fixture
def openings(warehouse, monkeypatch) -> list[str]:
    """The mode of each opening of the file from here on."""
    warehouse.read("SELECT 1")
    warehouse.release()
    modes, attached = [], warehouse._engines.attached
    monkeypatch.setattr(warehouse._engines, "attached", lambda file, mode, timeout: modes.append(mode) or attached(file, mode, timeout))
    return modes


@pytest.mark.skipif(duckdb.__version__ < "2", reason="with parameters it looks for no signal while it works")
def test_a_signal_during_a_query_is_an_interrupt_and_the_next_query_is_answered(warehouse):
    """DuckDB raises an error of its own in the place of what the handler of the signal raised."""

    def end(*_: object) -> None:
        raise SystemExit

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            warehouse.read("SELECT count(*) FROM range(10_000_000_000) WHERE hash(range) % 7 = 3")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(warehouse.read("SELECT 1 AS one")) == 1


def test_reads_of_a_block_share_one_opening(warehouse, openings):
    with warehouse.reading():
        warehouse.read("SELECT 1")
        with warehouse.reading():
            warehouse.read("SELECT 1")
        warehouse.read("SELECT 1")
    assert openings == ["READ_ONLY"]


def test_a_block_without_reads_opens_nothing(warehouse, openings):
    with warehouse.reading():
        pass
    assert not openings


def test_a_commit_in_a_block_is_seen_by_its_next_read(warehouse, replace, values):
    with warehouse.reading():
        assert values() == []
        replace(clean([1, 2]), 0, 2)
        assert values() == [1, 2]
        warehouse.publish("run", is_forced=True)
        assert values() == [1, 2]


def test_a_failed_read_closes_the_file_and_the_block_goes_on(warehouse, openings):
    with warehouse.reading():
        warehouse.read("SELECT 1")
        with pytest.raises(WarehouseError, match="no_such_table"):
            warehouse.read("SELECT * FROM no_such_table")
        assert warehouse.read("SELECT 7 AS n")["n"].tolist() == [7]
    assert len(openings) == 2
    warehouse.release()
    duckdb.connect(str(warehouse.path)).close()  # as a writer: nobody has it open


def test_others_write_when_the_block_is_over(warehouse, replace, values):
    writer = threading.Thread(target=lambda: replace(clean([1]), 0, 1))
    with warehouse.reading():
        assert values() == []
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
        assert values() == []  # and reads of one block see one state
    writer.join(10)
    assert values() == [1]
