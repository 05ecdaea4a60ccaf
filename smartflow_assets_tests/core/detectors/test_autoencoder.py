"""A network on windows: its own forward pass is scikit-learn's, a strange shape is found, and storage changes no bit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPRegressor

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detection import DetectionSettings, FittedModels, Scoring, fit_models
from smartflow_assets.core.detectors import Autoencoder
from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.kernels import autoencoder as kernel
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series import baseline
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets_tests.core.detectors.series_by_hand import daily, frame_of


def scored(detector: Autoencoder, fitted: ModelParts, values: np.ndarray) -> np.ndarray:
    facts = SeriesFacts("load")
    rows, _ = baseline.score(baseline.start(facts), facts, values)
    return detector.score(fitted, detector.start(fitted, facts), rows).raw_score


def test_the_forward_pass_is_that_of_scikit_learn() -> None:
    values = (daily(600) - 100) / 20
    detector = Autoencoder(window=24, hidden=10, bottleneck=3, epochs=30)
    windows = np.lib.stride_tricks.sliding_window_view(values, 24)
    windows = windows - windows.mean(axis=1, keepdims=True)
    network = MLPRegressor(hidden_layer_sizes=(10, 3, 10), activation="tanh", max_iter=30, random_state=0).fit(windows, windows)
    expected = np.sqrt(((network.predict(windows) - windows) ** 2).mean(axis=1))
    state, found = detector.start(detector.fit(History({"load": values})), SeriesFacts("load")), np.empty(600)
    kernel.walk(values, values, 0, 600, 0, state["sizes"], state["weights"], state["biases"], 10.0, found)
    assert (found[:23] == 0).all()
    np.testing.assert_allclose(found[23:], expected, rtol=1e-9)


def test_a_strange_shape_inside_the_usual_range_scores_highest() -> None:
    values = (daily(1000) - 100) / 20
    values[800:824] = values[800:824][::-1] * np.tile([1, -1], 12)
    detector = Autoencoder()
    raw = scored(detector, detector.fit(History({"load": values[:600]})), values)
    assert int(raw[600:].argmax()) + 600 in range(805, 845)
    assert raw[600:].max() > 2 * np.quantile(raw[600:800], 0.99)


@pytest.mark.parametrize("change", [{"window": 48}, {"hidden": 8}, {"bottleneck": 1}, {"epochs": 10}, {"seed": 1}])
def test_parameters_change_the_scores(change: dict[str, int]) -> None:
    values = (daily(600) - 100) / 20
    found = [scored(one, one.fit(History({"load": values})), values) for one in (Autoencoder(), Autoencoder.model_validate(change))]
    assert not np.allclose(found[0], found[1], rtol=0.01)


def test_windows_with_missing_rows_are_not_learnt_from_and_too_few_mean_silence() -> None:
    values = daily(300)
    values[::20] = np.nan
    fitted = Autoencoder().fit(History({"load": values}))
    assert fitted == ModelParts()
    assert (scored(Autoencoder(), fitted, daily(300)) == 0).all()


def test_a_stored_model_scores_alike(tmp_path: Path) -> None:
    values = daily()
    values[900:924] = values[900:924][::-1] * np.tile([1, 0.7], 12)
    frame, settings = frame_of(values), DetectionSettings.model_validate({"detectors": [{"type": "autoencoder"}]})
    fitted = fit_models(frame[:500], settings, is_first=True)
    store = ModelStore(tmp_path)
    artefact = store.save("web", "autoencoder", "m1", fitted.parts())
    rebuilt = FittedModels.from_parts(store.load(artefact))
    before, after = (Scoring(models).score(frame).scores for models in (fitted, rebuilt))
    assert int(before["raw_score"].to_numpy().argmax()) in range(900, 950)
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    assert artefact.format == "json/2"
