"""Forecasting networks: the kernels say what torch says, training is the same twice, and scoring does without torch."""

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detection import DetectionSettings, FittedModels, Scoring, detect, fit_models
from smartflow_assets.core.detectors import Attention, Lstm
from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.detectors.network_forecaster import NetworkForecaster
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series import baseline
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets.testing.series import SPIKE, TIMES, daily, frame_of, with_spike
from smartflow_assets_tests.core.detectors.stored_apart import scores_without

pytestmark = [pytest.mark.integration, pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")]
NETWORKS = [Lstm(), Attention()]
each_network = pytest.mark.parametrize("detector", NETWORKS, ids=lambda detector: detector.type)


def waves(rows: int = 1000, seed: int = 0) -> np.ndarray:
    """An echo: each row is the opposite of the row two before, and some noise. No baseline forecast knows that."""
    noise, values = np.random.default_rng(seed).normal(size=rows), np.zeros(rows)
    for i in range(2, rows):
        values[i] = -0.9 * values[i - 2] + noise[i]
    return values


@cache
def learnt(detector: NetworkForecaster) -> ModelParts:
    """What the detector learns of the waves."""
    return detector.fit(History({"load": waves()}))


@cache
def before_the_spike(detector: NetworkForecaster) -> FittedModels:
    """What training gives on 500 rows of three decimals, before the spike."""
    settings = DetectionSettings.model_validate({"detectors": [{"type": detector.type}]})
    return fit_models(frame_of(with_spike().round(3))[:500], settings, is_first=True)


def scored(detector: NetworkForecaster, fitted: ModelParts, values: np.ndarray) -> np.ndarray:
    facts = SeriesFacts("load")
    rows, _ = baseline.score(baseline.start(facts), facts, values)
    return detector.score(fitted, detector.start(fitted, facts), rows).raw_score


@each_network
def test_the_kernel_says_what_torch_says(detector: NetworkForecaster) -> None:
    import torch

    torch.manual_seed(3)
    network = detector.build(torch, 7).double()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    weights = {name: weight.detach().numpy() for name, weight in network.state_dict().items()}
    inputs, said = np.random.default_rng(1).normal(size=(100, 7)), np.empty(100)
    detector.walk(detector.begin(weights), weights, inputs, 0, said)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)[None])[0].numpy()
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(said, expected, rtol=1e-9, atol=1e-12)


@each_network
@pytest.mark.soak
def test_it_learns_what_the_baseline_does_not_know(detector: NetworkForecaster) -> None:
    fitted = learnt(detector)
    facts, values = SeriesFacts("load"), waves(seed=1)
    rows, _ = baseline.score(baseline.start(facts), facts, values)
    result = detector.score(fitted, detector.start(fitted, facts), rows)
    assert result.expected is not None
    own, shared = (np.abs(values - expected)[300:].mean() for expected in (result.expected, rows.expected))
    assert own < 0.65 * shared  # of the values' deviation 2.3, noise is 1
    assert fitted.arrays["noise"][0] == pytest.approx(1.0, abs=0.25)


@each_network
def test_the_same_seed_makes_the_same_weights_and_another_seed_others(detector: NetworkForecaster) -> None:
    detector, history = detector.model_copy(update={"epochs": 20}), History({"load": waves(), "other": waves(seed=2)})
    first, second = (detector.fit(history) for _ in range(2))
    assert first.parameters == {"series": ["load", "other"]}
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name], err_msg=name)
    other = detector.model_copy(update={"seed": 1}).fit(history)
    assert not np.allclose(scored(detector, first, waves()), scored(detector, other, waves()), rtol=1e-3)


def test_training_leaves_the_threads_and_the_chance_of_torch_alone() -> None:
    import torch

    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    torch.set_num_threads(2)
    Lstm(epochs=2).fit(History({"load": waves()}))
    assert torch.get_num_threads() == 2
    assert torch.rand(1) == expected


