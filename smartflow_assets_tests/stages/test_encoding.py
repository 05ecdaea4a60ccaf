"""Categories as numbers through real runs: learnt once, the same however runs cut the data, and named by metrics."""

from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml

from smartflow_assets.config.plan import compare
from smartflow_assets.core.errors import SourceError
from smartflow_assets.stages import encoding, preparation
from smartflow_assets.stages.bucket_resolution import made_under
from smartflow_assets.stages.run import SourceRun
from smartflow_assets_tests.homes import START, Home, stages_until, write_rows

ENCODE = {"channel": "one_hot", "tier": "ordinal", "merchant": "frequency"}
METRICS = [
    {"name": "web_share", "column": "channel__web", "aggregate": "mean"},
    {"name": "others", "column": "channel__other", "aggregate": "sum"},
    {"name": "highest_tier", "column": "tier__ordinal", "aggregate": "max"},
    {"name": "rarest", "column": "merchant__frequency", "aggregate": "min"},
    {"name": "amount", "aggregate": "sum"},
]
DAYS = 12
LEARNT = 7  # days


def payments(days: int = DAYS) -> pd.DataFrame:
    """A row each ten minutes; after the first week a channel and a merchant that nobody has seen."""
    chance = np.random.default_rng(2)
    times = pd.date_range(START, periods=days * 144, freq="10min")
    rows = pd.DataFrame(
        {
            "at": times.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "channel": chance.choice(["web", "app", "shop"], len(times), p=[0.6, 0.3, 0.1]),
            "tier": chance.choice(["2", "10", "1"], len(times)),
            "merchant": chance.choice(['Köln\'s "Kiosk"', "book, film", "bakery"], len(times), p=[0.7, 0.2, 0.1]),
            "category": "x",
            "amount": np.round(chance.lognormal(3, 1, len(times)), 2),
        }
    )
    rows.loc[20, ["channel", "merchant"]] = None
    rows.loc[9 * 144 : 9 * 144 + 2, ["channel", "tier", "merchant"]] = ["phone", "7", "casino"]
    return rows


def write_source(home: Home, encode: dict[str, str] = ENCODE, metrics: list | None = None, **more: object) -> None:
    home.write_source(
        "pay",
        yaml.safe_dump(
            {
                "name": "pay",
                "read": {"type": "csv", "path": "examples/pay.csv", "time": "at"},
                "encode": encode,
                "time_bucket": {"every": "1h", "settle": "0s"},
                "metrics": METRICS if metrics is None else metrics,
                **more,
            }
        ),
    )


def make(folder: Path, rows: pd.DataFrame | None = None, encode: dict[str, str] = ENCODE, metrics: list | None = None) -> Home:
    home = Home(folder)
    write_rows(home.settings.data / "examples" / "pay.csv", payments() if rows is None else rows)
    write_source(home, encode, metrics)
    return home


def run_of(home: Home, days: float = DAYS) -> SourceRun:
    return home.source_run("pay", START + timedelta(days=days), f"run {days}")


def clean(home: Home, days: float = DAYS) -> preparation.Cleaned:
    return home.run_stages("pay", START + timedelta(days=days), stages_until("clean_series"))["clean_series"]


def series(home: Home) -> pd.DataFrame:
    return home.table("clean_series").sort_values(["series", "observed_at"], ignore_index=True)


@pytest.fixture(scope="module")
def pay(tmp_path_factory) -> Home:
    home = make(tmp_path_factory.mktemp("pay"))
    clean(home)
    return home


def test_categories_are_learnt_from_the_first_week_and_kept(pay):
    learnt = pay.table("encodings").sort_values(["column_name", "place"])
    week = payments().iloc[: LEARNT * 144]
    assert set(learnt["learnt_from"]) == {pd.Timestamp(START)}
    assert set(learnt["learnt_to"]) == {pd.Timestamp(START) + pd.Timedelta(days=LEARNT)}
    assert learnt[learnt["column_name"] == "channel"]["encoded_column"].tolist() == [
        "channel__web",
        "channel__app",
        "channel__shop",
        "channel__empty",
    ]
    tier = learnt[learnt["column_name"] == "tier"]
    assert dict(zip(tier["category"], tier["code"], strict=True)) == {"1": 0, "2": 1, "10": 2}
    merchant = learnt[learnt["column_name"] == "merchant"].set_index("category")["code"]
    assert merchant["bakery"] == (week["merchant"] == "bakery").mean() and merchant[""] == 1 / len(week)


