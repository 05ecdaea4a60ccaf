"""Features: known values, no look ahead, and the same bits however rows are cut."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.core.preparation.features import FEATURES, compute, lookback
from smartflow_assets.core.temporal.calendar import Calendar

FIVE, HOUR, DAY = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
START = pd.Timestamp("2026-03-18", tz="UTC")


def series(values: np.ndarray, step: timedelta = HOUR, start: pd.Timestamp = START, name: str = "m") -> pd.DataFrame:
    return pd.DataFrame({"series": name, "observed_at": pd.date_range(start, periods=len(values), freq=step, unit="us"), "value": values})


def noisy(rows: int, seed: int = 0, missing: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = 100 + 30 * np.sin(np.arange(rows) * 2 * np.pi / 24) + rng.normal(0, 3, rows)
    return np.where(rng.random(rows) < missing, np.nan, values)


def last(values: np.ndarray | list[float], step: timedelta = HOUR, **calendar) -> pd.Series:
    return compute(series(np.asarray(values, float), step), step=step, calendar=Calendar(**calendar)).iloc[-1]


def test_rolling_windows_end_before_the_row():
    row = last([*range(1, 13), 1000])
    assert (row["rolling_mean_short"], row["rolling_median_short"]) == (6.5, 6.5)
    assert row["rolling_std_short"] == pytest.approx(np.std(range(1, 13), ddof=1))


def test_missing_values_are_left_out_of_windows():
    row = last([5, np.nan, 7, 1])
    assert (row["rolling_mean_short"], row["rolling_median_short"], row["difference"]) == (6, 6, -6)
    assert np.isnan(row["lag_2"])


def test_lags_and_differences():
    row = last(np.arange(24 * 7 + 1) ** 2)
    at = 24 * 7
    for name, rows in {"lag_1": 1, "lag_2": 2, "lag_3": 3, "lag_day": 24, "lag_week": at}.items():
        assert row[name] == (at - rows) ** 2
    assert row["difference"] == at**2 - (at - 1) ** 2
    assert row["difference_short"] == at**2 - (at - 12) ** 2


def test_ratio_to_the_median_of_the_day_before():
    assert last([4.0] * 24 + [10.0])["ratio_to_median"] == 2.5
    assert np.isnan(last([0.0] * 24 + [10.0])["ratio_to_median"])


def test_seasonal_residual_is_what_leaves_the_season_at_todays_level():
    day = np.arange(24.0)
    history = np.tile(day, 8)
    assert last([*history, *day[:20] + 50, day[20] + 57])["seasonal_residual"] == 7


def test_same_time_of_day_is_local_across_a_change_of_the_clock():
    frame = series(np.zeros(24 * 14), start=pd.Timestamp("2026-03-22", tz="UTC"))
    local = frame["observed_at"].dt.tz_convert("Europe/Berlin")
    frame["value"] = local.dt.hour.astype(float)
    monday_nine = compute(frame, step=HOUR, calendar=Calendar(timezone="Europe/Berlin"))[(local == "2026-03-30 09:00:00+02:00").to_numpy()]
    assert monday_nine[["lag_day", "lag_week"]].to_numpy().tolist() == [[9, 9]]
    assert monday_nine["seasonal_residual"].item() == 0


def test_calendar_features_are_local():
    frame = series(np.zeros(1), start=pd.Timestamp("2026-07-03T22:00Z"))  # Saturday midnight in Berlin; four in New York's afternoon
    berlin, new_york = (
        compute(frame, step=HOUR, calendar=Calendar(timezone=zone, holidays="US")).iloc[0] for zone in ("Europe/Berlin", "America/New_York")
    )
    assert (berlin["hour_sin"], berlin["hour_cos"], berlin["is_weekend"]) == (0, 1, 1)
    assert (new_york["is_weekend"], new_york["is_holiday"]) == (0, 1)  # the Friday on which the 4th is observed
    assert np.hypot(berlin["month_sin"], berlin["month_cos"]) == pytest.approx(1)


def test_daily_buckets_look_back_by_weeks():
    row = last(np.tile(np.arange(7.0), 9), DAY, timezone="America/New_York")
    assert (row["lag_day"], row["lag_week"]) == (5, 6)
    assert row["seasonal_residual"] == 0


@pytest.mark.parametrize("step", [timedelta(seconds=10), timedelta(minutes=7), timedelta(days=7)])
def test_steps_without_a_season_have_the_other_features(step):
    row = last(noisy(50, missing=0), step)
    assert np.isnan(row["seasonal_residual"])
    assert np.isfinite(row[["rolling_mean_short", "rolling_std_long", "lag_1", "hour_sin"]].astype(float)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 400), st.integers(0, 5), st.sampled_from(["UTC", "Europe/Berlin"]))
def test_no_feature_looks_ahead(at, seed, zone):
    calendar, values = Calendar(timezone=zone), noisy(401, seed)
    other = values.copy()
    other[at + 1 :] = np.random.default_rng(seed + 99).normal(0, 1e6, 400 - at)
    one, two = (compute(series(v), step=HOUR, calendar=calendar).iloc[: at + 1] for v in (values, other))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


STEPS = {FIVE: 5000, HOUR: 900, DAY: 200, timedelta(minutes=7): 900}


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(list(STEPS)), st.floats(0, 1), st.integers(1, 40), st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]))
def test_features_do_not_depend_on_how_rows_are_cut(step, share, length, zone):
    calendar = Calendar(timezone=zone)
    frame = series(noisy(STEPS[step]), step)
    since = frame["observed_at"][int(share * (len(frame) - 1))]
    until = since + length * step
    whole = compute(frame, step=step, calendar=calendar)
    seen = frame[(frame["observed_at"] >= since - lookback(step)) & (frame["observed_at"] < until)]
    cut = compute(seen, step=step, calendar=calendar)
    wanted = [rows[(rows["observed_at"] >= since) & (rows["observed_at"] < until)] for rows in (whole, cut)]
    pd.testing.assert_frame_equal(*wanted, check_exact=True)


def test_series_are_computed_apart_and_input_order_is_kept():
    both = pd.concat([series(noisy(200, 1), name="a"), series(noisy(200, 2), name="b")], ignore_index=True)
    shuffled = both.sample(frac=1, random_state=0)
    found = compute(shuffled, step=HOUR, calendar=Calendar())
    assert found.index.equals(shuffled.index)
    alone = compute(both.iloc[:200], step=HOUR, calendar=Calendar())
    pd.testing.assert_frame_equal(found.sort_index().iloc[:200], alone, check_exact=True)


def test_missing_rows_are_missing_values():
    frame = series(noisy(300, missing=0))
    holes = frame["observed_at"].dt.hour == 5
    with_nan = compute(frame.assign(value=frame["value"].mask(holes)), step=HOUR, calendar=Calendar())[~holes]
    without = compute(frame[~holes], step=HOUR, calendar=Calendar())
    pd.testing.assert_frame_equal(with_nan, without, check_exact=True)


def test_a_stray_time_costs_no_memory():
    stray = series(np.ones(2), start=pd.Timestamp("1970-01-01", tz="UTC"))
    frame = pd.concat([stray, series(noisy(50))], ignore_index=True)
    found = compute(frame, step=timedelta(minutes=1), calendar=Calendar())
    assert len(found) == 52


def test_empty_frame_gives_the_columns():
    found = compute(series(np.zeros(0)), step=HOUR, calendar=Calendar(holidays="US"))
    assert found.columns.tolist() == ["series", "observed_at", *FEATURES]
    assert all(found[name].dtype == float for name in FEATURES)


def test_unknown_country_is_refused_by_name():
    with pytest.raises(ValueError, match=r"(?s)holidays.*ZZ"):
        Calendar(holidays="ZZ")
