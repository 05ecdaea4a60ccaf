"""Every synthetic domain as an endless run: what holds for all of them, and what each of them claims about its series."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.generators import BaseGenerator, Generated, Generator
from smartflow_assets.core.generators.electricity import Electricity
from smartflow_assets.core.generators.finance import Finance
from smartflow_assets.core.generators.fraud import SCHEMES, Fraud
from smartflow_assets.core.generators.iot_sensors import IotSensors
from smartflow_assets.core.generators.kpi_sales import KpiSales
from smartflow_assets.core.generators.machine_health import MachineHealth
from smartflow_assets.core.generators.network_traffic import NetworkTraffic
from smartflow_assets.core.generators.random_streams import FIRST_MONDAY
from smartflow_assets.core.generators.series_domain import SeriesGenerator
from smartflow_assets.core.generators.server_traffic import ServerTraffic
from smartflow_assets.core.generators.stock_risk import StockRisk
from smartflow_assets.core.temporal.calendar import Calendar

pytestmark = pytest.mark.integration  # months of rows of twelve domains: no part of the loop of a working day

START = datetime(2026, 1, 7, tzinfo=UTC)
DOMAINS = [domain() for domain in get_args(get_args(Generator)[0])]
SERIES = [domain for domain in DOMAINS if isinstance(domain, SeriesGenerator)]
DAY, WEEK = timedelta(days=1), timedelta(days=7)
SEASONS = [  # domain, series, season that it claims
    ("web_traffic", "value", DAY),
    ("web_traffic", "value", WEEK),
    ("system_metrics", "io", DAY),
    ("cpu_usage", "cpu", DAY),
    ("server_traffic", "requests", DAY),
    ("server_traffic", "latency", DAY),
    ("network_traffic", "inbound", DAY),
    ("network_traffic", "outbound", DAY),
    ("electricity", "demand", DAY),
    ("electricity", "demand", WEEK),
    ("machine_health", "rpm", timedelta(hours=1)),
    ("machine_health", "vibration", DAY),
    ("iot_sensors", "temperature", DAY),
    ("iot_sensors", "battery", DAY),
    ("finance", "volume", DAY),
    ("stock_risk", "volume", WEEK),
    ("kpi_sales", "sales{region=north}", WEEK),
    ("kpi_sales", "orders{region=west}", WEEK),
]


def of(name: str) -> BaseGenerator:
    return next(domain for domain in DOMAINS if domain.type == name)


def series_of(frame: pd.DataFrame, series: str) -> pd.Series:
    """The values of a series by time."""
    metric, _, region = series.removesuffix("}").partition("{region=")
    own = frame[frame["region"] == region] if region else frame
    return own.set_index("timestamp")[metric]


def lengths(made: Generated) -> pd.Series:
    """Rows inside each label."""
    times = {series: series_of(made.frame, series).index for series in set(made.labels["series"])}
    assert all(index.is_monotonic_increasing for index in times.values())
    return pd.Series(
        [
            int(times[label.series].searchsorted(label.ended_at, "right") - times[label.series].searchsorted(label.started_at))
            for label in made.labels.itertuples()
        ],
        dtype=int,
    )


@cache
def made_of(domain: BaseGenerator, rate: float = 0.01) -> Generated:
    """A long stretch of the run of seed 4, made once for all tests that look at it."""
    return domain.stretch(START, START + 24_000 * domain.step, 4, rate)


def calm(domain: BaseGenerator, rows: int, seed: int = 1) -> pd.DataFrame:
    return domain.rows_from(START, rows, seed, anomaly_rate=0).frame


def test_there_are_twelve_domains_with_names_of_their_own():
    assert len({domain.type for domain in DOMAINS}) == len(DOMAINS) == 12


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.type)
class TestEveryDomain:
    def test_same_seed_gives_same_rows_and_another_seed_others(self, domain):
        one, two, other = made_of(domain).rows(None, 3000), domain.rows_from(START, 3000, 4), domain.rows_from(START, 3000, 2)
        for table in ("frame", "labels", "twin"):
            pd.testing.assert_frame_equal(getattr(one, table), getattr(two, table))
        for series in domain.bounds:
            assert not series_of(one.frame, series).equals(series_of(other.frame, series))

    def test_any_part_of_the_run_is_what_it_is_in_the_whole(self, domain):
        whole = made_of(domain)
        since, until = START + 2100 * domain.step, START + 2900 * domain.step
        part = domain.stretch(since, until, 4)
        inside = (whole.frame["timestamp"] >= since) & (whole.frame["timestamp"] < until)
        pd.testing.assert_frame_equal(part.frame, whole.frame[inside].reset_index(drop=True))
        pd.testing.assert_frame_equal(part.twin, whole.twin[inside].reset_index(drop=True))
        start, end = part.frame["timestamp"].iloc[[0, -1]]
        labels = whole.labels[(whole.labels["ended_at"] >= start) & (whole.labels["started_at"] <= end)].reset_index(drop=True)
        labels = labels.assign(started_at=labels["started_at"].clip(lower=start), ended_at=labels["ended_at"].clip(upper=end))
        pd.testing.assert_frame_equal(part.labels, labels)

    def test_the_first_and_the_last_rows_of_any_number(self, domain):
        more = made_of(domain).frame
        for rows in (0, 1, 7, 2500):
            first, last = domain.rows_from(START, rows, 4), domain.rows_until(START, rows, 4)
            assert (len(first.frame), len(last.frame), len(last.twin)) == (rows, rows, rows)
            pd.testing.assert_frame_equal(first.frame, more.iloc[:rows])
            assert (first.frame["timestamp"] >= START).all()
            assert (last.frame["timestamp"] < START).all()

    def test_a_step_is_there_once_it_is_over(self, domain):
        at = START + 0.5 * domain.step
        assert domain.rows_until(at, 1, 1).frame["timestamp"].iloc[0] < START
        assert domain.finished(at) == START

    def test_the_twin_differs_inside_every_label_and_nowhere_else(self, domain):
        made = made_of(domain)
        assert len(made.labels)
        for series in domain.bounds:
            changed = series_of(made.frame, series) != series_of(made.twin, series)
            labelled = np.zeros(len(changed), bool)
            for label in made.labels[made.labels["series"] == series].itertuples():
                inside = (changed.index >= label.started_at) & (changed.index <= label.ended_at)
                assert changed[inside].any()
                labelled |= inside
            assert not (changed & ~labelled).any()
        same = [column for column in made.frame if column not in {series.partition("{")[0] for series in domain.bounds}]
        if isinstance(domain, SeriesGenerator):
            pd.testing.assert_frame_equal(made.frame[same], made.twin[same])

    @pytest.mark.parametrize("rate", [0.01, 0.08])
    def test_the_share_of_anomalous_rows_is_what_was_asked(self, domain, rate):
        made = made_of(domain, rate)
        share = lengths(made).sum() / sum(len(series_of(made.frame, series)) for series in domain.bounds)
        assert 0.75 * rate < share < 1.3 * rate

    def test_events_are_of_1_to_60_rows_and_name_series_and_types(self, domain):
        made = made_of(domain, 0.08)
        assert lengths(made).between(1, 60).all()
        assert set(made.labels["series"]) == set(domain.bounds)
        assert made.labels["type"].nunique() >= 4
        assert (made.labels["size"] >= 0).all()

    def test_nothing_is_labelled_when_no_anomalies_are_wanted(self, domain):
        made = domain.rows_from(START, 2000, 1, anomaly_rate=0)
        assert made.labels.empty
        pd.testing.assert_frame_equal(made.frame, made.twin)

    def test_values_are_finite_and_keep_their_bounds(self, domain):
        frame = made_of(domain, 0.08).frame
        assert not frame.isna().any(axis=None)
        for series, bounds in domain.bounds.items():
            assert np.isfinite(series_of(frame, series)).all()
            assert series_of(frame, series).between(bounds.floor, bounds.ceiling).all()

    @pytest.mark.parametrize("step", [timedelta(seconds=30), timedelta(hours=1), timedelta(days=1)])
    def test_any_step(self, domain, step):
        frame = type(domain)(step=step).rows_from(START, 400, 1).frame
        assert len(frame) == 400
        assert frame["timestamp"].is_monotonic_increasing

    def test_no_step_before_1970_fails(self, domain):
        assert len(domain.rows_from(datetime(1969, 12, 30, tzinfo=UTC), 50, 1).frame) == 50


@pytest.mark.parametrize("domain", SERIES, ids=lambda domain: domain.type)
def test_times_are_even_and_on_the_grid_of_the_step(domain):
    frame = made_of(domain).frame[:5000]
    for series in domain.bounds:
        times = series_of(frame, series).index
        assert set(np.diff(times)) == {np.timedelta64(domain.step)}
        assert (times[0] - FIRST_MONDAY) % domain.step == timedelta(0)


@pytest.mark.parametrize("domain", SERIES, ids=lambda domain: domain.type)
def test_blocks_join_without_a_jump(domain):
    """No step over a boundary of blocks is larger than the steps inside them are."""
    seams = 12
    weeks = -(-2016 * domain.step // WEEK) * WEEK
    first = FIRST_MONDAY + (START - FIRST_MONDAY) // weeks * weeks
    frame = domain.stretch(first, first + seams * weeks, 5, anomaly_rate=0).frame
    for series in domain.bounds:
        steps = series_of(frame, series).diff().abs().dropna()
        at_seams = steps[(steps.index - FIRST_MONDAY) % weeks == timedelta(0)]
        assert len(at_seams) == seams - 1
        assert at_seams.max() <= steps.drop(at_seams.index).max()


@pytest.mark.parametrize(("name", "series", "season"), SEASONS)
def test_a_claimed_season_is_there(name, series, season):
    """The series resembles itself one season later, and less after half a season, or after three days of a week."""
    domain = of(name)
    frame = domain.stretch(START, START + max(28 * DAY, 600 * domain.step), 1, anomaly_rate=0).frame
    values, other = series_of(frame, series), 3 * DAY if season == WEEK else season / 2
    found, beside = values.autocorr(season // domain.step), values.autocorr(other // domain.step)
    assert found > 0.5
    assert found > beside + 0.05


def test_electricity_peaks_twice_a_day_rests_on_weekends_and_follows_the_temperature_of_the_year():
    frame = calm(Electricity(), 2 * 8766).set_index("timestamp")
    demand, local = frame["demand"], frame.index
    by_hour = demand[local.day_of_week < 5].groupby(local[local.day_of_week < 5].hour).mean()
    assert by_hour[8] > by_hour[13] < by_hour[19] > by_hour[3]
    assert demand[local.day_of_week >= 5].mean() < 0.95 * demand[local.day_of_week < 5].mean()
    by_month = frame.groupby(local.month).mean()
    assert by_month["temperature"].idxmax() in (7, 8)
    assert by_month["demand"].idxmax() in (12, 1, 2)
    assert frame["price"].corr(demand) > 0.7
    assert frame["temperature"].min() < 0


def test_machine_shakes_with_its_speed_stands_on_sundays_and_wears():
    frame = calm(MachineHealth(), 28 * 1440).set_index("timestamp")
    assert frame["vibration"].corr(frame["rpm"]) > 0.9
    assert 0.3 < frame["temperature"].corr(frame["rpm"]) < 0.95
    assert frame["rpm"][frame.index.day_of_week == 6].max() < 300
    fast = frame[frame["rpm"] > 2700]
    worn = ((fast.index - FIRST_MONDAY) / MachineHealth().maintenance) % 1
    assert fast["vibration"][worn > 0.8].mean() > 1.1 * fast["vibration"][worn < 0.2].mean()


def test_a_warm_greenhouse_is_dry():
    frame = calm(IotSensors(), 28 * 288)
    assert frame["temperature"].corr(frame["humidity"]) < -0.8


def test_a_busy_server_is_slow_and_a_full_line_loses_packets():
    server, network = calm(ServerTraffic(), 14 * 288), calm(NetworkTraffic(), 14 * 288)
    assert server["requests"].corr(server["latency"]) > 0.7
    assert server["error_rate"].mean() == pytest.approx(ServerTraffic().failing, rel=0.1)
    assert network["inbound"].corr(network["dropped"]) > 0.7
    assert network["inbound"].corr(network["connections"]) > 0.9


@pytest.mark.parametrize("domain", [Finance(), StockRisk()], ids=lambda domain: domain.type)
def test_prices_walk_and_their_volatility_clusters(domain):
    frame = calm(domain, 16_000).set_index("timestamp")
    returns = np.log(frame["price"]).diff().dropna()
    returns = returns[returns != 0]
    assert abs(returns.autocorr(1)) < 0.05
    assert returns.abs().rolling(50).mean().autocorr(50) > 0.2
    assert returns.abs().corr(frame["volume"]) > 0.15
    assert frame["price"].max() > 1.1 * frame["price"].min()


def test_a_closed_exchange_trades_nothing_and_risk_follows_volatility():
    frame = calm(StockRisk(), 24 * 70).set_index("timestamp")
    is_open = (frame.index.day_of_week < 5) & (frame.index.hour >= 9) & (frame.index.hour < 17)
    assert (frame["volume"] > 0).eq(is_open).all()
    assert (frame["price"].diff()[1:][~is_open[1:]] == 0).all()
    assert frame["value_at_risk"].corr(frame["volatility"]) > 0.9


def test_sales_fall_on_holidays_rise_in_campaigns_and_grow():
    frame = calm(KpiSales(), 3 * 3 * 365)
    assert list(frame.columns) == ["timestamp", "region", "campaign", "sales", "orders"]
    assert set(frame["campaign"]) == {"none", "newsletter", "discount"}
    north = frame[frame["region"] == "north"].set_index("timestamp")
    usual = north["sales"].rolling(29, center=True).median()
    weekday = (north["sales"] / usual).groupby(north.index.day_of_week).transform("median")
    relative = north["sales"] / usual / weekday
    is_holiday = Calendar(holidays="US").is_holiday(north.index)
    assert relative[is_holiday].median() < 0.75 < 0.9 < relative[~is_holiday].median()
    assert relative[north["campaign"] == "discount"].median() > 1.02 * relative[north["campaign"] == "none"].median()
    sizes = frame.groupby("region")["sales"].mean()
    assert sizes["north"] > sizes["south"] > sizes["west"]
    grown = KpiSales(growth=0.5).rows_from(START, 3 * 3 * 365, 1, 0).frame
    years = grown[grown["region"] == "north"].set_index("timestamp")["sales"].groupby(lambda at: (at - START).days // 365).mean()
    assert years[1] / years[0] == pytest.approx(1.5, rel=0.1)


def test_payments_come_when_people_are_awake_and_small_ones_by_upi():
    frame = calm(Fraud(), 14 * 720)
    by_hour = frame.groupby(frame["timestamp"].dt.hour).size()
    assert by_hour[19] > 4 * by_hour[3]
    assert set(frame["channel"]) == {"bank", "upi"}
    assert frame[frame["channel"] == "upi"]["amount"].median() < 0.6 * frame[frame["channel"] == "bank"]["amount"].median()
    assert frame["amount"].groupby(frame["account"]).median().std() > 200
    assert frame["timestamp"].is_unique


def test_each_fraudulent_payment_is_labelled_with_its_scheme():
    made = Fraud().rows_from(START, 60_000, 2, anomaly_rate=0.02)
    assert set(made.labels["type"]) == set(SCHEMES)
    rows = made.labels.merge(made.frame, left_on="started_at", right_on="timestamp")
    assert len(rows) == len(made.labels)
    by_scheme = rows.groupby("type")["amount"]
    assert by_scheme.max()["card_testing"] <= 15
    assert by_scheme.min()["account_takeover"] >= 90_000
    assert by_scheme.max()["mule_transfers"] < 50_000
    assert set(rows.loc[rows["type"] == "collect_scam", "channel"]) == {"upi"}
    assert rows[rows["type"] == "card_testing"].groupby("account").size().max() >= 8
