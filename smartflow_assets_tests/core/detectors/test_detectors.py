"""What single detectors find that others do not, and what their parameters change."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.detectors import Flatline, IsolationForest, Missing, ZScore
from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series import baseline
from smartflow_assets.core.series.facts import SeriesFacts, season, typical_step
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.testing.series import SPIKE, TIMES, daily, features_of, scored_in_chunks, scorer_of, with_spike


def test_flatline_finds_a_run_of_equal_values_and_falls_silent() -> None:
    values = daily()
    values[800:900] = values[800]
    found = np.flatnonzero(scored_in_chunks(scorer_of(Flatline(), values), values, 4096)["is_guarded"])
    assert found.tolist() == list(range(812, 860))  # from the twelfth repetition on, for 48 rows


def test_flatline_keeps_quiet_where_the_series_has_such_runs_itself() -> None:
    values = np.repeat(daily(60), 20)[:1100]
    assert not scored_in_chunks(scorer_of(Flatline(), values), values, 4096)["is_guarded"].any()


def test_missing_flags_a_silence_longer_than_its_limit() -> None:
    values = daily()
    values[500:505] = values[700:720] = np.nan
    found = np.flatnonzero(scored_in_chunks(scorer_of(Missing(rows=12), values), values, 4096)["is_guarded"])
    assert found.tolist() == list(range(712, 720))


def test_of_a_daily_series_two_days_may_be_missing() -> None:
    values = np.where(np.isin(np.arange(120), [60, 61, 80, 81, 82, 83]), np.nan, 100.0 + np.arange(120) % 7)
    facts, detector = SeriesFacts(period=season(timedelta(days=1))), Missing()
    rows, _ = baseline.score(baseline.start(facts), facts, values)
    flags = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows).flag
    assert flags is not None and np.flatnonzero(flags).tolist() == [82, 83]


def working_hours(times: np.ndarray = TIMES, zone: str = "UTC") -> np.ndarray:
    """The values of a feed that brings rows from Monday to Friday, 9 to 17."""
    local = pd.DatetimeIndex(times, tz="UTC").tz_convert(zone)
    is_open = (local.day_of_week < 5) & (local.hour >= 9) & (local.hour < 17)
    return np.where(is_open, daily(len(times)), np.nan)[int(np.argmax(is_open)) :]


def silences(values: np.ndarray) -> list[int]:
    return np.flatnonzero(scored_in_chunks(scorer_of(Missing(), values), values, 4096)["is_guarded"]).tolist()


def test_nights_and_weekends_of_a_feed_of_working_hours_are_no_silence() -> None:
    assert silences(working_hours()) == []


@pytest.mark.parametrize("hours", [0, 4, 8], ids=["opening", "midday", "closing"])
def test_a_feed_of_working_hours_that_dies_is_found_once_twelve_of_its_rows_lack(hours: int) -> None:
    alive, died = working_hours(), 24 * 54 + hours  # a Tuesday
    found = silences(np.where(np.arange(len(alive)) < died, alive, np.nan))
    assert np.isfinite(alive[died : found[0]]).sum() == 12
    assert found == list(range(found[0], len(alive)))


def test_pauses_that_a_series_begins_to_make_are_usual_after_three_weeks() -> None:
    paused, begun = working_hours(), 24 * 35
    found = silences(np.append(daily(begun), paused[begun:]))
    assert found
    assert max(found) < begun + 24 * 21


def test_a_silence_that_came_once_is_found_again_a_week_later() -> None:
    values, first, second = daily(1300), 24 * 42, 24 * 49
    values[first : first + 20] = values[second : second + 20] = np.nan
    assert silences(values) == [*range(first + 12, first + 20), *range(second + 12, second + 20)]


@pytest.mark.parametrize("gap", [24, 25])
def test_before_there_is_a_week_only_more_than_a_day_is_a_silence(gap: int) -> None:
    values = daily()
    values[60 : 60 + gap] = np.nan
    assert silences(values) == [84] * (gap > 24)


def missing_flags(times: np.ndarray, values: np.ndarray, zone: str, size: int) -> np.ndarray:
    """What the guard says of the series in blocks of so many rows."""
    step = typical_step(times[~np.isnat(times)])
    facts, detector = SeriesFacts(period=season(step)), Missing()
    fitted = detector.fit(History({}, calendar=Calendar(timezone=zone)))
    state, memory, found = detector.start(fitted, facts), baseline.start(facts), []
    for a in range(0, len(values), size):
        rows, _ = baseline.score(memory, facts, values[a : a + size], times=times[a : a + size])
        found.append(detector.score(fitted, state, rows).flag)
    return np.concatenate(found)


def test_of_rows_so_fine_that_no_week_of_them_is_remembered_each_counts() -> None:
    seconds = np.datetime64("2026-03-02T08:00", "us") + np.arange(600) * np.timedelta64(10, "s")
    values = np.where(np.arange(600) < 500, daily(600), np.nan)
    assert np.flatnonzero(missing_flags(seconds, values, "UTC", 4096))[0] == 512


def test_pauses_go_by_the_local_clock() -> None:
    minutes = np.datetime64("2026-03-02T08:00", "us") + np.arange(7 * 7 * 1440) * np.timedelta64(1, "m")
    values = working_hours(minutes, "Europe/Berlin")  # where the clock is changed on 29 March
    assert not missing_flags(minutes, values, "Europe/Berlin", 4096).any()
    assert missing_flags(minutes, values, "UTC", 4096).any()


@pytest.mark.parametrize("size", [1, 7])
def test_pauses_are_known_however_rows_are_cut(size: int) -> None:
    values = working_hours(zone="Europe/Berlin")
    values[24 * 54 :] = np.where(np.arange(len(values) - 24 * 54) < 100, np.nan, values[24 * 54 :])
    times = TIMES[len(TIMES) - len(values) :].copy()
    times[np.isnan(values) & (np.arange(len(values)) % 3 == 0)] = np.datetime64("NaT")  # rows that nobody gave
    whole = missing_flags(times, values, "Europe/Berlin", 4096)
    assert whole.any()
    assert (missing_flags(times, values, "Europe/Berlin", size) == whole).all()


def test_zscore_flags_by_its_own_sigmas() -> None:
    values = daily()
    shares = [scored_in_chunks(scorer_of(ZScore(sigmas=sigmas), values), values, 4096)["upper"][-1] for sigmas in (1.0, 2.0)]
    assert shares[0] < shares[1]


@pytest.mark.parametrize("contamination", [0.01, 0.1])
def test_contamination_is_the_share_of_training_rows_that_a_forest_flags(contamination: float) -> None:
    values = daily()
    forest = IsolationForest(contamination=contamination)
    fitted = forest.fit(History({"load": values}, {"load": features_of(values)}, ("value", "change")))
    scaled = (features_of(values) - fitted.arrays["center"][0]) / fitted.arrays["unit"][0]
    assert np.mean(forest.measure(forest.prepare(fitted), scaled) > fitted.parameters["limit"]) == pytest.approx(contamination, abs=0.005)


def test_flattened_trees_score_as_scikit_learn_does() -> None:
    values = with_spike()
    forest = IsolationForest()
    fitted = forest.fit(History({"load": values}, {"load": features_of(values)}, ("value", "change")))
    scaled = (features_of(values) - fitted.arrays["center"][0]) / fitted.arrays["unit"][0]
    expected = -fitted.estimators["forest"].score_samples(scaled)
    np.testing.assert_allclose(np.log2(forest.measure(forest.prepare(fitted), scaled)) / 16 + 0.5, expected, rtol=1e-12)
    assert int(expected.argmax()) in (SPIKE, SPIKE + 1)


def test_a_forest_sees_only_the_features_that_it_names() -> None:
    values = with_spike()
    history = History({"load": values}, {"load": features_of(values)}, ("value", "change"))
    fitted = IsolationForest(features=("change",)).fit(history)
    assert fitted.parameters["columns"] == [1]
    assert fitted.estimators["forest"].n_features_in_ == 1


def test_a_forest_without_features_says_nothing() -> None:
    fitted = IsolationForest().fit(History({"load": daily()}))
    assert fitted == ModelParts({"series": [], "columns": [], "limit": None})


OWN = """
from typing import Literal
import numpy as np
from smartflow_assets.api import BaseDetector, Result

