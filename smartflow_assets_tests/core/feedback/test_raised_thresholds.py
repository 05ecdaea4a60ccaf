from datetime import UTC, datetime

import numpy as np
import pytest

from smartflow_assets.core.feedback.raised_thresholds import Raise, raised

UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
MAY = np.datetime64("2026-05-01")
SPIKE = Raise("spike", 5.0, 40.0, UNTIL)


def threshold(*raises: Raise, deviation: float = 30.0, at: np.datetime64 = MAY) -> float:
    return round(float(raised(raises, 2.2, np.array([deviation]), np.array([at]))[0]), 6)


def test_the_false_alarm_itself_is_just_below_it() -> None:
    (cut,) = raised([SPIKE], 2.2, np.array([40.0]), np.array([MAY]))
    assert 5.0 < cut < 5.0001


@pytest.mark.parametrize("deviation", [40.1, -1.0, -30.0, 0.0, np.nan])
def test_what_is_larger_or_goes_the_other_way_keeps_the_threshold(deviation: float) -> None:
    assert threshold(SPIKE, deviation=deviation) == 2.2


def test_a_drop_raises_it_for_drops() -> None:
    drop = Raise("drop", 5.0, 40.0, UNTIL)
    assert (threshold(drop, deviation=-30.0), threshold(drop, deviation=30.0)) == (5.0, 2.2)


def test_it_ends_when_its_time_is_over() -> None:
    last, first = np.datetime64("2026-05-31T23:59"), np.datetime64("2026-06-01T00:00")
    assert (threshold(SPIKE, at=last), threshold(SPIKE, at=first)) == (5.0, 2.2)


def test_a_true_alarm_of_the_series_bounds_it() -> None:
    assert threshold(Raise("spike", 5.0, 40.0, UNTIL, at_most=4.0)) == 4.0
    assert threshold(Raise("spike", 5.0, 40.0, UNTIL, at_most=1.0)) == 2.2  # never below what the series has


@pytest.mark.parametrize("seed", range(20))
def test_of_several_the_largest_that_holds_counts(seed: int) -> None:
    dice = np.random.default_rng(seed)
    raises = [
        Raise(str(dice.choice(["spike", "drop"])), dice.uniform(1, 9), dice.uniform(1, 50), UNTIL, dice.uniform(1, 12)) for _ in range(5)
    ]
    deviations = dice.uniform(-60, 60, 50)
    found = raised(raises, 2.2, deviations, np.full(50, MAY))
    for deviation, cut in zip(deviations, found, strict=True):
        own = [
            min(each.surprise, each.at_most)
            for each in raises
            if (deviation > 0) == (each.direction == "spike") and abs(deviation) <= each.deviation
        ]
        assert cut == pytest.approx(max([2.2, *own]))
