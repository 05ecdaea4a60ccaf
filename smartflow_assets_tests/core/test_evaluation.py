"""Event scores: by hand, and equal to the shared benchmark's where that is at hand."""
import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartflow_assets.core.evaluation import EventScores, baselines, count_events, event_scores, no_labels

BENCHMARK = Path(__file__).parents[3] / "shared" / "benchmark"
START = pd.Timestamp("2026-01-07", tz="UTC")


def flags(*at: int, rows: int = 300) -> np.ndarray:
    marked = np.zeros(rows, dtype=bool)
    marked[list(at)] = True
    return marked


@pytest.mark.parametrize(("marked", "windows", "expected"), [
    (flags(), [], (0, 0, 0)),
    (flags(), [(50, 60)], (0, 1, 0)),
    (flags(50, 55, 60), [(50, 60)], (1, 0, 0)),           # many flags in one event count once
    (flags(62), [(50, 60)], (1, 0, 0)),                   # two rows late still counts
    (flags(63), [(50, 60)], (0, 1, 0)),                   # later is near: neither right nor wrong
    (flags(49), [(50, 60)], (0, 1, 0)),                   # early is near too
    (flags(39), [(50, 60)], (0, 1, 1)),
    (flags(100, 110), [], (0, 0, 1)),                     # ten rows apart is one alarm
    (flags(100, 111), [], (0, 0, 2)),
    (flags(*range(100, 151)), [], (0, 0, 2)),             # fifty rows on counts once more
    (np.ones(300, dtype=bool), [(50, 60)], (1, 0, 6)),    # flagging every row does not pay
])
def test_events_are_counted(marked, windows, expected):
    assert count_events(marked, windows) == expected


def test_scores_follow_from_counts():
    scores = EventScores(hits=6, misses=2, false_alerts=2)
    assert (scores.precision, scores.recall, scores.f1) == (0.75, 0.75, 0.75)
    assert EventScores(0, 0, 0).f1 == EventScores(0, 0, 0).precision == EventScores(0, 3, 0).recall == 0


def rows_of(series: str, count: int) -> pd.DataFrame:
    return pd.DataFrame({"series": series, "observed_at": pd.date_range(START, periods=count, freq="5min", unit="us")})


def test_series_are_counted_apart_and_labels_found_by_time():
    rows = pd.concat([rows_of("a", 300), rows_of("b", 300)], ignore_index=True).sample(frac=1, random_state=0)
    at = rows["observed_at"].iloc[0]
    assert at != START
    marked = ((rows["series"] == "a") & (rows["observed_at"] == START + pd.Timedelta("500min"))).to_numpy()
    labels = pd.DataFrame({
        "series": ["a", "b", "b", "c"],
        "started_at": [START + pd.Timedelta(minutes=m) for m in (490, 490, 100_000, 490)],
        "ended_at": [START + pd.Timedelta(minutes=m) for m in (510, 510, 100_010, 510)],
    })
    assert event_scores(rows, marked, labels) == EventScores(hits=1, misses=1, false_alerts=0)
    assert event_scores(rows, marked, no_labels()) == EventScores(hits=0, misses=0, false_alerts=1)


def test_baselines_flag_the_obvious_and_never_a_missing_value():
    values = np.r_[np.random.default_rng(0).normal(100, 5, 500), 1000, np.nan]
    found = baselines(pd.DataFrame({"series": "a", "value": values}))
    assert len(found) == 2
    for marked in found.values():
        assert marked[500]
        assert not marked[501]
    assert found["isolation forest, 8 %"].sum() == pytest.approx(40, abs=2)


@pytest.fixture(scope="module")
def metrics():
    if not (BENCHMARK / "metrics.py").exists():
        pytest.skip("the shared benchmark is not beside this repository; the cases above hold the same by hand")
    sys.path.insert(0, str(BENCHMARK))
    yield importlib.import_module("metrics")
    sys.path.remove(str(BENCHMARK))


@given(st.lists(st.integers(0, 199), max_size=40), st.lists(st.tuples(st.integers(0, 199), st.integers(0, 20)), max_size=5))
def test_counts_equal_the_shared_benchmarks(metrics, marked, spells):
    is_anomaly, is_label = flags(*marked, rows=200), np.zeros(200, dtype=bool)
    for first, length in spells:
        is_label[first:first + length + 1] = True
    windows = metrics.runs(is_label.astype(int))
    hits, false_alerts, misses, _ = metrics.event_counts(is_label, is_anomaly)
    assert count_events(is_anomaly, windows) == (hits, misses, false_alerts)
    ours, theirs = EventScores(hits, misses, false_alerts), metrics.event_prf([(hits, false_alerts, misses)])
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx(theirs)
