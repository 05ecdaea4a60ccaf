"""Metrics that are fine each and wrong together: found, attributed to the metric that left the others, the same after storage."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.anomalies import grouping
from smartflow_assets.core.detection import DetectionSettings, FittedModels, Scoring, detect, fit_models
from smartflow_assets.core.detectors import Mahalanobis
from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.preparation import features
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.testing.series import HOUR, frame_of

ROWS, STRANGE = 1500, 1200
NAMES = ("residual of a", "residual of b", "residual of c")


def moving_together(*, is_strange: bool = True, dimensions: str = "") -> pd.DataFrame:
    """Three metrics on one swing; at row 1,200 `memory` stays where it was while the others rise, within its usual range."""
    rng = np.random.default_rng(3)
    swing = np.cumsum(rng.normal(size=ROWS)) * 0.2 + 3 * rng.normal(size=ROWS)
    values = {name: 100 + weight * swing + 0.2 * rng.normal(size=ROWS) for name, weight in (("cpu", 1), ("memory", 2), ("io", -1))}
    if is_strange:
        values["cpu"][STRANGE] += 4
        values["memory"][STRANGE] -= 8
        values["io"][STRANGE] -= 4
    return pd.concat([frame_of(value, name + dimensions) for name, value in values.items()], ignore_index=True)


def settings(**parameters: object) -> DetectionSettings:
    return DetectionSettings.model_validate({"detectors": [{"type": "mahalanobis", **parameters}]})


QUICK = settings(covariance="shrunk")
"""For what does not hang on the estimator: the robust one tries hundreds of subsets for each metric."""


@cache
def learnt() -> FittedModels:
    """What training on the first 700 rows gives, in which nothing is strange either way."""
    frame = moving_together()
    return fit_models(frame[frame["observed_at"] < frame["observed_at"][700]], settings(), step=HOUR, is_first=True)


@pytest.mark.soak
def test_it_finds_what_each_metric_alone_does_not_show_in_the_one_that_left_the_others() -> None:
    frame = moving_together()
    alone = detect(frame, settings=DetectionSettings.model_validate({"detectors": [{"type": "seasonal"}]}), train_rows=700)
    together = detect(frame, settings=settings(), train_rows=700)
    assert not alone["is_anomaly"][frame["observed_at"] == frame["observed_at"][STRANGE]].any()
    found = together[together["is_anomaly"]]
    assert set(zip(found["series"], found.index % ROWS, strict=True)) == {("memory", STRANGE)}
    assert "memory in mahalanobis" in found["explanation"].iloc[0]
    assert int(together["raw_score"].to_numpy().argmax()) == ROWS + STRANGE
    calm = Scoring(learnt()).score(moving_together(is_strange=False)).scores
    assert not calm["is_anomaly"].any()


def test_contributions_of_each_metric_reach_the_anomaly_and_its_explanation() -> None:
    frame = moving_together()
    scored = Scoring(learnt()).score(frame)
    named = scored.components[scored.components["share"] > 0]
    assert set(named["detector"]) == {"mahalanobis:cpu", "mahalanobis:memory", "mahalanobis:io"}
    assert named["share"].sum() == pytest.approx(1)
    violations = pd.DataFrame(columns=["series", "observed_at", "rule", "value", "limit_value", "severity", "message"])
    scores = scored.scores.drop(columns="explanation").astype({"severity": object})
    scores = scores.assign(metric=frame["series"], dimensions=pd.Series([{}] * len(frame)))
    rows = grouping.merge_violations(scores, violations)
    (anomaly,) = grouping.group(rows, source="web", step=HOUR, run_id="r", components=scored.components).to_dict("records")
    assert next(iter(anomaly["contributions"])) == "mahalanobis:memory"
    assert sum(anomaly["contributions"].values()) == pytest.approx(1, abs=1e-3)
    assert (anomaly["detectors"], anomaly["anomaly_type"]) == (["mahalanobis"], "multivariate")
    assert "Found by: memory in mahalanobis" in anomaly["explanation"]


def test_series_are_compared_with_those_of_the_same_dimensions_only() -> None:
    eu, us = moving_together(dimensions="{region=eu}"), moving_together(is_strange=False, dimensions="{region=us}")
    both = detect(pd.concat([eu, us], ignore_index=True), settings=QUICK, train_rows=700)
    assert set(both.loc[both["is_anomaly"], "series"]) == {"memory{region=eu}"}
    np.testing.assert_array_equal(both["raw_score"][: len(eu)], detect(eu, settings=QUICK, train_rows=700)["raw_score"])


def test_chunks_and_storage_change_no_bit(tmp_path: Path) -> None:
    frame, fitted = moving_together(), learnt()
    store = ModelStore(tmp_path)
    rebuilt = FittedModels.from_parts(store.load(store.save("web", "mahalanobis", "m1", fitted.parts())))
    table = features.with_siblings(features.compute(frame, step=HOUR, calendar=Calendar()), step=HOUR)
    whole = Scoring(fitted).score(frame, features=table).scores
    kept, row = Scoring(rebuilt), frame.index % ROWS
    parts = [
        kept.score(frame[(row >= a) & (row < b)], features=table[(row >= a) & (row < b)]).scores
        for a, b in pairwise([0, 250, 1000, *range(1007, 1300, 7), ROWS])
    ]
    split = pd.concat(parts).sort_index()
    np.testing.assert_array_equal(split["raw_score"], whole["raw_score"])
    np.testing.assert_array_equal(np.flatnonzero(split["is_anomaly"]), [ROWS + STRANGE])


def test_a_metric_that_is_silent_takes_no_part_and_the_others_go_on() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=500)
    rows = np.column_stack([base, base + 0.1 * rng.normal(size=500), -base + 0.1 * rng.normal(size=500)])
    detector = Mahalanobis()
    fitted = detector.fit(History({"a": base}, {"a": rows}, NAMES))
    distance, shares = detector.distances(fitted, 0, np.array([[1, 1, np.nan], [1, -1, np.nan], [5, np.nan, np.nan]]))
    assert distance[0] < 3 < 8 < distance[1]
    assert shares[1, 2] == 0
    assert (distance[2], shares[2].sum()) == (2.0**-10, 0)


def test_the_covariance_is_not_bent_by_strange_training_rows_unless_it_is_of_all() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=500)
    rows = np.column_stack([base, base + 0.1 * rng.normal(size=500), rng.normal(size=500)])
    rows[::20, 1] = -rows[::20, 0] * 3
    found = {}
    for kind in ("robust", "shrunk"):
        detector = Mahalanobis(covariance=kind)
        found[kind] = detector.distances(detector.fit(History({"a": base}, {"a": rows}, NAMES)), 0, np.array([[1.0, -1.0, 0.0]]))[0][0]
    assert found["robust"] > 3 * found["shrunk"]


def test_a_higher_surprise_flags_less() -> None:
    found = [detect(moving_together(), settings=settings(covariance="shrunk", surprise=limit), train_rows=700) for limit in (2, 4)]
    counts = [scores["is_anomaly"].sum() for scores in found]
    assert counts[0] > counts[1] == 1


@pytest.mark.parametrize(
    "rows",
    [
        np.full((200, 3), 7.0),
        np.full((200, 3), np.nan),
        np.column_stack([np.arange(200.0)] * 3) * 1e280,
        np.zeros((3, 3)),
        np.where(np.random.default_rng(0).random((200, 3)) < 0.4, np.nan, np.random.default_rng(1).normal(size=(200, 3)) * 1e-300),
    ],
    ids=["constant", "unknown", "huge_copies", "short", "gappy_tiny"],
)
def test_any_residuals_give_finite_distances(rows: np.ndarray) -> None:
    detector = Mahalanobis()
    fitted = detector.fit(History({"a": np.zeros(len(rows))}, {"a": rows}, NAMES))
    if fitted.parameters["series"]:
        assert all(np.isfinite(part).all() for part in detector.distances(fitted, 0, rows))


def test_one_series_is_refused() -> None:
    with pytest.raises(SourceError, match="only the series load, and mahalanobis compares several metrics"):
        detect(frame_of(np.arange(500.0)), settings=settings())
