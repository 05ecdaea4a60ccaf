"""Which slice explains an anomaly, through real runs on rows in which the cause is planted."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from smartflow_assets.config.problems import InvalidFileError
from smartflow_assets.config.source_file import read_source
from smartflow_assets.stages import alerting, detection, ingestion, preparation
from smartflow_assets_tests.homes import START, Home, write_rows

DAYS = 30
AT = START + timedelta(days=29, hours=10)  # what is planted
RULES = [
    {"type": "threshold", "metric": "orders", "above": 90},
    {"type": "threshold", "name": "few", "metric": "orders", "below": 30},
    {"type": "threshold", "name": "much", "metric": "revenue", "above": 1500},
]
METRICS = [
    {"name": "orders", "aggregate": "count", "without_rows": "zero", "explain_by": ["region", "channel"]},
    {"name": "revenue", "column": "amount", "aggregate": "sum", "explain_by": ["region"]},
]


def orders(days: int = DAYS) -> pd.DataFrame:
    """60 orders of 10 an hour: 30 of EU, 20 of US, 10 of ASIA; of each two thirds by web."""
    hours = pd.date_range(START, periods=days * 24, freq="1h")
    one = pd.DataFrame({"region": ["EU"] * 30 + ["US"] * 20 + ["ASIA"] * 10, "channel": ["web", "web", "shop"] * 20, "amount": 10.0})
    rows = one.loc[np.tile(np.arange(60), len(hours))].reset_index(drop=True)
    times = hours.repeat(60) + pd.to_timedelta(np.tile(np.arange(60), len(hours)), unit="min")
    return rows.assign(at=times.strftime("%Y-%m-%dT%H:%M:%SZ"))


def with_more(rows: pd.DataFrame, region: str, channel: str, count: int, hour: pd.Timestamp = pd.Timestamp(AT)) -> pd.DataFrame:
    times = pd.date_range(hour, periods=count, freq="1s").strftime("%Y-%m-%dT%H:%M:%SZ")
    more = pd.DataFrame({"region": region, "channel": channel, "amount": 10.25, "at": times})
    return pd.concat([rows, more]).sort_values("at", kind="stable")


def make(folder: Path, rows: pd.DataFrame, metrics: list = METRICS, **more: object) -> Home:
    home = Home(folder)
    write_rows(home.settings.data / "examples" / "shop.csv", rows)
    rules = [rule for rule in RULES if rule["metric"] in {metric["name"] for metric in metrics}]
    home.write_source(
        "shop",
        yaml.safe_dump(
            {
                "name": "shop",
                "read": {"type": "csv", "path": "examples/shop.csv", "time": "at"},
                "time_bucket": {"every": "1h", "settle": "0s"},
                "metrics": metrics,
                "rules": rules,
            }
            | more
        ),
    )
    return home


def watch(home: Home, now: pd.Timestamp) -> None:
    """Without a model: rules tell what is strange here."""
    stages = [ingestion.raw_records, preparation.clean_series, preparation.rule_violations]
    home.run_stages("shop", now, [*stages, detection.anomaly_scores, detection.anomalies, alerting.incidents])


def anomaly(home: Home, series: str = "orders") -> pd.Series:
    return home.table("anomalies", f"series = '{series}' ORDER BY started_at").iloc[-1]


END = pd.Timestamp(START) + pd.Timedelta(days=DAYS)


@pytest.mark.soak
def test_the_planted_slice_explains_the_change_in_table_incident_and_words(tmp_path):
    home = make(tmp_path, with_more(with_more(orders(), "ASIA", "web", 80), "US", "shop", 20, pd.Timestamp(AT) + pd.Timedelta(minutes=5)))
    watch(home, END)
    found = anomaly(home)
    assert found["slices"] == {"region=ASIA": 0.8, "region=US": 0.2, "channel=web": 0.8, "channel=shop": 0.2}
    sentence = "Of the change, 80 % came from region=ASIA (usually 17 % of the whole), 80 % from channel=web (usually 67 % of the whole)."
    assert found["explanation"] == f"threshold: 160 is above 90. Tue 10:00 UTC; highest in 28 days. {sentence}"
    assert anomaly(home, "revenue")["slices"] == {"region=ASIA": 0.8, "region=US": 0.2}
    incident = home.table("incidents", "series = 'orders'")
    assert sentence in incident["body"].iloc[0]


@pytest.mark.soak
def test_a_loss_is_explained_by_what_is_gone(tmp_path):
    rows = orders()
    rows = rows[~(rows["at"].str.startswith(f"{AT:%Y-%m-%dT%H}") & rows["region"].isin(["EU", "ASIA"]))]
    home = make(tmp_path, rows, METRICS[:1])
    watch(home, END)
    found = anomaly(home)
    assert found["slices"] == {"region=EU": 0.75, "region=ASIA": 0.25, "channel=web": 0.65, "channel=shop": 0.35}
    assert "Of the change, 75 % came from region=EU (usually 50 % of the whole)" in found["explanation"]


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param((28, 29 + 10.5 / 24, 29 + 11.3 / 24, 30), id="four runs"),
        pytest.param((28, 29 + 10.5 / 24, 29 + 11 / 24, 29 + 11.3 / 24, 29.5, 30), id="six runs"),
    ],
)
@pytest.mark.soak
def test_the_cut_of_runs_does_not_matter(tmp_path, cuts):
    rows = with_more(orders(), "EU", "web", 100)
    rows = with_more(rows, "EU", "web", 60, pd.Timestamp(AT) + pd.Timedelta(hours=1))
    once = make(tmp_path / "once", rows)
    watch(once, END)
    often = make(tmp_path / "often", rows)
    for days in cuts:
        now = (pd.Timestamp(START) + pd.Timedelta(days=days)).round("1min")
        write_rows(often.settings.data / "examples" / "shop.csv", rows[rows["at"] < now.strftime("%Y-%m-%dT%H:%M:%SZ")])
        watch(often, now)
    whole, cut = (home.table("anomalies").drop(columns="run_id").sort_values("anomaly_id", ignore_index=True) for home in (once, often))
    pd.testing.assert_frame_equal(cut, whole, check_exact=True)
    assert anomaly(once)["point_count"] == 2 and anomaly(once)["slices"]["region=EU"] == 1.0


@pytest.mark.soak
def test_a_young_source_is_compared_with_the_days_before_and_one_without_any_says_nothing(tmp_path):
    hour = pd.Timestamp(START) + pd.Timedelta(days=4, hours=10)
    young = make(tmp_path / "young", with_more(orders(5), "US", "shop", 70, hour), METRICS[:1])
    watch(young, pd.Timestamp(START) + pd.Timedelta(days=5))
    assert anomaly(young)["slices"] == {"region=US": 1.0, "channel=shop": 1.0}
    first = make(tmp_path / "first", with_more(orders(1), "US", "shop", 70, pd.Timestamp(START) + pd.Timedelta(hours=10)), METRICS[:1])
    watch(first, pd.Timestamp(START) + pd.Timedelta(days=1))
    assert anomaly(first)["slices"] == {} and "Of the change" not in anomaly(first)["explanation"]


@pytest.mark.soak
def test_a_series_of_a_dimension_is_explained_by_its_own_rows_and_a_condition_holds(tmp_path):
    metric = {"name": "orders", "aggregate": "count", "dimensions": ["channel"], "where": "region != 'US'", "explain_by": ["region"]}
    rows = with_more(with_more(orders(), "ASIA", "web", 80), "US", "web", 500, pd.Timestamp(AT) + pd.Timedelta(minutes=5))
    home = make(tmp_path, rows, [metric], rules=RULES[:1])
    watch(home, END)
    assert anomaly(home, "orders{channel=web}")["slices"] == {"region=ASIA": 1.0}


@pytest.mark.soak
def test_exact_copies_count_each_by_itself_as_in_the_series(tmp_path):
    rows = with_more(orders(), "EU", "web", 100)
    copies = pd.concat([rows, rows[rows["at"].str.startswith(f"{AT:%Y-%m-%dT%H}") & (rows["region"] == "US")]])
    home = make(tmp_path, copies.sort_values("at", kind="stable"), METRICS[:1])
    watch(home, END)
    assert anomaly(home)["value"] == 180 and anomaly(home)["slices"]["region=US"] == pytest.approx(20 / 120, abs=1e-3)


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ({"name": "amount", "explain_by": ["region"]}, "explain_by: parts of a mean do not add up to it"),
        ({"name": "amount", "aggregate": "sum", "transform": "difference", "explain_by": ["region"]}, "a difference is a change already"),
        (
            {"name": "orders", "aggregate": "count", "dimensions": ["region"], "explain_by": ["region"]},
            "region, which is a dimension of it",
        ),
        ({"name": "orders", "aggregate": "count", "explain_by": ["at"]}, "at, which is the time column"),
    ],
)
def test_what_cannot_be_explained_is_refused_with_the_reason(tmp_path, metric, sentence):
    home = make(tmp_path, orders(1), [metric])
    with pytest.raises(InvalidFileError, match=sentence):
        read_source(home.settings.sources / "shop.yaml")
