"""SARIMA: its forecasts are those of statsmodels, gaps widen the band, a spike does not echo, scoring does without statsmodels."""

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detection import DetectionSettings, FittedModels, Scoring, detect, fit_models
from smartflow_assets.core.detectors import Sarima
from smartflow_assets.core.detectors.base import History, Result
from smartflow_assets.core.detectors.sarima import matrices
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series import baseline
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets.testing.series import SPIKE, TIMES, daily, frame_of, with_spike
from smartflow_assets_tests.core.detectors.stored_apart import scores_without

pytestmark = [pytest.mark.integration, pytest.mark.skipif(find_spec("statsmodels") is None, reason="statsmodels is not installed")]
SCALED = (daily(700) - 100) / 20


def scored(detector: Sarima, fitted: ModelParts, values: np.ndarray, period: int = 24) -> Result:
    facts = SeriesFacts("load", period)
    rows, _ = baseline.score(baseline.start(facts), facts, values.copy())
    return detector.score(fitted, detector.start(fitted, facts), rows)


def hourly(values: np.ndarray) -> History:
    return History({"load": values}, times={"load": TIMES[: len(values)]})


@cache
def detected(**settings: Any) -> pd.DataFrame:
    """The scores of a series with a spike."""
    return detect(frame_of(with_spike()), settings=DetectionSettings.model_validate({"detectors": [{"type": "sarima", **settings}]}))


@pytest.mark.parametrize(
    "order, seasonal, params",
    [
        ((1, 0, 1), (0, 1, 1, 24), [0.7, -0.3, -0.6, 0.04]),
        ((2, 1, 0), (1, 0, 0, 7), [0.5, -0.2, 0.4, 0.1]),
        ((0, 2, 1), (2, 1, 2, 4), [-0.8, 0.3, -0.1, -0.5, 0.2, 0.05]),
        ((0, 1, 1), (0, 0, 0, 0), [-0.4, 0.2]),
        ((0, 0, 0), (0, 0, 0, 0), [0.3]),
    ],
)
@pytest.mark.soak
def test_forecasts_are_those_of_statsmodels(order: tuple, seasonal: tuple, params: list[float]) -> None:
    from statsmodels.tsa.statespace import sarimax

    values = SCALED.copy()
    values[[3, 200, 201, 202, 203, 500]] = np.nan
    model = sarimax.SARIMAX(values, order=order, seasonal_order=seasonal)
    theirs = model.filter(params).filter_results
    fitted = ModelParts({"series": {"load": 0}, "without_season": []}, {f"0/{k}": v for k, v in matrices(model, np.array(params)).items()})
    own = scored(Sarima(sigmas=1e6), fitted, values)
    np.testing.assert_allclose(own.expected, theirs.forecasts[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose((own.upper - own.expected) / 1e6, np.sqrt(theirs.forecasts_error_cov[0, 0]), rtol=1e-6)


def test_a_fit_finds_the_model_that_made_the_rows() -> None:
    noise, values = np.random.default_rng(0).normal(size=1500), np.zeros(1500)
    for i in range(1, 1500):
        values[i] = 0.8 * values[i - 1] + noise[i]
    fitted = Sarima(order=(1, 0, 0), seasonal_order=(0, 0, 0)).fit(hourly(values))
    assert fitted.arrays["0/transition"].shape == (1, 1)
    assert fitted.arrays["0/transition"][0, 0] == pytest.approx(0.8, abs=0.06)
    assert fitted.arrays["0/noise"][0, 0] == pytest.approx(1.0, abs=0.12)


def test_missing_rows_widen_the_band_and_teach_nothing() -> None:
    fitted = Sarima(order=(1, 0, 0), seasonal_order=(0, 0, 0)).fit(hourly(SCALED))
    gappy = SCALED.copy()
    gappy[600:620] = np.nan
    result = scored(Sarima(), fitted, gappy)
    assert result.upper is not None and result.expected is not None
    width = result.upper - result.expected
    assert width[600] == pytest.approx(width[599])
    assert (np.diff(width[600:610]) > 0).all()
    assert width[621] < width[620]


def test_a_spike_does_not_echo_a_season_later() -> None:
    values = SCALED.copy()
    values[500] += 10
    result = scored(Sarima(), Sarima().fit(hourly(SCALED[:400])), values)
    assert result.raw_score[500] > 50
    assert result.raw_score[501:600].max() < 6


def test_a_season_that_is_too_long_is_taken_off_first() -> None:
    rng, at = np.random.default_rng(0), np.arange(6 * 288)
    values = 2 * np.sin(at * 2 * np.pi / 288) + 0.1 * rng.normal(size=len(at))
    history = History({"load": values}, times={"load": np.datetime64("2026-01-01", "us") + at * np.timedelta64(5, "m")})
    fitted = Sarima().fit(history)
    assert fitted.parameters == {"series": {"load": 0}, "without_season": ["load"]}
    assert len(fitted.arrays["0/mean"]) <= 2
    result = scored(Sarima(), fitted, values, period=288)
    assert np.abs(values - result.expected)[-288:].mean() < 0.15


def test_what_cannot_be_fitted_is_silent() -> None:
    for values in (SCALED[:50], np.full(400, 3.0), np.full(400, np.nan), np.where(np.arange(400) % 3, np.nan, SCALED[:400])):
        fitted = Sarima().fit(hourly(values))
        assert fitted == ModelParts({"series": {}, "without_season": []})
    assert (scored(Sarima(), fitted, SCALED).raw_score == 0).all()


@pytest.mark.parametrize("change", [{"order": (0, 1, 1)}, {"seasonal_order": (0, 0, 0)}, {"sigmas": 2.0}], ids=str)
def test_parameters_change_what_it_says(change: dict) -> None:
    found = [detected(), detected(**change)]
    widths = [(scores["upper"] - scores["lower"]).iloc[-300:].mean() for scores in found]
    assert widths[0] != pytest.approx(widths[1], rel=1e-4)


@pytest.mark.soak
def test_a_stored_model_scores_alike_without_statsmodels_and_training_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, settings = frame_of(with_spike().round(3)), DetectionSettings.model_validate({"detectors": [{"type": "sarima"}]})
    fitted = fit_models(frame[:500], settings, is_first=True)
    own = Scoring(fitted).score(frame).scores
    assert own["is_anomaly"][SPIKE]
    assert int(own["raw_score"].to_numpy().argmax()) in range(SPIKE, SPIKE + 3)
    assert scores_without("statsmodels", fitted, frame, tmp_path) == [float.hex(value) for value in own["raw_score"]]
    store = ModelStore(tmp_path / "own")
    rebuilt = FittedModels.from_parts(store.load(store.save("web", "sarima", "m1", fitted.parts())))
    pd.testing.assert_frame_equal(own, Scoring(rebuilt).score(frame).scores, check_exact=True)
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.statespace.sarimax", None)
    with pytest.raises(SourceError, match=r"detector sarima is trained by statsmodels, which is not installed.*'smartflow.forecast.'"):
        Sarima().fit(hourly(SCALED))
