"""Four shapes of series that defaults must suit untouched: short and daily, seasonal by the minute, rare counts, constant."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.detection import DetectionSettings, detect
from smartflow_assets.core.detection.settings_summary import explained

SEEDS = range(3)


@dataclass(frozen=True)
class Shape:
    """How such a series is made, its step, and the row that is put out of line, to what."""

    make: Callable[[np.random.Generator], np.ndarray]
    step: str
    row: int
    strange: Callable[[float], float]


def weekly(random: np.random.Generator) -> np.ndarray:
    return 1000 * (1 + 0.2 * np.sin(np.arange(120) * 2 * np.pi / 7)) + random.normal(0, 40, 120)


def daily_wave(random: np.random.Generator) -> np.ndarray:
    return 1000 * (1.2 + np.sin(np.arange(10_000) * 2 * np.pi / 1440)) + random.normal(0, 40, 10_000)


SHAPES = {
    "short daily, a drop to half": Shape(weekly, "1D", 100, lambda value: value / 2),
    "short daily, a peak": Shape(weekly, "1D", 100, lambda value: value * 1.8),
    "seasonal minutes, a value of another hour": Shape(daily_wave, "1min", 8000, lambda value: value + 800),
    "rare counts, eight at once": Shape(lambda random: random.poisson(0.05, 5000).astype(float), "5min", 4000, lambda _: 8.0),
    "constant, a step": Shape(lambda _: np.full(2000, 5.0), "5min", 1500, lambda _: 6.0),
}


def judged(shape: Shape, seed: int, *, is_strange: bool) -> np.ndarray:
    values = shape.make(np.random.default_rng(seed))
    if is_strange:
        values[shape.row] = shape.strange(values[shape.row])
    times = pd.date_range("2026-01-05", periods=len(values), freq=shape.step, tz="UTC")
    return np.flatnonzero(detect(pd.DataFrame({"series": "s", "observed_at": times, "value": values}))["is_anomaly"])


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_out_of_line_is_found(name: str) -> None:
    shape = SHAPES[name]
    for seed in SEEDS:
        assert np.isin(judged(shape, seed, is_strange=True), range(shape.row, shape.row + 3)).any(), seed


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_else_is(name: str) -> None:
    assert sum(len(judged(SHAPES[name], seed, is_strange=False)) for seed in SEEDS) <= 1


def test_the_choice_says_who_sits_out_and_why() -> None:
    lines = explained(DetectionSettings(), pd.Timedelta("10s").to_pytimedelta())
    assert "sits out: seasonal_shape, a season of 8640 rows is too long; at most 4085" in lines
    assert not any(
        "seasonal_shape" in line
        for line in explained(DetectionSettings(), pd.Timedelta("1min").to_pytimedelta())
        if line.startswith("sits out")
    )


def test_the_choice_speaks_of_votes_budgets_and_thresholds() -> None:
    vote = DetectionSettings.model_validate(
        {"detectors": [{"type": "zscore"}, {"type": "mad"}, {"type": "iqr"}], "ensemble": {"combine": "vote", "at_least": 2}}
    )
    lines = explained(vote, pd.Timedelta("1h").to_pytimedelta())
    assert "2 of: zscore, mad, iqr" in lines
    assert lines[-1] == "threshold: each detector's own"
    budget = DetectionSettings.model_validate({"threshold": {"score": 0.99, "false_alerts": "1 per week"}})
    assert explained(budget, pd.Timedelta("1h").to_pytimedelta())[-1] == (
        "threshold: an anomaly score of 0.9900, by threshold.score; raised where a series would alarm more often than 1 per week"
    )
