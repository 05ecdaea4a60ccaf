"""Raw rows to buckets in real DuckDB."""

from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smartflow_assets.adapters.aggregation.buckets import BucketPlan, MetricColumn, aggregate, extent, known_series, windows
from smartflow_assets.adapters.aggregation.lifetimes import lifetimes
from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.series.lifetimes import Silence, Waiting
from smartflow_assets.core.temporal.calendar import Calendar

DAY = pd.Timestamp("2026-01-07", tz="UTC")
FIVE = timedelta(minutes=5)


class Rows:
    """What aggregate needs of a warehouse: one raw table, given row by row."""

    def __init__(self, columns: str, rows: list[tuple], time: str = "ts") -> None:
        self.connection = duckdb.connect()
        self.connection.execute(
            f"SET TimeZone = 'UTC'; CREATE SCHEMA raw; CREATE TABLE raw.\"shop\" ({columns}, "
            "_origin VARCHAR, _row BIGINT, _row_hash UBIGINT, _ingested_at TIMESTAMPTZ, _run_id VARCHAR)"
        )
        for table in ("blocked_loads", "diverted_rows"):
            self.connection.execute(TABLES[table].ddl())
        marks = ", ".join("?" for _ in rows[0]) if rows else ""
        for number, row in enumerate(rows):
            self.connection.execute(f"INSERT INTO raw.shop VALUES ({marks}, 'f', {number}, 0, now(), 'run')", row)
        names = [
            name
            for (name,) in self.connection.execute(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = 'shop' AND column_name[1] != '_'"
            ).fetchall()
        ]
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        self.connection.execute(f"UPDATE raw.shop SET _row_hash = hash(row({quoted}))")

    def read(self, sql, params=()):
        return self.connection.execute(sql, list(params)).df()


def at(minutes: float) -> pd.Timestamp:
    return DAY + pd.Timedelta(minutes=minutes)


def one_metric(rows: list[float | None], how: str, column: str | None = "v") -> float:
    warehouse = Rows("ts TIMESTAMPTZ, v DOUBLE", [(at(k / 10), value) for k, value in enumerate(rows)])
    plan = BucketPlan("ts", FIVE, (MetricColumn("m", column, how),))
    return aggregate(warehouse, "shop", plan, DAY, at(5))["value"].item()


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", 3.75),
        ("sum", 15),
        ("count", 4),
        ("min", 1),
        ("max", 8),
        ("median", 3),
        ("last", 4),
        ("first", 2),
        ("p95", 7.4),
        ("p05", 1.15),
        ("p25", 1.75),
        ("p75", 5),
        ("p90", 6.8),
        ("p99", 7.88),
        ("distinct_count", 4),
    ],
)
def test_aggregates(how, expected):
    assert one_metric([2, 1, None, 8, 4], how) == pytest.approx(expected)


def test_rows_are_counted_without_a_column():
    assert one_metric([2, None, None], "count", None) == 3


@pytest.mark.parametrize("how", ["mean", "sum", "min", "median", "last", "p95"])
def test_bucket_without_a_number_has_no_value(how):
    assert np.isnan(one_metric([None, float("nan"), float("inf")], how))


def test_buckets_are_named_by_their_start_and_cut_half_open():
    warehouse = Rows("ts TIMESTAMPTZ, v DOUBLE", [(at(m), 1.0) for m in (-0.1, 0, 4.99, 5, 9, 10)])
    rows = aggregate(warehouse, "shop", BucketPlan("ts", FIVE), DAY, at(10))
    assert rows[["observed_at", "row_count"]].to_numpy().tolist() == [[at(0), 2], [at(5), 2]]
    assert rows["observed_at"].dtype == "datetime64[us, UTC]"


def test_times_before_the_origin_are_floored():
    old = pd.Timestamp("1969-12-31 23:59", tz="UTC")
    rows = aggregate(Rows("ts TIMESTAMPTZ, v DOUBLE", [(old, 1.0)]), "shop", BucketPlan("ts", FIVE), old - FIVE, DAY)
    assert rows["observed_at"].item() == pd.Timestamp("1969-12-31 23:55", tz="UTC")


def test_every_numeric_column_is_a_metric_by_default():
    columns = 'ts TIMESTAMPTZ, a INTEGER, "b c" DECIMAL(9,2), note VARCHAR, is_new BOOLEAN, region VARCHAR, value__text VARCHAR'
    warehouse = Rows(columns, [(DAY, 1, 2.5, "x", True, "eu", None)])
    rows = aggregate(warehouse, "shop", BucketPlan("ts", FIVE, dimensions=("region",)), DAY, at(5))
    assert rows["series"].tolist() == ["a{region=eu}", "b c{region=eu}"]
    assert rows["value"].tolist() == [1, 2.5]


