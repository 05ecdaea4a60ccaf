"""Event scores: by hand, and equal to the shared benchmark's where that is at hand."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartflow_assets.core.evaluation.metrics import EventScores, baselines, count_events, event_scores, no_labels, quality
from smartflow_assets.core.reports.quality_plot import quality_plot

BENCHMARK = Path(__file__).parents[4] / "shared" / "benchmark"
START = pd.Timestamp("2026-01-07", tz="UTC")


def flags(*at: int, rows: int = 300) -> np.ndarray:
    marked = np.zeros(rows, dtype=bool)
    marked[list(at)] = True
    return marked


@pytest.mark.parametrize(
    ("marked", "windows", "expected"),
    [
        (flags(), [], (0, 0, 0)),
        (flags(), [(50, 60)], (0, 1, 0)),
        (flags(50, 55, 60), [(50, 60)], (1, 0, 0)),  # many flags in one event count once
        (flags(62), [(50, 60)], (1, 0, 0)),  # two rows late still counts
        (flags(63), [(50, 60)], (0, 1, 0)),  # later is near: neither right nor wrong
        (flags(49), [(50, 60)], (0, 1, 0)),  # early is near too
        (flags(39), [(50, 60)], (0, 1, 1)),
        (flags(100, 110), [], (0, 0, 1)),  # ten rows apart is one alarm
        (flags(100, 111), [], (0, 0, 2)),
        (flags(*range(100, 151)), [], (0, 0, 2)),  # fifty rows on counts once more
        (np.ones(300, dtype=bool), [(50, 60)], (1, 0, 6)),  # flagging every row does not pay
    ],
)
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
    labels = pd.DataFrame(
        {
            "series": ["a", "b", "b", "c"],
            "started_at": [START + pd.Timedelta(minutes=m) for m in (490, 490, 100_000, 490)],
            "ended_at": [START + pd.Timedelta(minutes=m) for m in (510, 510, 100_010, 510)],
        }
    )
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
def test_counts_equal_the_shared_benchmarks(metrics, marked, intervals):
    is_anomaly, is_label = flags(*marked, rows=200), np.zeros(200, dtype=bool)
    for first, length in intervals:
        is_label[first : first + length + 1] = True
    windows = metrics.runs(is_label.astype(int))
    hits, false_alerts, misses, _ = metrics.event_counts(is_label, is_anomaly)
    assert count_events(is_anomaly, windows) == (hits, misses, false_alerts)
    ours, theirs = EventScores(hits, misses, false_alerts), metrics.event_prf([(hits, false_alerts, misses)])
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx(theirs)


STEP = pd.Timedelta("5min")
INTERVALS = {"a": [(40, 49), (120, 120), (200, 230)], "b": [(77, 90)], "calm": []}


def scored() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three series of 300 rows, one of them without labels: scores that are higher inside labels, and the flags above a threshold."""
    chance, rows, labels = np.random.default_rng(4), [], []
    for name, intervals in INTERVALS.items():
        score = chance.exponential(1, 300)
        for first, last in intervals:
            score[first + 2 : last + 1] += 2.5  # two rows late
            labels.append({"series": name, "started_at": START + first * STEP, "ended_at": START + last * STEP})
        rows.append(rows_of(name, 300).assign(raw_score=score, is_anomaly=score > 3.2))
    return pd.concat(rows, ignore_index=True), pd.DataFrame(labels)


def figures_of(found) -> dict[str, float]:
    return {
        "precision": found.events.precision,
        "recall": found.events.recall,
        "f1": found.events.f1,
        "point_precision": found.points.precision,
        "point_recall": found.points.recall,
        "point_f1": found.points.f1,
        "pr_auc": found.pr_auc,
        "delay": found.delay_seconds,
        "false_alerts": found.false_alerts_per_day,
    }


# `theirs` of the test below, made with metrics.py of the shared benchmark, which not every machine has
STORED = {
    "precision": 0.13636363636363635,
    "recall": 0.75,
    "f1": 0.23076923076923075,
    "point_precision": 0.4393939393939394,
    "point_recall": 0.5178571428571429,
    "point_f1": 0.47540983606557385,
    "pr_auc": 0.46552077420229887,
    "delay": 600.0,
    "false_alerts": 6.08,
}


def test_every_measure_has_the_value_of_the_shared_benchmark():
    rows, labels = scored()
    found = quality(rows.sample(frac=1, random_state=1), labels, step=STEP)
    assert figures_of(found) == pytest.approx(STORED)
    assert found.label_count == 4 and found.days == pytest.approx(3 * 300 / 288)


def test_the_shared_benchmark_still_says_what_was_stored(metrics):
    rows, _ = scored()
    counts, points, areas = [], [], []
    for name, own in rows.groupby("series"):
        y = np.zeros(300, dtype=int)
        for first, last in INTERVALS[str(name)]:
            y[first : last + 1] = 1
        flag, score = own["is_anomaly"].to_numpy(), own["raw_score"].to_numpy()
        counts.append(metrics.event_counts(y, flag))
        points.append(metrics.point_counts(y, flag))
        areas += [metrics.auc_pr(y, score)] if y.any() else []
    names = ("precision", "recall", "f1")
    theirs = dict(zip(names, metrics.event_prf(counts), strict=True))
    theirs |= dict(zip([f"point_{name}" for name in names], metrics.prf(*np.sum(points, axis=0)), strict=True))
    delays = [rows_late * STEP.total_seconds() for count in counts for rows_late in count[3]]
    theirs |= {
        "pr_auc": np.mean(areas),
        "delay": np.median(delays),
        "false_alerts": sum(count[1] for count in counts) / (900 * STEP / pd.Timedelta("1D")),
    }
    assert theirs == pytest.approx(STORED)


def test_roc_is_the_share_of_pairs_that_are_ranked_rightly_and_no_score_ranks_lowest():
    rows = rows_of("a", 5).assign(raw_score=[3.0, 1.0, np.nan, 2.0, 0.0], is_anomaly=False)
    labels = pd.DataFrame({"series": "a", "started_at": [START], "ended_at": [START + STEP]})  # the first two rows
    found = quality(rows, labels, step=STEP)
    assert found.roc_auc == pytest.approx(5 / 6)
    assert found.delay_seconds is None and (found.events.misses, found.points.misses) == (1, 2)
    labels["started_at"] += STEP
    labels["ended_at"] += STEP  # the second and the third: the one without a score loses against all three
    assert quality(rows, labels, step=STEP).roc_auc == pytest.approx(1 / 6)


def test_what_cannot_be_measured_is_none():
    rows = rows_of("a", 50).assign(raw_score=1.0, is_anomaly=False)
    found = quality(rows, no_labels(), step=STEP)
    assert (found.roc_auc, found.pr_auc, found.delay_seconds, found.label_count) == (None, None, None, 0)
    assert quality(rows[:0], no_labels(), step=STEP).series == ()


def test_curves_of_labelled_series_are_drawn_small():
    rows, labels = scored()
    drawn = quality_plot(rows, labels, title="t")
    assert drawn is not None and drawn.startswith(b"\x89PNG") and len(drawn) < 45_000
    assert quality_plot(rows[rows["series"] != "b"], labels, title="t") != drawn
    assert quality_plot(rows, no_labels(), title="t") is None
