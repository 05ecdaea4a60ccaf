"""What single detectors find that others do not, and what their parameters change."""
import numpy as np
import pytest

from smartflow_assets.core.detectors import Flatline, IsolationForest, Missing, ZScore
from smartflow_assets.core.detectors.base import Fitted, History
from smartflow_assets_tests.core.detectors.series_by_hand import SPIKE, daily, features_of, scored_in_chunks, scorer_of, with_spike


def test_flatline_finds_a_run_of_equal_values_and_falls_silent() -> None:
    values = daily()
    values[800:900] = values[800]
    found = np.flatnonzero(scored_in_chunks(scorer_of(Flatline(), values), values, 4096)["is_guarded"])
    assert found.tolist() == list(range(812, 860))  # from the twelfth repetition on, for 48 rows


def test_flatline_keeps_quiet_where_the_series_has_such_runs_itself() -> None:
    values = np.repeat(daily(60), 20)[:1100]
    assert not scored_in_chunks(scorer_of(Flatline(), values), values, 4096)["is_guarded"].any()


def test_missing_flags_a_silence_longer_than_its_limit() -> None:
    values = daily()
    values[500:505] = values[700:720] = np.nan
    found = np.flatnonzero(scored_in_chunks(scorer_of(Missing(rows=12), values), values, 4096)["is_guarded"])
    assert found.tolist() == list(range(712, 720))


def test_zscore_flags_by_its_own_sigmas() -> None:
    values = daily()
    shares = [
        scored_in_chunks(scorer_of(ZScore(sigmas=sigmas), values), values, 4096)["upper"][-1] for sigmas in (1.0, 2.0)
    ]
    assert shares[0] < shares[1]


@pytest.mark.parametrize("contamination", [0.01, 0.1])
def test_contamination_is_the_share_of_training_rows_that_a_forest_flags(contamination: float) -> None:
    values = daily()
    forest = IsolationForest(contamination=contamination)
    fitted = forest.fit(History({"load": values}, {"load": features_of(values)}, ("value", "change")))
    scaled = (features_of(values) - fitted.arrays["center"][0]) / fitted.arrays["unit"][0]
    assert np.mean(forest.raw_scores(fitted, scaled) > fitted.parameters["limit"]) == pytest.approx(contamination, abs=0.005)


def test_flattened_trees_score_as_scikit_learn_does() -> None:
    values = with_spike()
    forest = IsolationForest()
    fitted = forest.fit(History({"load": values}, {"load": features_of(values)}, ("value", "change")))
    scaled = (features_of(values) - fitted.arrays["center"][0]) / fitted.arrays["unit"][0]
    expected = -fitted.estimators["forest"].score_samples(scaled)
    np.testing.assert_allclose(np.log2(forest.raw_scores(fitted, scaled)) / 16 + 0.5, expected, rtol=1e-12)
    assert int(expected.argmax()) in (SPIKE, SPIKE + 1)


def test_a_forest_without_features_says_nothing() -> None:
    fitted = IsolationForest().fit(History({"load": daily()}))
    assert fitted == Fitted({"series": [], "limit": None})
