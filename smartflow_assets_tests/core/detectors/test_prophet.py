"""Prophet as a detector: its own forecast to the last digits, silent, in local time with holidays, the same after storage."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detection import DetectionSettings, FittedModels, Scoring, detect, fit_models
from smartflow_assets.core.detectors import Prophet
from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.testing.series import SPIKE, frame_of, with_spike

pytestmark = pytest.mark.integration  # Stan is a process of its own
HOURS = np.datetime64("2025-12-01", "us") + np.arange(24 * 60) * np.timedelta64(1, "h")
GERMAN = Calendar(timezone="Europe/Berlin", holidays="DE")


def swing() -> np.ndarray:
    """Hourly, daily season, a little rise, and a drop by 5 on the holidays of Germany."""
    at = np.arange(len(HOURS))
    holiday = GERMAN.is_holiday(pd.DatetimeIndex(HOURS).tz_localize("UTC"))
    return 3 * np.sin(at * 2 * np.pi / 24) + at / 500 - 5 * holiday + 0.2 * np.random.default_rng(0).normal(size=len(at))


@pytest.mark.parametrize("growth", ["linear", "flat"])
def test_the_forecast_is_that_of_prophet_itself(growth: str) -> None:
    from prophet.serialize import model_from_json

    detector = Prophet.model_validate({"growth": growth})
    fitted = detector.fit(History({"load": swing()[:1200]}, times={"load": HOURS[:1200]}, calendar=GERMAN))
    own = detector.forecast(detector.start(fitted, SeriesFacts("load")), HOURS)
    local = GERMAN.local(pd.DatetimeIndex(HOURS).tz_localize("UTC")).tz_localize(None)
    theirs = model_from_json(fitted.parameters["series"]["load"]).predict(pd.DataFrame({"ds": local}))
    np.testing.assert_allclose(own, theirs["yhat"], rtol=0, atol=1e-9)


def test_a_holiday_of_the_calendar_is_expected_to_be_one() -> None:
    new_year = np.datetime64("2026-01-01T12:00") == HOURS
    found = {}
    for calendar in (GERMAN, None):
        detector = Prophet()
        fitted = detector.fit(History({"load": swing()[:700]}, times={"load": HOURS[:700]}, calendar=calendar))  # until 30 December
        found[calendar] = detector.forecast(detector.start(fitted, SeriesFacts("load")), HOURS)[new_year][0]
    assert found[GERMAN] < found[None] - 1.5


@pytest.mark.parametrize("name, low, high", [("changepoint_prior_scale", 0.001, 5.0), ("sigmas", 2.0, 8.0)])
@pytest.mark.soak
def test_parameters_change_what_it_says(name: str, low: float, high: float) -> None:
    values = np.where(np.arange(len(HOURS)) < 500, swing(), swing() + (np.arange(len(HOURS)) - 500) / 50)
    frame = frame_of(values)
    found = [
        detect(frame, settings=DetectionSettings.model_validate({"detectors": [{"type": "prophet", name: value}]}), train_rows=900)
        for value in (low, high)
    ]
    if name == "sigmas":
        widths = [(scores["upper"] - scores["lower"]).iloc[-1] for scores in found]
        assert widths[1] == pytest.approx(4 * widths[0])
    else:
        errors = [np.abs(scores["value"] - scores["expected"])[900:1000].mean() for scores in found]
        assert errors[1] < errors[0] / 2


SILENT = """
import numpy as np
from smartflow_assets.core.detectors import Prophet
from smartflow_assets.core.detectors.base import History
hours = np.datetime64("2026-01-05", "us") + np.arange(400) * np.timedelta64(1, "h")
values = {"load": np.sin(np.arange(400.0)), "other": np.cos(np.arange(400.0))}
fitted = Prophet().fit(History(values, times=dict.fromkeys(values, hours)))
print(list(fitted.parameters["series"]))
"""


@pytest.mark.soak
def test_a_fit_says_nothing() -> None:
    run = subprocess.run([sys.executable, "-c", SILENT], capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == ("['load', 'other']", "")


def test_a_stored_model_scores_alike(tmp_path: Path) -> None:
    frame, settings = frame_of(with_spike()), DetectionSettings.model_validate({"detectors": [{"type": "prophet"}]})
    fitted = fit_models(frame[:400], settings, is_first=True, calendar=GERMAN)
    store = ModelStore(tmp_path)
    artefact = store.save("web", "prophet", "m1", fitted.parts())
    rebuilt = FittedModels.from_parts(store.load(artefact))
    before, after = (Scoring(models).score(frame).scores for models in (fitted, rebuilt))
    assert int(before["raw_score"].to_numpy().argmax()) in range(SPIKE, SPIKE + 3)
    assert before["is_anomaly"][SPIKE]
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    assert sum(path.stat().st_size for path in (tmp_path / artefact.path).iterdir()) < 12_000  # without its history


def test_rows_over_a_gap_are_forecast_for_their_own_time() -> None:
    frame = frame_of(swing())
    settings = DetectionSettings.model_validate({"detectors": [{"type": "prophet"}]})
    whole, gappy = (detect(rows, settings=settings, train_rows=700) for rows in (frame, frame.drop(index=range(800, 811))))
    np.testing.assert_array_equal(whole["expected"].drop(index=range(800, 811)), gappy["expected"])