def test_metrics_are_made_of_encoded_columns(pay):
    rows = payments()
    hour = pd.to_datetime(rows["at"]).dt.floor("1h")
    expected = (rows["channel"] == "web").groupby(hour).mean()
    made = series(pay).set_index(["series", "observed_at"])["value"]
    np.testing.assert_allclose(made["web_share"], expected)
    late = pd.Timestamp(START) + pd.Timedelta(days=9)
    assert made["others", late] == 3  # never seen: other
    assert made["rarest", late] == 0
    assert made["highest_tier"].min() >= 0 and set(made["highest_tier"]) <= {0, 1, 2}
    assert sorted(set(pay.table("clean_series")["series"])) == sorted(metric["name"] for metric in METRICS)


def test_the_cut_of_runs_does_not_matter(tmp_path, pay):
    home = make(tmp_path)
    said = {days: clean(home, days) for days in (0.5, 2, 6.9, 7, 7.25, 9, 9.01, 9.1, 11, DAYS)}
    assert [days for days, cleaned in said.items() if "its categories are known now" in str(cleaned)] == [7]
    pd.testing.assert_frame_equal(series(home), series(pay), check_exact=True)
    once = home.table("encodings").drop(columns=["learnt_at", "run_id"])
    pd.testing.assert_frame_equal(once, pay.table("encodings").drop(columns=["learnt_at", "run_id"]))


def test_until_the_week_is_complete_encoded_metrics_have_no_rows_and_others_do(tmp_path):
    home = make(tmp_path)
    clean(home, 6.9)
    assert set(home.table("clean_series")["series"]) == {"amount"} and home.count("encodings") == 0


def test_what_was_learnt_stays_when_rows_come_late(tmp_path):
    rows = payments()
    home = make(tmp_path, rows.drop(index=range(100, 300)))
    clean(home)
    before = home.table("encodings")
    write_rows(home.settings.data / "examples" / "pay.csv", rows)
    clean(home)
    pd.testing.assert_frame_equal(home.table("encodings"), before)


def test_a_changed_encoding_is_said_and_learnt_anew(tmp_path, pay):
    home = make(tmp_path)
    clean(home)
    before = series(home)
    write_source(
        home,
        ENCODE | {"tier": "frequency"},
        [m for m in METRICS if m["name"] != "highest_tier"] + [{"name": "highest_tier", "column": "tier__frequency", "aggregate": "max"}],
    )
    plan = compare(run_of(home).source, rows_made_under=made_under(home.warehouse, "pay"))
    assert plan.effect == "rebuild" and "encode.tier: ordinal -> frequency (rows are made anew)" in map(str, plan.changes)
    assert "because the configuration changed" in str(clean(home))
    assert set(home.table("encodings", "column_name = 'tier'")["encoding"]) == {"frequency"}
    after = series(home)
    is_tier = after["series"] == "highest_tier"
    assert (after[is_tier]["value"] != before[is_tier]["value"]).all()
    pd.testing.assert_frame_equal(after[~is_tier], before[~is_tier], check_exact=True)
    write_source(home, {}, [METRICS[-1]])
    clean(home)
    assert home.count("encodings") == 0


def test_columns_of_any_name_and_type_are_encoded(tmp_path):
    """Here they are numbers in a Parquet file, and called like the columns that are asked for in SQL."""
    rows = payments()
    kinds = np.arange(len(rows)) % 4
    frame = pd.DataFrame({"at": pd.to_datetime(rows["at"]), "category": kinds, "learnt": kinds % 2 == 0, "code": rows["tier"], "n": 1.5})
    home = Home(tmp_path)
    (home.settings.data / "examples").mkdir(exist_ok=True)
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        connection.execute(f"COPY (SELECT * FROM frame) TO '{home.settings.data / 'examples' / 'pay.parquet'}'")
    home.write_source(
        "pay",
        yaml.safe_dump(
            {
                "name": "pay",
                "read": {"type": "parquet", "path": "examples/pay.parquet", "time": "at"},
                "time_bucket": {"every": "1h"},
                "encode": {"category": "frequency", "learnt": "one_hot", "code": "ordinal"},
                "metrics": [
                    {"name": "a", "column": "category__frequency"},
                    {"name": "b", "column": "code__ordinal", "aggregate": "max"},
                    {"name": "c", "column": "learnt__true"},
                ],
            }
        ),
    )
    clean(home)
    made = series(home).groupby("series")["value"]
    assert made.max().to_dict() == pytest.approx({"a": 0.25, "b": 2, "c": 0.5})
    record = next(encoding.encoded_records(run_of(home), START, START + timedelta(days=1)))
    assert list(record.columns[3:]) == ["n", "category__frequency", "code__ordinal", "learnt__false", "learnt__true", "learnt__other"]