class Surplus(BaseDetector, frozen=True):
    type: Literal["surplus"] = "surplus"

    def start(self, fitted, facts):
        return {}

    def score(self, fitted, state, rows):
        return Result(np.maximum(rows.values, 0))
"""


@pytest.fixture
def surplus(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which the package is installed."""
    (tmp_path / "surplus.py").write_text(OWN)
    (tmp_path / "surplus-1.dist-info").mkdir()
    (tmp_path / "surplus-1.dist-info" / "METADATA").write_text("Name: surplus\nVersion: 1\n")
    (tmp_path / "surplus-1.dist-info" / "entry_points.txt").write_text("[smartflow.detectors]\nsurplus = surplus:Surplus\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])}


@pytest.mark.integration
@pytest.mark.parametrize("first", ["import smartflow_assets.core.detection", "import surplus", "from surplus import Surplus"])
@pytest.mark.soak
def test_a_detector_of_another_package_joins_the_registry_whichever_is_imported_first(surplus: dict[str, str], first: str) -> None:
    code = (
        f"{first}\n"
        "from smartflow_assets.core.detection import DetectionSettings, detect\n"
        "from smartflow_assets.testing.series import frame_of, with_spike\n"
        "settings = DetectionSettings(detectors=[{'type': 'surplus'}])\n"
        "print(detect(frame_of(with_spike()), settings=settings)['raw_score'].idxmax())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=surplus)
    assert (run.stdout.strip(), run.stderr) == (str(SPIKE), "")
