"""What raw rows are like, hour by hour: counted as pandas counts, the same however runs cut them, judged by their past, told once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.stages import alerting, contracts, detection, ingestion, modelling, preparation, profile
from smartflow_assets_tests.homes import Home, write_rows

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS = 37
STAGES = (ingestion.raw_records, contracts.schema_checks, profile.data_profile, detection.anomalies, alerting.incidents)
SHOP = """
name: shop
read: {type: csv, path: examples/shop.csv, time: at}
metrics: [{name: amount}]
time_bucket: {every: 15min, settle: 0s}
alerts: {to: [file], max_age: 3650 days}
"""


def rows(days: int = DAYS, an_hour: int = 12) -> pd.DataFrame:
    """Some rows in each hour, more by day; amounts, fees and three kinds."""
    rng = np.random.default_rng(3)
    count = days * 24 * an_hour
    at = pd.date_range(BEGIN, periods=count, freq=HOUR / an_hour)
    frame = pd.DataFrame(
        {
            "at": at,
            "amount": rng.lognormal(3, 0.4, count).round(2),
            "fee": rng.normal(5, 1, count).round(2),
            "kind": rng.choice(["a", "b", "c"], count, p=[0.6, 0.3, 0.1]),
        }
    )
    is_by_night = (at.hour < 7) | (at.hour >= 20)
    return frame[~is_by_night | (np.arange(count) % 3 == 0)].reset_index(drop=True)


def on_day(frame: pd.DataFrame, day: int) -> pd.Series:
    start = BEGIN + day * DAY
    return (frame["at"] >= start) & (frame["at"] < start + DAY)


def with_faults() -> pd.DataFrame:
    """Half the rows of day 30, a fifth of the fees missing on day 32, and a kind that nobody knows on day 34."""
    frame = rows()
    rng = np.random.default_rng(4)
    frame.loc[on_day(frame, 32) & (rng.uniform(size=len(frame)) < 0.2), "fee"] = np.nan
    frame.loc[on_day(frame, 34) & (rng.uniform(size=len(frame)) < 0.3), "kind"] = "gold"
    return frame[~on_day(frame, 30) | (np.arange(len(frame)) % 2 == 0)].reset_index(drop=True)


def write(home: Home, frame: pd.DataFrame) -> None:
    told = frame.assign(at=pd.to_datetime(frame["at"]).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    write_rows(home.settings.data / "examples/shop.csv", told)


def watch(home: Home, frame: pd.DataFrame, *, stages: Sequence = STAGES, text: str = SHOP, run_id: str = "run") -> dict:
    """A run an hour after the newest row."""
    home.write_source("shop", text)
    write(home, frame)
    return home.run_stages("shop", frame["at"].max().to_pydatetime() + HOUR, stages, run_id=run_id)


def figures(home: Home, where: str = "metric <> 'delay'") -> pd.DataFrame:
    """What must not depend on the cut of runs."""
    return home.table("profile_series", f"{where} ORDER BY series, observed_at").reset_index(drop=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("shop"))
    watch(home, with_faults())
    return home


def test_half_the_rows_a_burst_of_nulls_and_a_new_category_are_one_incident_each(shop: Home):
    incidents = shop.table("incidents", "group_id IS NULL ORDER BY opened_at")
    assert incidents["cause"].tolist() == ["volume", "profile", "profile"]
    days = [(at - pd.Timestamp(BEGIN)).days for at in incidents["opened_at"]]
    assert days == [30, 32, 34] and set(incidents["state"]) == {"resolved"}
    rows_title, nulls_title, kind_title = incidents["title"]
    assert "half the usual rows" in rows_title and "are usual" in rows_title
    assert "% of fee are missing" in nulls_title and "% of kind are gold" in kind_title
    assert len(shop.table("alert_sends", "event = 'opened' AND status = 'planned'")) == 3


def test_an_anomaly_says_who_found_it_and_lasts_as_long_as_it_does(shop: Home):
    nulls = shop.table("anomalies", "series = 'null_share(fee)' ORDER BY started_at")
    assert nulls["detectors"].map(list).tolist() == [["profile"]] * len(nulls) and set(nulls["severity"]) == {"warning"}
    assert nulls["started_at"].iloc[0] < BEGIN + 32 * DAY + 8 * HOUR and nulls["ended_at"].iloc[-1] <= BEGIN + 33 * DAY


@pytest.mark.soak
def test_runs_that_cut_the_rows_otherwise_leave_equal_tables(shop: Home, tmp_path: Path):
    other, whole = Home(tmp_path), with_faults()
    for day in (11, 30.3, 30.6, 32.52, 33, DAYS):
        watch(other, whole[whole["at"] < BEGIN + day * DAY], run_id=f"until {day}")
    pd.testing.assert_frame_equal(figures(other), figures(shop))
    for table, key in (("anomalies", "anomaly_id"), ("incidents", "incident_id")):
        found, expected = (home.table(table, f"TRUE ORDER BY {key}").drop(columns="run_id", errors="ignore") for home in (other, shop))
        pd.testing.assert_frame_equal(found, expected)


def test_rows_that_come_late_have_their_hours_counted_anew(tmp_path: Path):
    home, whole = Home(tmp_path), rows(4)
    late = on_day(whole, 1) & (whole["at"].dt.hour == 9)
    stages = STAGES[:3]
    assert watch(home, whole[~late], stages=stages)["data_profile"].figure_count
    at = BEGIN + DAY + 9 * HOUR
    empty = figures(home, f"observed_at = '{at.isoformat()}'")
    assert empty[["series", "value"]].to_numpy().tolist() == [["row_count", 0.0]]
    again = watch(home, whole, stages=stages, run_id="late")["data_profile"]
    assert figures(home, f"observed_at = '{at.isoformat()}' AND metric = 'row_count'")["value"].tolist() == [12]
    assert 0 < again.figure_count < 60
    at_once = Home(tmp_path / "at once")
    watch(at_once, whole, stages=stages)
    pd.testing.assert_frame_equal(figures(home), figures(at_once))


def test_an_hour_is_counted_when_it_is_over_and_not_before(tmp_path: Path):
    home, whole = Home(tmp_path), rows(2)
    half = whole[whole["at"] < BEGIN + DAY + 9.5 * HOUR]
    watch(home, half, stages=STAGES[:3])
    newest = "SELECT max(observed_at) AS at FROM profile_series"
    assert home.warehouse.read(newest)["at"].iloc[0] == BEGIN + DAY + 8 * HOUR  # rows up to 9:25, whatever the clock says
    before = len(home.table("writes"))
    assert home.run_stages("shop", BEGIN + 3 * DAY, STAGES[2:3])["data_profile"].figure_count == 0
    assert len(home.table("writes")) == before
    watch(home, whole, stages=STAGES[:3])
    assert home.warehouse.read(newest)["at"].iloc[0] == BEGIN + DAY + 23 * HOUR


def test_rows_of_a_load_that_the_contract_blocks_are_counted_too(tmp_path: Path):
    home, whole = Home(tmp_path), rows(3)
    text = f"{SHOP}contract: {{columns: {{fee: {{max: 100, severity: critical}}}}}}\n"
    watch(home, whole[~on_day(whole, 2)], stages=STAGES[:3], text=text)
    bad = whole.assign(fee=whole["fee"].mask(on_day(whole, 2), 1e6))
    asked = watch(home, bad, stages=STAGES[:3], text=text, run_id="bad")
    assert len(asked["schema_checks"].blocked) == 1
    noon = BEGIN + 2 * DAY + 12 * HOUR
    found = figures(home, f"observed_at = '{noon.isoformat()}'").set_index("series")["value"]
    assert (found["row_count"], found["mean(fee)"]) == (12, 1e6)


def test_what_a_metric_says_already_is_drawn_and_not_judged(shop: Home):
    assert shop.count("profile_series", "metric = 'mean(amount)' AND state IS NOT NULL") == 0
    assert shop.count("profile_series", "metric IN ('mean(fee)', 'row_count') AND state = 'scored'") > 0


@pytest.mark.soak
def test_half_the_rows_are_found_and_told_once_where_a_metric_counts_them_too(tmp_path: Path):
    home, frame = Home(tmp_path), with_faults()
    everything = (*STAGES[:3], preparation.clean_series, preparation.rule_violations, modelling.trained_models, detection.anomaly_scores)
    text = SHOP.replace("{name: amount}", "{name: payments, aggregate: count, without_rows: zero}")
    watch(home, frame[frame["at"] < BEGIN + 31 * DAY], stages=(*everything, *STAGES[3:]), text=text)
    incidents = home.table("incidents", f"opened_at >= '{(BEGIN + 30 * DAY).isoformat()}' ORDER BY opened_at")
    assert "volume" in set(incidents["cause"]) and incidents["group_id"].isna().sum() == 1


@pytest.mark.soak
def test_half_the_rows_is_one_matter_with_what_a_metric_says_of_it(tmp_path: Path):
    frame = with_faults()
    frame = frame[frame["at"] < BEGIN + 31 * DAY]
    everything = (*STAGES[:3], preparation.clean_series, preparation.rule_violations, modelling.trained_models, detection.anomaly_scores)
    home = Home(tmp_path)
    rule = "rules: [{type: threshold, metric: amount, below: 120}]\n"
    text = SHOP.replace("{name: amount}", "{name: amount, aggregate: sum, direction: drop}") + rule
    frame.loc[frame["at"] < BEGIN + 30 * DAY, "amount"] += 400
    watch(home, frame, stages=(*everything, *STAGES[3:]), text=text)
    incidents = home.table("incidents", f"opened_at >= '{(BEGIN + 30 * DAY).isoformat()}' ORDER BY opened_at")
    assert set(incidents["cause"]) == {"anomaly", "volume"} and incidents["group_id"].isna().sum() == 1
    assert incidents.loc[incidents["group_id"].isna(), "cause"].item() == "anomaly"


def test_less_than_four_weeks_are_judged_by_nobody(tmp_path: Path):
    home = Home(tmp_path)
    watch(home, rows(27), stages=STAGES[:3])
    assert home.count("profile_series", "state IS NOT NULL OR is_anomaly") == 0


def test_the_budget_on_columns_is_said_when_it_cuts_and_sensitive_ones_are_left_out(tmp_path: Path):
    home = Home(tmp_path)
    text = f"{SHOP}profile: {{columns: 1, categories: 2}}\ncontract: {{columns: {{fee: {{sensitive: true}}}}}}\n"
    said = watch(home, rows(2), stages=STAGES[:3], text=text)["data_profile"].left_out
    assert said == "1 of 2 columns are not profiled (kind): `profile: {columns: 2}` takes them in"
    assert set(home.table("profile_series")["metric"].str.extract(r"\((.*)\)")[0].dropna()) == {"amount"}
    text = text.replace("columns: 1", "columns: 5")
    said = watch(home, rows(2), stages=STAGES[:3], text=text, run_id="wider")["data_profile"].left_out
    assert said == "categories are judged only in buckets with at most 2 of them, where a column has at most 4 in all: kind may have more"
    assert home.count("profile_series", "metric = 'null_share(kind)'") == 48


def test_columns_may_be_left_out(tmp_path: Path):
    home, text = Home(tmp_path), f"{SHOP}profile: {{leave_out: [Fee, gone]}}\n"
    watch(home, rows(2), stages=STAGES[:3])
    watch(home, rows(2), stages=STAGES[:3], text=text, run_id="without")
    assert set(home.table("profile_series")["metric"].str.extract(r"\((.*)\)")[0].dropna()) == {"amount", "kind"}


def test_ids_are_no_categories(tmp_path: Path):
    """An hour has few of them, and sixty per cent of the rows have none."""
    home, frame = Home(tmp_path), rows(30)
    rng = np.random.default_rng(5)
    numbers = pd.Series(rng.integers(10**7, 10**8, len(frame)).astype(str)).mask(rng.uniform(size=len(frame)) < 0.6)
    frame["card_no"] = "no " + numbers
    watch(home, frame)
    assert home.count("incidents") == 0
    shares = home.table("profile_series", "metric = 'category_share(card_no)'")
    assert shares["state"].isna().all() and shares["value"].min() >= 0.5  # of one or two: of more that are all different there are none


@pytest.mark.soak
def test_a_source_that_is_profiled_no_more_keeps_no_figure_and_no_open_incident(tmp_path: Path):
    home, frame = Home(tmp_path), with_faults()
    frame = frame[frame["at"] < BEGIN + 32.5 * DAY]
    watch(home, frame)
    assert home.count("incidents", "state = 'open' AND cause = 'profile'") == 1
    home.write_source("shop", SHOP + "profile: off\n")
    home.run_stages("shop", BEGIN + 33 * DAY, STAGES, run_id="off")
    assert home.count("profile_series") == 0 and home.count("incidents", "state = 'open' AND cause <> 'freshness'") == 0


MOMENTS = st.integers(0, 3 * 86_400 - 1)
ROW = st.tuples(MOMENTS, st.sampled_from([None, 1.0, 2.5, -3.0, 7.0]), st.sampled_from([None, "x", "y", "z", "long" * 20]))


@pytest.mark.soak
@settings(max_examples=8, deadline=None)
@given(loads=st.lists(st.lists(ROW, min_size=1, max_size=25), min_size=1, max_size=3))
def test_figures_are_those_of_a_model_in_pandas_whatever_comes_when(tmp_path_factory: pytest.TempPathFactory, loads: list[list[tuple]]):
    home = Home(tmp_path_factory.mktemp("storm"))
    home.write_source("shop", SHOP.replace("{name: amount}", "{name: fee}"))
    known = pd.DataFrame([(0, 1.0, "x"), (3 * 86_400, 1.0, "x")], columns=["second", "fee", "kind"])
    for number, load in enumerate(loads):
        known = pd.concat([known, pd.DataFrame(load, columns=["second", "fee", "kind"])], ignore_index=True)
        frame = known.assign(at=pd.Timestamp(BEGIN) + pd.to_timedelta(known["second"], unit="s")).sort_values("at")
        write(home, frame[["at", "fee", "kind"]])
        home.run_stages("shop", BEGIN + 4 * DAY, STAGES[:3], run_id=f"load {number}")
    found = figures(home).set_index(["series", "observed_at"])["value"].to_dict()
    expected = modelled(frame)
    assert found.keys() == expected.keys()
    assert all(found[key] == pytest.approx(value, abs=1e-9) for key, value in expected.items())


def modelled(frame: pd.DataFrame) -> dict[tuple[str, Any], float]:
    """The figures of the first three days."""
    frame = frame[frame["second"] < 3 * 86_400].assign(hour=frame["at"].dt.floor("1h"))
    hours = pd.date_range(BEGIN, periods=72, freq="1h")
    found: dict[tuple[str, Any], float] = {
        ("row_count", hour): float(count) for hour, count in frame.groupby("hour").size().reindex(hours, fill_value=0).items()
    }
    for hour, own in frame.groupby("hour"):
        for name in ("fee", "kind"):
            found[f"null_share({name})", hour] = own[name].isna().mean()
            found[f"distinct_count({name})", hour] = own[name].nunique()
        if len(values := own["fee"].dropna()):
            found["mean(fee)", hour] = values.mean()
            found["spread(fee)", hour] = values.quantile(0.75) - values.quantile(0.25)
            found["min(fee)", hour], found["max(fee)", hour] = values.min(), values.max()
        kinds = own["kind"].dropna()
        if kinds.str.len().max() < 60 and (kinds.nunique() <= 2 or kinds.nunique() <= 0.9 * len(kinds)):
            for kind, share in kinds.value_counts(normalize=True).items():
                found[f"category_share(kind){{kind={kind}}}", hour] = share
    return found
