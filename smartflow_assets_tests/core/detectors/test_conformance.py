"""What every detector of the registry must do, whatever it computes: a new type is tested by being listed."""
import numpy as np
import pytest

from smartflow_assets.core.detectors import DETECTORS, BaseDetector, Detector
from smartflow_assets_tests.core.detectors.series_by_hand import (
    ALL,
    ROWS,
    SPIKE,
    daily,
    scored_in_chunks,
    scorer_of,
    with_spike,
)

every_detector = pytest.mark.parametrize("detector", ALL, ids=lambda detector: detector.type)
GAPPY = np.where(np.random.default_rng(1).random(ROWS) < 0.3, np.nan, daily())
INPUTS = {
    "constant": np.full(ROWS, 42.0),
    "zero": np.zeros(ROWS),
    "short": daily()[:3],
    "single": daily()[:1],
    "gappy": GAPPY,
    "all_missing": np.full(ROWS, np.nan),
    "infinite": np.where(np.isnan(GAPPY), np.inf, GAPPY),
    "huge": daily() * 1e280,
    "tiny": daily() * 1e-280,
    "far_from_zero": daily() + 1e9,
    "jump_from_constant": np.where(np.arange(ROWS) < 600, 0.0, 1e12),
}


@every_detector
@pytest.mark.parametrize("values", INPUTS.values(), ids=INPUTS)
def test_any_input_gives_finite_scores_and_bands(detector: BaseDetector, values: np.ndarray) -> None:
    scored = scored_in_chunks(scorer_of(detector, values), values, 4096)
    for name in ("raw_score", "detector_raw", "surprise", "expected", "lower", "upper"):
        assert np.isfinite(scored[name]).all(), name
    assert scored["raw_score"].min() >= 0
    assert (scored["lower"] <= scored["upper"]).all()


@every_detector
def test_nothing_is_strange_in_a_constant_series(detector: BaseDetector) -> None:
    scored = scored_in_chunks(scorer_of(detector, INPUTS["constant"]), INPUTS["constant"], 4096)
    assert not scored["is_flagged"].any()
    assert not scored["is_guarded"].any()


@every_detector
def test_two_runs_give_equal_scores(detector: BaseDetector) -> None:
    first, second = (scored_in_chunks(scorer_of(detector, with_spike()), with_spike(), 4096) for _ in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


@every_detector
@pytest.mark.parametrize("size", [1, 7])
def test_scores_do_not_depend_on_how_rows_are_cut(detector: BaseDetector, size: int) -> None:
    values = with_spike()
    values[[50, 400, 401, 402]] = np.nan
    scorer = scorer_of(detector, values)
    whole, cut = scored_in_chunks(scorer, values, 4096), scored_in_chunks(scorer, values, size)
    for name, value in whole.items():
        np.testing.assert_array_equal(value, cut[name], err_msg=name)


@every_detector
def test_the_future_changes_nothing_that_was_said(detector: BaseDetector) -> None:
    values = with_spike()
    scorer = scorer_of(detector, values)
    other = np.concatenate([values[:1000], values[1000:] * 7 - 300])
    before, after = (scored_in_chunks(scorer, series, 4096) for series in (values, other))
    for name, value in before.items():
        np.testing.assert_array_equal(value[..., :1000], after[name][..., :1000], err_msg=name)


@every_detector
def test_a_spike_ranks_first_where_the_type_claims_points(detector: BaseDetector) -> None:
    scored = scored_in_chunks(scorer_of(detector, with_spike()), with_spike(), 4096)
    if "point" in detector.anomalies:
        assert int(scored["detector_raw"][0, 300:].argmax()) + 300 in range(SPIKE, SPIKE + 3)
        assert scored["surprise"][0, SPIKE] > 3
        assert scored["is_flagged"][SPIKE]
    else:
        assert not scored["is_flagged"][300:SPIKE].any()


@every_detector
def test_a_unit_of_measurement_changes_no_score(detector: BaseDetector) -> None:
    values = with_spike()
    scored = scored_in_chunks(scorer_of(detector, values), values, 4096)
    larger = scored_in_chunks(scorer_of(detector, values * 1024), values * 1024, 4096)
    np.testing.assert_array_equal(scored["raw_score"], larger["raw_score"])
    np.testing.assert_array_equal(scored["expected"] * 1024, larger["expected"])


@every_detector
def test_every_parameter_says_what_it_is(detector: BaseDetector) -> None:
    fields = type(detector).model_fields
    assert [name for name, field in fields.items() if name != "type" and not field.description] == []
    assert DETECTORS[detector.type] is type(detector)


def test_the_union_reads_every_type_and_refuses_others() -> None:
    from pydantic import TypeAdapter, ValidationError

    union = TypeAdapter(Detector)
    assert [union.validate_python({"type": name}).type for name in DETECTORS] == list(DETECTORS)
    with pytest.raises(ValidationError, match="expected tags"):
        union.validate_python({"type": "zscor"})
    with pytest.raises(ValidationError, match="sigma"):
        union.validate_python({"type": "zscore", "sigma": 3})