def test_each_combination_of_dimensions_is_a_series():
    data = [(DAY, 1.0, "eu", 1), (DAY, 2.0, "eu", 2), (DAY, 3.0, None, 1), (at(1), 5.0, "eu", 1)]
    plan = BucketPlan("ts", FIVE, (MetricColumn("sales", "v", "sum"),), ("region", "tier"))
    rows = aggregate(Rows("ts TIMESTAMPTZ, v DOUBLE, region VARCHAR, tier INTEGER", data), "shop", plan, DAY, at(5))
    assert dict(zip(rows["series"], rows["value"], strict=True)) == {
        "sales{region=eu,tier=1}": 6,
        "sales{region=eu,tier=2}": 2,
        'sales{region="",tier=1}': 3,
    }
    assert rows["dimensions"].tolist()[-1] == {"region": "eu", "tier": "2"}


def test_a_metric_may_have_dimensions_of_its_own():
    data = [(DAY, 1.0, "eu", "web"), (DAY, 2.0, "eu", "app"), (at(1), 5.0, "us", "web"), (at(1), 5.0, "us", "web")]
    plan = BucketPlan(
        "ts",
        FIVE,
        (MetricColumn("sales", "v", "sum"), MetricColumn("orders", None, "count", ("channel",)), MetricColumn("largest", "v", "max", ())),
        ("region",),
    )
    warehouse = Rows("ts TIMESTAMPTZ, v DOUBLE, region VARCHAR, channel VARCHAR", data)
    rows = aggregate(warehouse, "shop", plan, DAY, at(5))
    assert dict(zip(rows["series"], rows["value"], strict=True)) == {
        "sales{region=eu}": 3,
        "sales{region=us}": 10,
        "orders{channel=app}": 1,
        "orders{channel=web}": 3,
        "largest": 5,
    }
    assert rows["dimensions"].tolist()[0] == {}
    waiting = Waiting(least=100, most=100)
    assert lifetimes(warehouse, "shop", plan, waiting, Silence(7, 1000), DAY, at(100)).series_count == 5
    pieces = list(windows(plan, DAY, at(100), 5, most=10))
    assert pieces[0] == (DAY, at(10)) and len(pieces) == 10


def test_a_dimension_of_a_metric_that_is_not_there_is_named():
    plan = BucketPlan("ts", FIVE, (MetricColumn("m", "v", "mean", ("regoin",)),))
    with pytest.raises(SourceError, match=r"shop: column 'regoin' is not in .* 'region'"):
        aggregate(Rows("ts TIMESTAMPTZ, v DOUBLE, region VARCHAR", [(DAY, 1.0, "eu")]), "shop", plan, DAY, at(5))


@pytest.mark.parametrize(
    ("where", "count", "total"),
    [
        ("not kind == 'a'", 2, 24),
        ("not kind in ['a']", 2, 24),
        ("not (kind == 'a' or v > 8)", 1, 8),
        ("kind == 'a'", 2, 3),
        ("kind != 'a'", 2, 24),
        ("v > 8", 2, 36),
        ("v >= 2 and not kind == 'b'", 2, 18),
        ("kind == 'a' or v == 8", 3, 11),
        ("kind in ['a', 'b'] and v < 8", 2, 3),
        ("kind not in ['a']", 2, 24),
        ("code == 7", 2, 17),
        ("code == '7'", 1, 1),
        ("kind == 'z'", 0, None),
        ("`odd ''name` == 'x'", 1, 20),
    ],
)
def test_where_says_which_rows_a_metric_is_made_of(where, count, total):
    """An empty cell matches nothing; a text that is no number is beyond every comparison with one."""
    given = [("a", 1.0, "7", None), ("a", 2.0, "x", None), ("b", 8.0, None, None), ("c", 16.0, "07", "y"), (None, 20.0, None, "x")]
    warehouse = Rows(
        "ts TIMESTAMPTZ, kind VARCHAR, v DOUBLE, code VARCHAR, \"odd ''name\" VARCHAR", [(at(k / 10), *row) for k, row in enumerate(given)]
    )
    metrics = (MetricColumn("n", None, "count", where=where), MetricColumn("sum", "v", "sum", where=where), MetricColumn("all", "v", "sum"))
    found = aggregate(warehouse, "shop", BucketPlan("ts", FIVE, metrics), DAY, at(5)).set_index("metric")["value"]
    assert (found["n"], None if np.isnan(found["sum"]) else found["sum"]) == (count, total)
    assert found["all"] == 47


def test_a_column_of_where_that_is_not_there_is_named():
    warehouse = Rows("ts TIMESTAMPTZ, v DOUBLE", [(at(0), 1.0)])
    with pytest.raises(SourceError, match="column 'kin' is not in the rows"):
        aggregate(warehouse, "shop", BucketPlan("ts", FIVE, (MetricColumn("n", None, "count", where="kin == 1"),)), DAY, at(5))


def test_equal_rows_are_rows():
    data = [(DAY, 10.0), (DAY, 10.0), (at(1), 10.0), (at(6), 1.0)]
    plan = BucketPlan("ts", FIVE, (MetricColumn("m", "v", "sum"),))
    rows = aggregate(Rows("ts TIMESTAMPTZ, v DOUBLE", data), "shop", plan, DAY, at(10))
    assert rows[["value", "row_count"]].to_numpy().tolist() == [[30, 3], [1, 1]]


