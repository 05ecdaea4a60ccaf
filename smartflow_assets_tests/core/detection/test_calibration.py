"""Surprise means the same for every raw score, and one long event does not hide the next."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.core.detection import calibration


def surprise_of(raw: np.ndarray, is_missing: np.ndarray | None = None, sizes: tuple[int, ...] = ()) -> np.ndarray:
    missing = np.zeros(len(raw), bool) if is_missing is None else is_missing
    state, borders = calibration.empty_calibration(), [0, *np.cumsum(sizes), len(raw)]
    return np.concatenate([calibration.calibrate(state, raw[a:b], missing[a:b], a) for a, b in pairwise(borders)])


def test_one_row_in_a_thousand_has_surprise_three() -> None:
    raw = np.random.default_rng(0).exponential(size=40_000)
    share = np.mean(surprise_of(raw)[2000:] > 3)
    assert 0.0003 < share < 0.003


def test_the_scale_of_a_raw_score_does_not_matter() -> None:
    raw = np.random.default_rng(0).exponential(size=3000)
    np.testing.assert_allclose(surprise_of(raw), surprise_of(raw * 2.0**20), atol=1e-9)


def test_a_long_event_does_not_mask_the_next_one() -> None:
    raw = np.random.default_rng(0).exponential(size=4000)
    raw[2000:2120] = raw[3000] = 40.0  # 3 % of all rows: a plain history would call the last one common
    assert surprise_of(raw)[3000] > 4


def test_missing_rows_have_no_surprise_and_leave_none() -> None:
    raw = np.random.default_rng(0).exponential(size=2000)
    missing = np.zeros(2000, bool)
    missing[500:600] = True
    with_rubbish = np.where(missing, 1e6, raw)
    np.testing.assert_array_equal(surprise_of(raw, missing), surprise_of(with_rubbish, missing))
    assert not surprise_of(raw, missing)[500:600].any()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(0, 5))
def test_surprise_does_not_depend_on_how_rows_are_split(sizes: list[int], seed: int) -> None:
    raw = np.random.default_rng(seed).pareto(2.0, size=sum(sizes) + 50)
    np.testing.assert_array_equal(surprise_of(raw), surprise_of(raw, sizes=tuple(sizes)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1e9))
def test_surprise_grows_with_the_score_and_stays_within_its_bounds(seed: int, last: float) -> None:
    raw = np.random.default_rng(seed).exponential(size=400)
    lower, higher = (surprise_of(np.append(raw, value))[-1] for value in (last, 2 * last + 1))
    assert 0 <= lower <= higher <= calibration.LARGEST
