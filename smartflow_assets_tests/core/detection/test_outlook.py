"""What is expected of the rows to come, and how far from it they lie."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.detection import DetectionSettings, Scoring, fit_models
from smartflow_assets.core.detection.outlook import Outlook, outlook, rows_ahead
from smartflow_assets.core.errors import ModelError
from smartflow_assets.core.temporal.calendar import Calendar

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURS = 1500


def frame(values: np.ndarray, step: timedelta = HOUR, start: str = "2026-01-05") -> pd.DataFrame:
    return pd.DataFrame({"series": "load", "observed_at": pd.date_range(start, periods=len(values), freq=step, tz="UTC"), "value": values})


def daily(count: int = HOURS, noise: float = 2.0) -> np.ndarray:
    return 100 + 30 * np.sin(np.arange(count) * 2 * np.pi / 24) + noise * np.random.default_rng(1).normal(size=count)


def walking(count: int = HOURS, seed: int = 3) -> np.ndarray:
    return 500 + np.cumsum(np.random.default_rng(seed).normal(size=count))


def looked(rows: pd.DataFrame, known: int, settings: DetectionSettings | None = None, **fit: object) -> Outlook:
    """The outlook behind the first `known` rows, at the times of the others."""
    step = (rows["observed_at"][1] - rows["observed_at"][0]).to_pytimedelta()
    fitted = fit_models(rows[:known], settings, step=step, **fit)  # pyright: ignore[reportArgumentType]
    times, values = rows["observed_at"].dt.tz_localize(None).to_numpy().astype("datetime64[us]"), rows["value"].to_numpy(float)
    return outlook(fitted, "load", times[:known], values[:known], times[known:])


@pytest.mark.parametrize(
    "detectors", ["auto", [{"type": "seasonal"}], [{"type": "isolation_forest"}], [{"type": "mad"}, {"type": "zscore"}]], ids=str
)
def test_what_is_expected_is_what_a_run_says_of_buckets_without_values(detectors):
    values = daily(900)
    values[850:] = np.nan
    settings = DetectionSettings(detectors=detectors)
    fitted = fit_models(frame(values)[:850], settings, step=HOUR)
    scored = Scoring(fitted).score(frame(values)).scores[850:]
    said = looked(frame(values), 850, settings)
    assert said.expected.tolist() == scored["expected"].tolist()
    assert (said.lower <= scored["lower"] + 1e-9).all() and (said.upper >= scored["upper"] - 1e-9).all()


def test_a_season_goes_on():
    rows = frame(daily(HOURS + 48))
    said, came = looked(rows, HOURS), 100 + 30 * np.sin(np.arange(HOURS, HOURS + 48) * 2 * np.pi / 24)
    assert np.abs(said.expected - came).max() < 5
    assert ((rows["value"][HOURS:] >= said.lower) & (rows["value"][HOURS:] <= said.upper)).all()
    assert said.origin_count == 60


def test_the_range_of_a_random_walk_grows_as_the_walk_does():
    count = 100
    said = looked(frame(np.append(walking(), np.full(count, np.nan))), HOURS)
    width = said.upper - said.lower
    assert (np.diff(width) >= -1e-9).all() and width[-1] > 1.8 * width[0]
    errors = np.array([walking(HOURS + count, seed)[HOURS:] - walking(HOURS + count, seed)[HOURS - 1] for seed in range(200)])
    inside = np.abs(errors) <= width / 2  # how often other walks of the kind stay within
    assert inside[:, [0, 5, 23, 47, 99]].mean(axis=0).min() > 0.85


def test_the_range_holds_what_a_few_lines_say_of_earlier_errors():
    values, count = walking(), 48
    rows = frame(np.append(values, np.full(count, np.nan)))
    said, errors = looked(rows, HOURS), list[np.ndarray]()
    for origin in np.linspace(HOURS // 2, HOURS - count, 60).astype(int):  # places of its own, and the expected line of a run
        hidden = frame(np.append(values[:origin], np.full(count, np.nan)))
        fitted = fit_models(rows[:HOURS], step=HOUR)
        errors.append(values[origin : origin + count] - Scoring(fitted).score(hidden).scores["expected"].to_numpy()[origin:])
    low, high = np.quantile(np.array(errors)[:, 36:], [0.025, 0.975])
    assert said.expected[-1] - said.lower[-1] == pytest.approx(-low, rel=0.25)
    assert said.upper[-1] - said.expected[-1] == pytest.approx(high, rel=0.25)


def test_values_that_are_missing_at_the_end_are_unknown_like_those_to_come():
    values = daily(HOURS + 48)
    gap = values.copy()
    gap[HOURS - 10 : HOURS] = np.nan
    assert looked(frame(gap), HOURS).expected.tolist() == looked(frame(gap), HOURS - 10).expected[10:].tolist()


@pytest.mark.soak
def test_a_holiday_to_come_is_lower_and_its_range_wider():
    days = pd.date_range("2022-01-03", "2024-12-10", tz="America/New_York")
    calendar = Calendar(timezone="America/New_York", holidays="US")
    is_holiday = calendar.is_holiday(days.tz_convert("UTC") + pd.Timedelta(hours=12))
    value = (
        1000
        * np.where(days.day_of_week >= 5, 0.7, 1.0)
        * np.where(is_holiday, 0.35, 1)
        * np.random.default_rng(3).normal(1, 0.03, len(days))
    )
    rows = pd.DataFrame({"series": "load", "observed_at": days.tz_convert("UTC"), "value": value})
    known = int((days < "2024-11-20").sum())
    thanksgiving = int((days < "2024-11-28").sum()) - known
    plain, told = looked(rows, known), looked(rows, known, calendar=calendar)
    assert plain.expected[thanksgiving] > 800
    assert told.expected[thanksgiving] == pytest.approx(350, abs=80)
    assert told.lower[thanksgiving] <= value[known + thanksgiving] <= told.upper[thanksgiving]
    assert told.expected[thanksgiving - 1] == pytest.approx(1000, rel=0.1)


def test_what_is_never_negative_is_not_expected_below_zero():
    rows = frame(np.abs(np.random.default_rng(0).normal(2, 2, HOURS + 48)))
    assert looked(rows, HOURS).lower.min() == 0


def test_a_factor_is_a_factor_far_ahead_too():
    values = np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.02, HOURS + 48)))
    said = looked(frame(values), HOURS, is_log=True)
    up, down = said.upper / said.expected, said.expected / said.lower
    assert up[-1] > up[0] > 1.01 and down[-1] > down[0] > 1.01 and said.lower.min() > 0


def test_who_has_seen_too_little_says_so():
    with pytest.raises(ModelError, match="36 are needed"):
        looked(frame(daily(60)), 20)
    rows = frame(daily(200))
    fitted = fit_models(rows, step=HOUR)
    times = rows["observed_at"].dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    with pytest.raises(ModelError, match="newer than the last training"):
        outlook(fitted, "other", times, rows["value"].to_numpy(), times[-1:] + np.timedelta64(1, "h"))


@pytest.mark.parametrize(("known", "origins"), [(36, 0), (37, 1), (40, 2), (100, 25)])
def test_a_short_history_is_asked_as_far_as_it_goes(known, origins):
    said = looked(frame(daily(known + 48)), known)
    assert said.origin_count == origins and np.isfinite(said.lower).all() and (said.upper > said.lower).all()


@pytest.mark.parametrize(("step", "rows"), [(timedelta(minutes=1), 200), (timedelta(minutes=15), 96), (HOUR, 48), (7 * DAY, 48)])
def test_a_season_is_looked_ahead(step, rows):
    assert rows_ahead(step) == rows
