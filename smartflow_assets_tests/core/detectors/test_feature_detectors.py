"""Detectors on the features of a row: they answer as scikit-learn does, their parameters count, and storage changes nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import LocalOutlierFactor as SklearnFactor
from sklearn.svm import OneClassSVM

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detection import DetectionSettings, FittedModels, Scoring, fit_models
from smartflow_assets.core.detectors import LocalOutlierFactor, OneClassSvm
from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.detectors.feature_detector import FeatureDetector
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.testing.series import SPIKE, daily, features_of, frame_of, with_spike

ROWS = np.random.default_rng(0).normal(size=(500, 3))
NEW = np.vstack([np.random.default_rng(1).normal(size=(50, 3)), [[9.0, 0.0, 0.0], [40.0, -40.0, 40.0]]])


def test_the_factor_is_that_of_scikit_learn() -> None:
    detector = LocalOutlierFactor(n_neighbors=15)
    model = SklearnFactor(n_neighbors=15, novelty=True).fit(ROWS)
    np.testing.assert_allclose(
        detector.measure(detector.prepare(detector.learn(ROWS)), NEW), np.maximum(-model.score_samples(NEW) - 1, 2.0**-10), rtol=1e-9
    )


def test_the_machine_ranks_as_that_of_scikit_learn_and_goes_on_where_it_ends() -> None:
    detector = OneClassSvm(nu=0.05)
    fitted = detector.learn(ROWS)
    model = OneClassSVM(nu=0.05, gamma="scale").fit(ROWS)
    raw = detector.measure(detector.prepare(fitted), NEW)
    np.testing.assert_allclose(np.log1p(model.offset_ / model.score_samples(NEW[:51])), raw[:51], rtol=1e-9)
    assert (raw > fitted.parameters["limit"]).tolist() == (model.predict(NEW) < 0).tolist()
    assert raw[51] > 10 * raw[50]  # the farther of two rows for which the kernel sum is nearly nothing


@pytest.mark.parametrize("share", [0.01, 0.1])
@pytest.mark.parametrize("name, detector", [("contamination", LocalOutlierFactor), ("nu", OneClassSvm)])
def test_its_own_flag_marks_that_share_of_the_training_rows(name: str, detector: type[FeatureDetector], share: float) -> None:
    member = detector.model_validate({name: share})
    fitted = member.learn(ROWS)
    flagged = member.measure(member.prepare(fitted), ROWS) > fitted.parameters["limit"]
    assert flagged.mean() == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize(
    "one, other",
    [
        (LocalOutlierFactor(n_neighbors=5), LocalOutlierFactor(n_neighbors=50)),
        (OneClassSvm(gamma=0.05), OneClassSvm(gamma=2)),
        (OneClassSvm(nu=0.01), OneClassSvm(nu=0.3)),
    ],
)
def test_parameters_change_the_scores(one: FeatureDetector, other: FeatureDetector) -> None:
    assert not np.allclose(one.measure(one.prepare(one.learn(ROWS)), NEW), other.measure(other.prepare(other.learn(ROWS)), NEW), rtol=0.01)


@pytest.mark.parametrize("detector", [LocalOutlierFactor(), OneClassSvm()], ids=lambda detector: detector.type)
def test_only_the_named_features_are_seen_and_none_means_silence(detector: FeatureDetector) -> None:
    values = with_spike()
    history = History({"load": values}, {"load": features_of(values)}, ("value", "change"))
    one = detector.model_copy(update={"features": ("change",)}).fit(history)
    assert (one.parameters["columns"], one.arrays["center"].shape) == ([1], (1, 1))
    assert detector.fit(History({"load": daily()})) == ModelParts({"series": [], "columns": [], "limit": None})


@pytest.mark.parametrize(
    "kind", ["local_outlier_factor", "one_class_svm", pytest.param("isolation_forest", marks=pytest.mark.integration)]
)  # a forest is stored by skops, which imports torch
def test_a_stored_model_scores_alike(kind: str, tmp_path: Path) -> None:
    frame = frame_of(with_spike())
    features = frame[["series", "observed_at"]].assign(value=with_spike(), change=features_of(with_spike())[:, 1])
    fitted = fit_models(frame[:400], DetectionSettings.model_validate({"detectors": [{"type": kind}]}), features=features, is_first=True)
    store = ModelStore(tmp_path)
    rebuilt = FittedModels.from_parts(store.load(store.save("web", kind, "m1", fitted.parts())))
    before, after = (Scoring(models).score(frame, features=features).scores["raw_score"].to_numpy() for models in (fitted, rebuilt))
    assert int(np.argmax(before)) in range(SPIKE, SPIKE + 3)
    np.testing.assert_array_equal(before, after)


def test_a_forest_says_which_features_made_a_row_strange() -> None:
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "series": "load",
            "observed_at": pd.date_range("2026-03-01", periods=1200, freq="5min", tz="UTC"),
            "value": random.normal(size=1200),
        }
    )
    features = rows[["series", "observed_at"]].assign(calm=random.normal(size=1200), wild=random.normal(size=1200))
    features.loc[1000, "wild"] = 30.0
    settings = DetectionSettings.model_validate(
        {"detectors": [{"type": "isolation_forest", "features": ["calm", "wild"]}], "threshold": {"score": 0.9}}
    )
    fitted = fit_models(rows[:600], settings, features=features, is_first=True)
    said = Scoring(fitted).score(rows, features=features, components="all").components
    at = said[said["observed_at"] == rows["observed_at"][1000]].set_index("detector")["share"]
    assert at["isolation_forest:wild"] > 0.8
    assert at.sum() == pytest.approx(1)
    assert (said.groupby("observed_at")["share"].sum().round(9).isin([0.0, 1.0])).all()
