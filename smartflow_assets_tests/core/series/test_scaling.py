"""Scaling and the way back."""

import json
from dataclasses import asdict
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartflow_assets.core.series.scaling import Scale, Scaler

SCALES = get_args(Scale)
VALUES = np.array([1.0, 2.0, np.nan, 3.0, 4.0, 1000.0])


@pytest.mark.parametrize(
    ("scale", "center", "unit"),
    [
        ("none", 0, 1),
        ("standard", 202, np.std([1, 2, 3, 4, 1000])),
        ("min_max", 1, 999),
        ("robust", 3, 2 / 1.349),
    ],
)
def test_scales(scale, center, unit):
    scaler = Scaler.fit(VALUES, scale)
    assert (scaler.center, scaler.unit) == pytest.approx((center, unit))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("values", [[], [np.nan], [7.0], [0.0, 0.0], [5.0] * 9 + [6.0], [1e308, -1e308]])
def test_unit_is_never_zero(scale, values):
    scaled = Scaler.fit(np.array(values), scale).transform(np.array([0.0, 7.0]))
    assert np.isfinite(scaled).all()


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.sampled_from(SCALES))
def test_inverse_undoes_transform(values, scale):
    values = np.array(values)
    scaler = Scaler.fit(values, scale)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(values)), values, rtol=1e-9, atol=1e-9 * (1 + abs(scaler.center)))


def test_stored_as_plain_json():
    scaler = Scaler.fit(VALUES, "robust")
    assert Scaler(**json.loads(json.dumps(asdict(scaler)))) == scaler


@pytest.mark.parametrize("scale", SCALES)
def test_on_a_logarithmic_ruler_a_factor_is_a_distance(scale):
    scaler = Scaler.fit(np.exp(np.random.default_rng(3).normal(5, 1, 500)), scale, is_log=True)
    ten, hundred, thousand = scaler.transform(np.array([100.0, 1_000, 10_000]))
    assert hundred - ten == pytest.approx(thousand - hundred, rel=1e-3)
    zero, below, above = scaler.transform(np.array([0.0, -100, 100]))
    assert below < zero < above and zero - below == pytest.approx(above - zero)


# What lies further from the usual size than FARTHEST comes back clipped: 1.0 among values of 1e-146.
@given(st.lists(st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-130), min_size=1), st.sampled_from(SCALES))
def test_inverse_undoes_the_logarithm(values, scale):
    values = np.array(values)
    scaler = Scaler.fit(values, scale, is_log=True)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(values)), values, rtol=1e-6, atol=1e-6 * (scaler.log_unit or 1))


@pytest.mark.parametrize("values", [[], [np.nan], [0.0, 0.0], [-5.0] * 9, [1e308, -1e308], [1e-200]])
def test_a_logarithm_is_never_infinite(values):
    scaler = Scaler.fit(np.array(values), "robust", is_log=True)
    assert np.isfinite(scaler.transform(np.array([0.0, -7.0, 1e300]))).all()
    assert np.isfinite(scaler.inverse(np.array([-1e9, 0.0, 1e9]))).all()
    assert Scaler(**json.loads(json.dumps(asdict(scaler)))) == scaler
