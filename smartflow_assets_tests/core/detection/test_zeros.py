"""Zeros of a series that hardly ever is at zero are found, however wide its band; where they are usual they are none.

The series are made as shops make them: a season, a spread that is wide upwards, promotions now and then.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.detection import DetectionSettings, detect
from smartflow_assets.core.detectors import ZeroRun
from smartflow_assets.testing.series import frame_of, scored_in_chunks, scorer_of

SEEDS = range(3)


def promoted(values: np.ndarray, random: np.random.Generator, share: float) -> np.ndarray:
    return values * np.where(random.random(len(values)) < share, 1 + 5 * random.random(len(values)), 1.0)


def daily_revenue(random: np.random.Generator, rows: int = 160) -> np.ndarray:
    week = np.array([1, 0.95, 0.9, 1, 1.2, 1.5, 1.3])[np.arange(rows) % 7]
    return promoted(1000 * week * random.lognormal(sigma=0.5, size=rows), random, 0.08)


def shop(random: np.random.Generator, in_a_day: int, days: int, sigma: float) -> np.ndarray:
    """Revenue of an open shop by the hour or finer, lowest at night."""
    hours = 0.15 + np.maximum(np.sin(2 * np.pi * (np.arange(in_a_day * days) / in_a_day - 0.3)), 0)
    return promoted(300 * hours * random.lognormal(sigma=sigma, size=len(hours)), random, 0.004)


def requests(random: np.random.Generator) -> np.ndarray:
    return random.poisson(1 + shop(random, 288, 12, 0.05)).astype(float)


HEAVY: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], str, slice]] = {
    "daily revenue": (daily_revenue, "1D", slice(140, 150)),
    "hourly revenue": (lambda random: shop(random, 24, 60, 0.8), "1h", slice(1209, 1221)),
    "revenue each five minutes": (lambda random: shop(random, 288, 12, 0.8), "5min", slice(3000, 3024)),
    "a counter": (requests, "5min", slice(3000, 3024)),
}


def judged(values: np.ndarray, freq: str, settings: DetectionSettings | None = None) -> pd.DataFrame:
    return detect(frame_of(values, "revenue", freq), settings=settings)


@pytest.mark.parametrize("name", HEAVY)
def test_each_row_of_an_outage_is_flagged_and_no_message_calls_zero_usual(name: str) -> None:
    make, freq, outage = HEAVY[name]
    for seed in SEEDS:
        values = make(np.random.default_rng(seed))
        values[outage] = 0.0
        rows = judged(values, freq)[outage]
        assert rows["is_anomaly"].all(), seed
        assert (rows["lower"] > 0).all()
        assert rows["explanation"].str.startswith("0, usually ").all()
        assert not rows["explanation"].str.contains("usually 0").any()


@pytest.mark.parametrize("name", HEAVY)
def test_an_outage_changes_no_other_verdict_by_much(name: str) -> None:
    make, freq, outage = HEAVY[name]
    values = make(np.random.default_rng(0))
    calm = judged(values, freq)["is_anomaly"].sum()
    values[outage] = 0.0
    assert judged(values, freq)["is_anomaly"].drop(range(outage.start, outage.stop)).sum() <= calm + 3


def test_one_day_without_revenue_in_months_is_found() -> None:
    for seed in SEEDS:
        values = daily_revenue(np.random.default_rng(seed))
        values[140] = 0.0
        assert judged(values, "1D")["is_anomaly"][140], seed


def test_a_young_series_needs_more_than_one_day() -> None:
    values = daily_revenue(np.random.default_rng(1), 80)
    values[60:70] = 0.0
    assert np.flatnonzero(judged(values, "1D")["is_anomaly"][50:]).tolist() == list(range(11, 20))


def test_a_second_outage_is_found_like_the_first() -> None:
    values = daily_revenue(np.random.default_rng(0), 240)
    values[150:160] = values[200:205] = 0.0
    found = judged(values, "1D")["is_anomaly"]
    assert found[150:160].all()
    assert found[200:205].all()


def test_who_asks_for_spikes_alone_hears_of_no_zeros() -> None:
    values = daily_revenue(np.random.default_rng(0))
    values[140:150] = 0.0
    assert not judged(values, "1D", DetectionSettings(direction="spike"))["is_anomaly"][140:150].any()


@pytest.mark.parametrize("size", [1, 7])
def test_zeros_are_judged_alike_however_rows_are_cut(size: int) -> None:
    values = shop(np.random.default_rng(0), 24, 40, 0.8)
    values[500:503] = values[640:660] = values[800:808] = 0.0
    values[645:648] = values[700] = np.nan
    whole, cut = (scored_in_chunks(scorer_of(ZeroRun(), values), values, each) for each in (4096, size))
    assert whole["is_flagged"][640:645].all()
    for name, numbers in whole.items():
        np.testing.assert_array_equal(numbers, cut[name], name)


USUAL_ZEROS: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], str]] = {
    "counts that are zero at night": (
        lambda random: random.poisson(20 * np.maximum(np.sin(2 * np.pi * np.arange(288 * 15) / 288), 0)).astype(float),
        "5min",
    ),
    "rare counts": (lambda random: random.poisson(0.05, 5000).astype(float), "5min"),
    "small counts": (lambda random: random.poisson(4, 200).astype(float), "1D"),
    "counts that reach zero now and then": (lambda random: random.poisson(6, 4000).astype(float), "5min"),
    "closed on Sundays": (lambda random: daily_revenue(random) * (np.arange(160) % 7 != 6), "1D"),
    "counts that vary more than chance": (lambda random: random.negative_binomial(2, 0.08, 300).astype(float), "1D"),
}


@pytest.mark.parametrize("name", USUAL_ZEROS)
def test_zeros_of_a_series_that_often_has_them_are_none(name: str) -> None:
    make, freq = USUAL_ZEROS[name]
    for seed in SEEDS:
        values = make(np.random.default_rng(100 + seed))
        rows = judged(values, freq)
        assert not (rows["is_anomaly"] & (rows["value"] == 0)).any(), seed


def test_zeros_that_come_back_each_week_at_a_time_are_none() -> None:
    values = shop(np.random.default_rng(0), 288, 35, 0.6)
    values[np.arange(len(values)) % 2016 < 6] = 0.0  # 3 in 1,000 rows
    rows = judged(values, "5min")
    assert not (rows["is_anomaly"] & (rows["value"] == 0)).any()


def test_the_band_of_a_skewed_series_is_narrower_on_its_calm_side() -> None:
    random = np.random.default_rng(0)
    level = 100 + random.normal(0, 5, 600)
    rising = judged(promoted(level, random, 0.1), "1h")[300:]
    up, down = (rising["upper"] - rising["expected"]).median(), (rising["expected"] - rising["lower"]).median()
    assert down < 40
    assert up > 5 * down
    falling = judged(1000 - promoted(level, random, 0.1), "1h")[300:]
    assert (falling["expected"] - falling["lower"]).median() > 5 * (falling["upper"] - falling["expected"]).median()


def test_the_band_of_an_even_series_is_as_wide_on_both_sides() -> None:
    rows = judged(100 + np.random.default_rng(0).normal(0, 5, 600), "1h")[300:]
    np.testing.assert_allclose(rows["upper"] - rows["expected"], rows["expected"] - rows["lower"])