def test_equal_rows_are_rows_in_encoded_metrics_too(tmp_path):
    rows = payments()
    home = make(
        tmp_path,
        pd.concat([rows, rows.iloc[1000:1004]], ignore_index=True),
        metrics=[{"name": "web", "column": "channel__web", "aggregate": "sum"}],
    )
    plain = make(tmp_path / "plain", rows, metrics=[{"name": "web", "column": "channel__web", "aggregate": "sum"}])
    for each in (home, plain):
        clean(each)
    again = int((rows.iloc[1000:1004]["channel"] == "web").sum())
    assert again > 0
    assert series(home)["value"].sum() == series(plain)["value"].sum() + again


def test_no_encoded_column_is_a_metric_unless_it_is_named(tmp_path):
    home = make(tmp_path, metrics=[])
    clean(home)
    assert set(home.table("clean_series")["series"]) == {"amount"}  # tier is a category, though it looks like a number


def test_records_come_as_numbers_in_bounded_frames(pay):
    run = run_of(pay)
    since, until = START + timedelta(days=8), START + timedelta(days=10)
    frames = list(encoding.encoded_records(run, since, until, most_rows=100))
    assert [len(frame) for frame in frames] == [100, 100, 88]
    whole = pd.concat(frames, ignore_index=True)
    names = [
        "amount",
        "channel__web",
        "channel__app",
        "channel__shop",
        "channel__empty",
        "channel__other",
        "merchant__frequency",
        "tier__ordinal",
    ]
    assert list(whole.columns) == ["happened_at", "_origin", "_row", *names]
    assert whole[names].dtypes.eq(float).all() and whole[names].notna().all(axis=None)
    raw = payments().iloc[8 * 144 : 10 * 144].reset_index(drop=True)
    np.testing.assert_array_equal(whole["amount"], raw["amount"])
    np.testing.assert_array_equal(whole["channel__app"], (raw["channel"] == "app").astype(float))
    np.testing.assert_array_equal(whole["tier__ordinal"], raw["tier"].map({"1": 0, "2": 1, "10": 2, "7": -1}))
    assert (whole.filter(like="channel__").sum(axis=1) == 1).all()
    assert whole.loc[144:146, "merchant__frequency"].tolist() == [0, 0, 0]
    at_once = next(encoding.encoded_records(run, since, until))
    pd.testing.assert_frame_equal(at_once, whole)


def test_records_are_none_before_anything_is_learnt(tmp_path):
    home = make(tmp_path)
    clean(home, 3)
    assert list(encoding.encoded_records(run_of(home, 3), START, START + timedelta(days=3))) == []


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        (
            "chanel",
            None,
            r"pay: there is no column 'chanel', which encode names; .* \(.*pay.csv\). Did you mean 'channel'\? Correct encode",
        ),
        (
            "amount",
            None,
            r"pay: encode: column 'amount' holds measured numbers such as \d+\.\d+, not categories \(.*\). Take it out of encode",
        ),
        ("tier", "", r"pay: encode: column 'tier' is empty in all of the first 1008 rows \(.*line \d+\). Mend the feed, or take it out"),
        ("tier", "NaN", r"pay: encode: column 'tier' is empty in all of the first 1008 rows"),
        ("merchant", "id", r"pay: encode: column 'merchant' has 1008 different values in 1008 rows: it names rows, it has no categories"),
    ],
)
def test_what_is_no_category_is_refused_in_one_line(tmp_path, column, values, said):
    rows = payments()
    if values is not None:
        rows[column] = [f"m{k}" for k in range(len(rows))] if values == "id" else values
    home = make(tmp_path, rows, {column: "frequency"}, [])
    with pytest.raises(SourceError, match=said) as error:
        clean(home)
    assert "\n" not in str(error.value)


def test_many_categories_are_limited_with_a_note(tmp_path, caplog):
    rows = payments().assign(channel=[f"c{k % 57 if k % 2 else 1:02}" for k in range(DAYS * 144)])
    home = make(
        tmp_path,
        rows,
        {"channel": "one_hot"},
        [
            {"name": "one", "column": "channel__c01", "aggregate": "sum"},
            {"name": "rest", "column": "channel__other", "aggregate": "mean"},
            {"name": "unknown", "column": "channel__c99", "aggregate": "sum"},
        ],
    )
    clean(home)
    assert home.count("encodings") == 20
    assert "pay: encode: channel has 57 categories; the 20 most frequent are told apart, the others share channel__other" in caplog.text
    assert "metrics name channel__c99, which is none of the categories learnt: it is 0 until such a row comes" in caplog.text
    made = series(home).set_index(["series", "observed_at"])["value"]
    assert made["one"].min() >= 2 and 0 < made["rest"].mean() < 1 and (made["unknown"] == 0).all()