@pytest.mark.parametrize(
    "one, other",
    [
        (Lstm(), Lstm(hidden=4)),
        (Lstm(), Lstm(epochs=2)),
        (Attention(), Attention(window=4)),
        (Attention(), Attention(size=4)),
        (Attention(), Attention(heads=1)),
    ],
    ids=str,
)
def test_parameters_change_the_scores(one: NetworkForecaster, other: NetworkForecaster) -> None:
    found = [scored(detector, learnt(detector), waves()) for detector in (one, other)]
    assert not np.allclose(found[0], found[1], rtol=0.01)


@each_network
def test_more_sigmas_widen_the_band(detector: NetworkForecaster) -> None:
    frame, kind = frame_of(daily()), detector.type
    scores = [
        detect(frame, settings=DetectionSettings.model_validate({"detectors": [{"type": kind, "sigmas": sigmas}]})) for sigmas in (2, 8)
    ]
    widths = [(score["upper"] - score["lower"]).iloc[-1] for score in scores]
    assert widths[1] == pytest.approx(4 * widths[0])


@each_network
def test_too_little_history_means_silence(detector: NetworkForecaster) -> None:
    gappy = np.where(np.arange(400) % 3 > 0, np.nan, daily(400))
    for history in (daily(100), gappy, np.full(400, np.nan)):
        assert detector.fit(History({"load": history})) == ModelParts()
    assert (scored(detector, ModelParts(), daily(300)) == 0).all()


def test_each_row_of_a_wide_window_is_learnt_from() -> None:
    detector = Attention(window=128, epochs=30)
    assert detector.minimum_rows(SeriesFacts()) == 432
    nearness = detector.fit(History({"load": waves(1000)})).arrays["nearness"]
    assert nearness.shape == (2, 128)
    assert (nearness != 0).all()
    assert detector.fit(History({"load": waves(425)})) == ModelParts()


@each_network
def test_a_series_that_training_has_not_seen_is_not_judged(detector: NetworkForecaster) -> None:
    fitted = detector.fit(History({"other": waves()}))
    assert (scored(detector, fitted, waves()) == 0).all()


@each_network
def test_a_stored_model_scores_alike(detector: NetworkForecaster, tmp_path: Path) -> None:
    frame, fitted = frame_of(with_spike().round(3)), before_the_spike(detector)
    store = ModelStore(tmp_path)
    artefact = store.save("web", detector.type, "m1", fitted.parts())
    rebuilt = FittedModels.from_parts(store.load(artefact))
    before, after = (Scoring(models).score(frame).scores for models in (fitted, rebuilt))
    assert int(before["raw_score"].to_numpy().argmax()) in range(SPIKE, SPIKE + 3)
    assert before["is_anomaly"][SPIKE]
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    assert sum(path.stat().st_size for path in (tmp_path / artefact.path).iterdir()) < 60_000


@each_network
@pytest.mark.soak
def test_scoring_does_without_torch_and_training_says_how_to_get_it(
    detector: NetworkForecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, fitted = frame_of(with_spike().round(3)), before_the_spike(detector)
    own = Scoring(fitted).score(frame).scores["raw_score"]
    assert scores_without("torch", fitted, frame, tmp_path) == [float.hex(value) for value in own]
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SourceError, match=f"detector {detector.type} is trained by torch, which is not installed.*'smartflow.deep.'"):
        detector.fit(History({"load": daily()}, times={"load": TIMES[: len(daily())]}))


def test_each_of_very_many_series_has_its_own_noise_though_few_are_learnt_from() -> None:
    rng = np.random.default_rng(0)
    values = {f"s{i}": waves(400, seed=i) * (1 + i % 3) for i in range(120)} | {"short": rng.normal(size=60), "empty": np.full(60, np.nan)}
    fitted = Lstm(epochs=20).fit(History(values))
    assert fitted.parameters["series"] == [name for name in values if name != "empty"]
    noise = fitted.arrays["noise"][:120]
    assert np.median(noise[2::3]) == pytest.approx(3 * np.median(noise[0::3]), rel=0.1)
