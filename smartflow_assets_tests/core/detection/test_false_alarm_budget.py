"""A budget of false alarms raises the threshold of the series that alarm too often, and of no other."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.detection import DetectionSettings, FittedModels, Scoring, fit_models, with_budget
from smartflow_assets.core.series.surprise import to_anomaly_score

STEP = timedelta(minutes=5)
DAY = 288


def noisy(days: int, every: int, seed: int) -> np.ndarray:
    """Days of noise with a step out of line every so many rows, each larger than the last."""
    values = 100 + np.random.default_rng(seed).normal(size=days * DAY)
    at = np.arange(3 * DAY, len(values), every)
    values[at] += np.linspace(12, 25, len(at))
    return values


def frame() -> pd.DataFrame:
    times = pd.date_range("2026-01-05", periods=28 * DAY, freq=STEP, tz="UTC")
    return pd.concat(
        [
            pd.DataFrame({"series": name, "observed_at": times, "value": noisy(28, every, seed)})
            for seed, (name, every) in enumerate({"restless": 400, "calm": 10**9}.items())
        ],
        ignore_index=True,
    )


def alarms(settings: DetectionSettings) -> tuple[dict[str, int], FittedModels]:
    """How many rows of each series are flagged by models that learnt from the same four weeks."""
    rows = frame()
    fitted = with_budget(fit_models(rows, settings, step=STEP), rows)
    scores = Scoring(fitted).score(rows).scores
    flagged = scores.groupby("series", observed=True)["is_anomaly"].sum().astype(int)
    return {str(series): int(count) for series, count in flagged.items()}, fitted


def test_a_budget_keeps_the_alarms_of_a_restless_series_within_it() -> None:
    usual, without = alarms(DetectionSettings())
    kept, fitted = alarms(DetectionSettings.model_validate({"threshold": {"false_alerts": "1 per week"}}))
    assert usual["restless"] > 8
    assert without.surprise_thresholds == {}
    assert kept["restless"] == 4
    assert list(fitted.surprise_thresholds) == ["restless"]
    assert fitted.surprise_thresholds["restless"] > fitted.settings.surprise_threshold == fitted.surprise_threshold("calm")
    assert kept["calm"] == usual["calm"]


@pytest.mark.parametrize("rate", ["1 per day", "100 per day"])
def test_a_budget_that_is_not_used_up_changes_nothing(rate: str) -> None:
    usual, _ = alarms(DetectionSettings())
    assert alarms(DetectionSettings.model_validate({"threshold": {"false_alerts": rate}}))[0] == usual


def test_the_threshold_of_each_series_stands_in_its_rows_and_survives_storage() -> None:
    settings = DetectionSettings.model_validate({"threshold": {"false_alerts": "1 per week", "score": 0.995}})
    _, fitted = alarms(settings)
    stored = FittedModels.from_parts(fitted.parts())
    assert stored.surprise_thresholds == fitted.surprise_thresholds
    assert fitted.parts().parameters["cuts"] == fitted.surprise_thresholds  # the key of model files that were stored before
    scores = Scoring(stored).score(frame()).scores
    thresholds = scores.groupby("series", observed=True)["threshold"].unique()
    assert thresholds["calm"].tolist() == pytest.approx([0.995])
    assert thresholds["restless"].tolist() == pytest.approx([to_anomaly_score(fitted.surprise_thresholds["restless"])])
    assert thresholds["restless"][0] > 0.995


def test_rows_that_are_known_to_be_strange_are_not_counted() -> None:
    rows = frame()
    settings = DetectionSettings.model_validate({"threshold": {"false_alerts": "1 per week"}})
    fitted = fit_models(rows, settings, step=STEP)
    known = rows.assign(value=rows["value"].mask(rows["value"] > 110))
    assert with_budget(fitted, known).surprise_thresholds == {}
