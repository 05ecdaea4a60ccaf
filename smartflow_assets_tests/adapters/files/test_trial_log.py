"""Trials survive a kill at any byte."""

from pathlib import Path

import pytest

from smartflow_assets.adapters.files.trial_log import TrialLog
from smartflow_assets.core.evaluation.settings_search import Trial, TrialFigures

TRIALS = [
    Trial({}, TrialFigures(0.5, 0.25, 1 / 3, None, 3, 0.125)),
    Trial({"threshold": 1.3, "detectors.mad": False, "detectors.forest.max_samples": 64}, TrialFigures(1.0, 1.0, 1.0, 0.9, 0, 0.0)),
    Trial({"detectors.mad": False}, None, "detectors is empty"),
]


@pytest.fixture
def log(tmp_path: Path) -> TrialLog:
    return TrialLog(tmp_path / "tuning" / "web.jsonl")


def test_what_is_written_is_read_back_equal_and_in_order(log: TrialLog) -> None:
    assert log.read() == []
    for trial in TRIALS:
        log.append(trial)
    assert log.read() == TRIALS
    log.clear()
    assert log.read() == []


def test_a_line_that_was_cut_off_is_left_out_and_the_next_one_stands(log: TrialLog) -> None:
    for trial in TRIALS[:2]:
        log.append(trial)
    whole = log.path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first + 1, len(whole) - 1):
        log.path.write_bytes(whole[:length])
        assert log.read() == TRIALS[:1]
        log.append(TRIALS[2])
        assert log.read() == [TRIALS[0], TRIALS[2]]
