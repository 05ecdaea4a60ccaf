"""Surprise and anomaly score: there and back, for one number and for many."""

import numpy as np
import pytest

from smartflow_assets.core.series.surprise import to_anomaly_score, to_surprise


def test_there_and_back() -> None:
    surprise = np.linspace(0, 8, 100)
    np.testing.assert_allclose(to_surprise(to_anomaly_score(surprise)), surprise, atol=1e-7)


@pytest.mark.parametrize("change", [to_anomaly_score, to_surprise])
def test_one_number_gives_a_plain_float_with_the_bits_of_an_array(change) -> None:
    values = np.random.default_rng(0).random(1000)
    found = [change(value) for value in values.tolist()]
    assert {type(value) for value in found} == {float}
    np.testing.assert_array_equal(found, change(values))
