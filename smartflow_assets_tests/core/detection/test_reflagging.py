"""Stored scores under another threshold, by hand: what is flagged, how bad it is, and what guards and people have said."""

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.detection import DetectionSettings
from smartflow_assets.core.detection.reflagging import is_decided, of_guards, reflagged
from smartflow_assets.core.feedback.raised_thresholds import Raise
from smartflow_assets.core.series.surprise import to_anomaly_score

USUAL = DetectionSettings()
THRESHOLD = USUAL.surprise_threshold
NOTHING = pd.DataFrame({"series": [], "observed_at": [], "detector": [], "surprise": []})


def rows(*scores: float, value: float = 130.0) -> pd.DataFrame:
    """Rows of one series whose usual range is 80 to 120, with these raw scores, flagged as the usual threshold flags them."""
    raw = np.array(scores)
    return pd.DataFrame(
        {
            "series": "cpu",
            "observed_at": pd.date_range("2026-03-01", periods=len(raw), freq="1h", tz="UTC").as_unit("us"),
            "value": value,
            "expected": 100.0,
            "lower": 80.0,
            "upper": 120.0,
            "raw_score": raw,
            "threshold": to_anomaly_score(THRESHOLD),
            "is_anomaly": (raw >= THRESHOLD) & (abs(value - 100) > 20),
            "state": "scored",
        }
    )


def flags(given: pd.DataFrame, settings: DetectionSettings, said: pd.DataFrame = NOTHING, **raises: list[Raise]) -> list[str | None]:
    found = reflagged(given, settings, *of_guards(given, said, settings), raises)
    return [severity if is_anomaly else None for severity, is_anomaly in found[["severity", "is_anomaly"]].itertuples(index=False)]


def test_a_threshold_moves_flags_and_how_bad_they_are():
    given = rows(1.7, 2.0, 2.3, 3.0, 6.0)
    assert flags(given, USUAL) == [None, None, "info", "warning", "critical"]
    assert flags(given, DetectionSettings(sensitivity="high")) == [None, "info", "warning", "warning", "critical"]
    assert flags(given, DetectionSettings(sensitivity="low")) == [None, None, None, "info", "critical"]
    found = reflagged(given, DetectionSettings(sensitivity="low"), *of_guards(given, NOTHING, USUAL))
    assert found["threshold"].unique().tolist() == [to_anomaly_score(DetectionSettings(sensitivity="low").surprise_threshold)]


def test_inside_of_the_band_nothing_is_flagged_however_low_the_threshold_and_a_rounded_edge_is_inside():
    low = DetectionSettings.model_validate({"threshold": {"score": 0.5}})
    assert flags(rows(2.0, 3.0, value=119.0), low) == [None, None]
    assert flags(rows(2.0, value=np.nextafter(120.0, 200)), low) == [None] and flags(rows(2.0, value=120.001), low) != [None]


def test_direction_and_small_changes_act_on_the_flag():
    given = rows(3.0)
    assert flags(given, DetectionSettings(direction="drop")) == [None] and flags(given, DetectionSettings(direction="spike")) == ["warning"]
    assert flags(given, DetectionSettings(ignore_small_changes="40%")) == [None]


def test_what_a_guard_found_stays_whatever_the_threshold():
    given = rows(THRESHOLD)
    said = given[["series", "observed_at"]].assign(detector="zero_run", surprise=2.1)
    strict = DetectionSettings.model_validate({"threshold": {"score": 0.9999}})
    assert flags(given, strict) == [None] and flags(given, strict, said) == ["info"]
    silent = rows(4.0).assign(value=np.nan, state="missing", is_anomaly=True)
    assert flags(silent, strict) == ["info"]


def test_what_people_called_a_false_alarm_is_not_flagged_again():
    until = pd.Timestamp("2027-01-01", tz="UTC").to_pydatetime()
    assert flags(rows(3.0, 3.5), DetectionSettings(sensitivity="high"), cpu=[Raise("spike", 3.2, 40.0, until)]) == [None, "warning"]


def test_rows_that_warm_up_are_not_flagged():
    assert flags(rows(9.0).assign(state="warming_up", is_anomaly=False), USUAL) == [None]


@pytest.mark.parametrize(
    ("before", "after", "decided"),
    [
        ({}, {"sensitivity": "high"}, True),
        ({}, {"detectors": [{"type": "mad"}]}, False),
        ({}, {"ensemble": {"combine": "max"}}, False),
        ({}, {"threshold": {"false_alerts": "1 per week"}}, False),
        ({"detectors": [{"type": "mad"}]}, {"detectors": [{"type": "mad"}], "sensitivity": "low"}, True),
        ({"detectors": [{"type": "mad"}]}, {"detectors": [{"type": "mad"}], "sensitivity": "high"}, False),
    ],
)
def test_what_stored_scores_decide(before, after, decided):
    assert is_decided(DetectionSettings.model_validate(after), DetectionSettings.model_validate(before)) == decided
