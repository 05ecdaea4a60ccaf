"""What every detector of the registry must do, whatever it computes: a new type is tested by being listed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detectors import DETECTORS, BaseDetector, Detector
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets_tests.core.detectors.series_by_hand import (
    ALL,
    ROWS,
    SPIKE,
    TIMES,
    daily,
    features_of,
    scored_in_chunks,
    scorer_of,
    with_spike,
)

EXTRAS = {"lstm": "torch", "attention": "torch", "sarima": "statsmodels"}  # what training needs


def _parameter(detector: BaseDetector) -> Any:
    needs = EXTRAS.get(detector.type)
    lacks = needs is not None and find_spec(needs) is None
    return pytest.param(detector, id=detector.type, marks=pytest.mark.skipif(lacks, reason=f"{needs} is not installed"))


every_detector = pytest.mark.parametrize("detector", [_parameter(detector) for detector in ALL])
GAPPY = np.where(np.random.default_rng(1).random(ROWS) < 0.3, np.nan, daily())
INPUTS = {
    "constant": np.full(ROWS, 42.0),
    "zero": np.zeros(ROWS),
    "short": daily()[:3],
    "single": daily()[:1],
    "gappy": GAPPY,
    "all_missing": np.full(ROWS, np.nan),
    "infinite": np.where(np.isnan(GAPPY), np.inf, GAPPY),
    "huge": daily() * 1e298,
    "large": daily() * 1e140,
    "tiny": daily() * 1e-302,
    "both_signs_huge": (daily() - 100) * 1e298,
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
def test_scores_do_not_depend_on_how_rows_are_split(detector: BaseDetector, size: int) -> None:
    values = with_spike()
    values[[50, 400, 401, 402]] = np.nan
    scorer = scorer_of(detector, values)
    whole, split = scored_in_chunks(scorer, values, 4096), scored_in_chunks(scorer, values, size)
    for name, value in whole.items():
        np.testing.assert_array_equal(value, split[name], err_msg=name)


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
def test_a_shift_of_the_level_changes_no_score(detector: BaseDetector) -> None:
    values = np.round(with_spike() * 1024) / 1024  # so that neither the sums nor the quartiles are rounded
    scored, shifted = (scored_in_chunks(scorer_of(detector, series), series, 4096) for series in (values, values + 4096))
    np.testing.assert_array_equal(scored["raw_score"], shifted["raw_score"])
    np.testing.assert_allclose(scored["expected"] + 4096, shifted["expected"], rtol=1e-12)


@every_detector
def test_a_flat_run_ranks_first_where_the_type_claims_runs_or_context(detector: BaseDetector) -> None:
    values = daily()
    values[800:848] = values[800]  # two days as at one hour of the first
    scored = scored_in_chunks(scorer_of(detector, values), values, 4096)
    assert not (scored["is_flagged"] | scored["is_guarded"])[300:800].any()
    if {"contextual", "collective"} & set(detector.anomalies):
        assert int(scored["surprise"][0, 300:].argmax()) + 300 in range(801, 872)


@every_detector
def test_what_it_learnt_scores_alike_after_storage(detector: BaseDetector, tmp_path: Path) -> None:
    values, store = with_spike(), ModelStore(tmp_path)
    scorer = scorer_of(detector, values)
    fitted = scorer.fitted[0]
    parts = ModelParts(fitted.parameters, fitted.arrays, fitted.estimators)
    read = store.load(store.save("web", detector.type, "m1", parts))
    rebuilt = replace(scorer, fitted=(ModelParts(dict(read.parameters), dict(read.arrays), dict(read.estimators)),))
    first, second = (scored_in_chunks(one, values, 4096) for one in (scorer, rebuilt))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


@every_detector
def test_the_state_is_plain_and_bounded_and_goes_on_from_a_copy(detector: BaseDetector) -> None:
    values = with_spike()
    scorer = scorer_of(detector, values)
    state, sizes = scorer.start(), []
    for a in (0, 300, 600):
        scorer.score(state, values[a : a + 300], *_beside(values, a, a + 300))
        sizes.append(sum(array.nbytes for array in _arrays(state)))
    assert sizes[1] == sizes[2]
    copy = _copied(state)
    one, other = (scorer.score(start, values[900:], *_beside(values, 900, ROWS)) for start in (state, copy))
    np.testing.assert_array_equal(one.raw_score, other.raw_score)
    np.testing.assert_array_equal(one.detector_raw, other.detector_raw)


def _beside(values: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    return features_of(values)[a:b], TIMES[a:b]


def _arrays(state: Any) -> Iterator[np.ndarray]:
    """The arrays of a state; what is neither one nor plain fails."""
    if isinstance(state, np.ndarray):
        assert state.dtype.kind in "biuf"
        yield state
    elif isinstance(state, dict | list | tuple):
        for part in state.values() if isinstance(state, dict) else state:
            yield from _arrays(part)
    else:
        json.dumps(state if not isinstance(state, np.generic) else state.item())


def _copied(state: Any) -> Any:
    if isinstance(state, np.ndarray):
        return np.frombuffer(bytearray(state.tobytes()), state.dtype).reshape(state.shape)
    if isinstance(state, dict):
        return {name: _copied(part) for name, part in state.items()}
    return [_copied(part) for part in state] if isinstance(state, list) else state


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