def test_hostile_names_are_names():
    columns = 'ts TIMESTAMPTZ, "v""; DROP TABLE raw.shop; --" DOUBLE, "select" VARCHAR'
    plan = BucketPlan("ts", FIVE, (MetricColumn("a'b", 'v"; DROP TABLE raw.shop; --', "mean"),), ("select",))
    rows = aggregate(Rows(columns, [(DAY, 2.0, "'; --")]), "shop", plan, DAY, at(5))
    assert rows["series"].tolist() == ["a'b{select='; --}"]
    assert rows["value"].tolist() == [2]


def test_missing_column_is_named_with_its_nearest():
    warehouse = Rows("ts TIMESTAMPTZ, requests DOUBLE", [(DAY, 1.0)])
    with pytest.raises(SourceError, match=r"shop: column 'reqests' is not in .* 'requests'"):
        aggregate(warehouse, "shop", BucketPlan("ts", FIVE, (MetricColumn("m", "reqests"),)), DAY, at(5))


def test_text_in_a_metric_is_no_number():
    data = [(DAY, "7"), (at(1), "n/a"), (at(2), "9")]
    rows = aggregate(Rows("ts TIMESTAMPTZ, v VARCHAR", data), "shop", BucketPlan("ts", FIVE, (MetricColumn("m", "v"),)), DAY, at(5))
    assert rows["value"].tolist() == [8]


def test_days_are_cut_in_the_calendars_zone():
    hours = [(at(60 * h) + pd.Timedelta("80D") - pd.Timedelta("1h"), 1.0) for h in range(72)]  # from 27 March 23:00 UTC
    plan = BucketPlan("ts", timedelta(days=1), (MetricColumn("m", "v", "sum"),), calendar=Calendar(timezone="Europe/Berlin"))
    rows = aggregate(Rows("ts TIMESTAMPTZ, v DOUBLE", hours), "shop", plan, hours[0][0], DAY + pd.Timedelta("90D"))
    assert rows["value"].tolist() == [24, 23, 24, 1]
    assert rows["observed_at"].dt.strftime("%dT%H").tolist() == ["27T23", "28T23", "29T22", "30T22"]


def test_no_rows_give_an_empty_frame_with_the_same_columns():
    warehouse = Rows("ts TIMESTAMPTZ, v DOUBLE", [(DAY, 1.0)])
    plan = BucketPlan("ts", FIVE)
    full, empty = aggregate(warehouse, "shop", plan, DAY, at(5)), aggregate(warehouse, "shop", plan, at(5), at(10))
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    no_metric = aggregate(Rows("ts TIMESTAMPTZ, note VARCHAR", [(DAY, "x")]), "shop", plan, DAY, at(5))
    assert no_metric.dtypes.to_dict() == full.dtypes.to_dict()


def test_extent_is_the_oldest_and_newest_bucket():
    assert extent(Rows("ts TIMESTAMPTZ, v DOUBLE", [(at(7), 1.0), (at(23), 1.0)]), "shop", BucketPlan("ts", FIVE)) == (at(5), at(20))
    assert extent(Rows("ts TIMESTAMPTZ, v DOUBLE", []), "shop", BucketPlan("ts", FIVE)) is None


def test_windows_cut_between_buckets_and_cover_all():
    pieces = list(windows(BucketPlan("ts", FIVE), DAY, at(60), 2, most=10))
    assert pieces == [(at(0), at(25)), (at(25), at(50)), (at(50), at(60))]


def test_known_series_are_those_of_clean_series():
    warehouse = Rows("ts TIMESTAMPTZ, v DOUBLE", [])
    warehouse.connection.execute(
        "CREATE TABLE clean_series AS SELECT 'shop' AS source, 'm' AS series, 'm' AS metric, MAP {'a': 'b'} AS dimensions, "
        "make_timestamptz(1767744000000000 + i * 60000000) AS observed_at FROM range(3) AS r(i)"
    )
    known = known_series(warehouse, "shop")
    assert known[["series", "first_at"]].to_numpy().tolist() == [["m", DAY]]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-1e9, 1e9)), min_size=1, max_size=30), st.randoms())
@pytest.mark.soak
def test_sums_do_not_depend_on_the_order_of_rows(rows, order):
    plan = BucketPlan("ts", FIVE, (MetricColumn("s", "v", "sum"), MetricColumn("m", "v", "mean")))
    rows = list(dict.fromkeys(rows))
    shuffled = order.sample(rows, len(rows))
    one, other = (
        aggregate(Rows("ts TIMESTAMPTZ, v DOUBLE", [(at(m), v) for m, v in data]), "shop", plan, DAY, at(10)) for data in (rows, shuffled)
    )
    pd.testing.assert_frame_equal(one, other, check_exact=True)
