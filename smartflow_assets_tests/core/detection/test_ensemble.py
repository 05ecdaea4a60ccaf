"""How members' words become one, and where the threshold lies."""

import numpy as np
import pytest
from pydantic import ValidationError

from smartflow_assets.core.detection.ensemble import Ensemble
from smartflow_assets.core.series import baseline
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets.core.series.surprise import to_anomaly_score
from smartflow_assets.testing.series import daily

FLAGS = np.array([[True, True, False], [True, False, False], [True, False, False]])
SURPRISES = np.array([[9.0, 5.0, 1.0], [4.0, 0.5, 0.2], [3.0, 2.9, 0.1]])


def combined(ensemble: Ensemble, threshold: float = 2.0) -> np.ndarray:
    rows, normal = baseline.score(baseline.start(SeriesFacts()), SeriesFacts(), daily(3) / 20)
    return ensemble.combine_rows(ensemble.start(), SURPRISES, FLAGS, threshold, rows, normal)


def test_vote_needs_enough_flags() -> None:
    assert (combined(Ensemble(combine="vote", at_least=1)) >= 2.0).tolist() == [True, True, False]
    assert (combined(Ensemble(combine="vote", at_least=2)) >= 2.0).tolist() == [True, False, False]
    assert (combined(Ensemble(combine="vote")) >= 2.0).tolist() == [True, False, False]


def test_any_is_a_vote_of_one() -> None:
    np.testing.assert_array_equal(combined(Ensemble(combine="any")), combined(Ensemble(combine="vote", at_least=1)))


def test_a_vote_ranks_by_the_surprise_that_enough_members_reach() -> None:
    assert combined(Ensemble(combine="vote", at_least=2))[0] == 4.0


def test_max_is_never_below_mean() -> None:
    assert (combined(Ensemble(combine="max")) >= combined(Ensemble())).all()


def test_sensitivity_moves_the_threshold_of_mean_and_not_that_of_flags() -> None:
    thresholds = [Ensemble().surprise_threshold(8, word) for word in ("low", "medium", "high")]
    assert thresholds[0] > thresholds[1] > thresholds[2]
    assert thresholds[1] == pytest.approx(2.2)
    assert len({Ensemble(combine="vote").surprise_threshold(9, word) for word in ("low", "medium", "high")}) == 1


def test_few_members_need_a_higher_threshold() -> None:
    assert (
        Ensemble().surprise_threshold(1, "medium") > Ensemble().surprise_threshold(3, "medium") > Ensemble().surprise_threshold(9, "medium")
    )


def test_the_score_saturates_below_one() -> None:
    scores = to_anomaly_score(np.array([0.0, 1.6, 12.0, 40.0]))
    assert scores[0] == 0
    assert scores[1] == pytest.approx(0.9749, abs=1e-4)
    assert scores.max() <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"at_least": 2}, "at_least belongs to combine: vote"),
        ({"members": []}, "members is empty"),
        ({"combine": "vote", "at_least": 3, "members": ["zscore", "iqr"]}, "only 2 members"),
        ({"combine": "median"}, "'mean', 'vote', 'any' or 'max'"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Ensemble.model_validate(settings)
