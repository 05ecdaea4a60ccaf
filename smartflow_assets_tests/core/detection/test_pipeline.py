"""detect, fit_models and Scoring on frames: what comes back, row by row, and that runs may split time as they like."""

import subprocess
import sys
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from smartflow_assets.core.detection import (
    DetectionSettings,
    FittedModels,
    Scoring,
    detect,
    fit_models,
    minimum_rows,
    severity_of,
)
from smartflow_assets.core.errors import ModelError, SourceError
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.testing.series import HOUR, ROWS, SPIKE, daily, features_of, frame_of, with_spike

COLUMNS = [
    "series",
    "observed_at",
    "value",
    "expected",
    "lower",
    "upper",
    "raw_score",
    "anomaly_score",
    "threshold",
    "is_anomaly",
    "state",
    "severity",
    "explanation",
]


def flagged(result: pd.DataFrame) -> list[int]:
    return np.flatnonzero(result["is_anomaly"]).tolist()


def test_one_spike_is_one_anomalous_row_that_explains_itself() -> None:
    result = detect(frame_of(with_spike()), train_rows=300)
    assert list(result.columns) == COLUMNS
    assert flagged(result) == [SPIKE]
    row = result.loc[SPIKE]
    assert row["severity"] == "critical"
    assert row["anomaly_score"] > row["threshold"]
    assert row["value"] > row["upper"]
    assert row["explanation"].startswith("299, usually ") and " above); found by " in row["explanation"]
    assert result["explanation"][SPIKE + 1] == ""


def test_the_rows_after_a_spike_are_calm_again() -> None:
    counts = []
    for seed in range(5):
        values = 100 + np.random.default_rng(seed).normal(size=900)
        values[450] = 130
        counts.append(len(flagged(detect(frame_of(values, freq="5min")))))
    assert max(counts) <= 3


def test_a_calm_series_has_no_anomaly() -> None:
    assert flagged(detect(frame_of(daily()))) == []


def test_rows_that_are_learnt_from_are_warming_up_and_say_so() -> None:
    result = detect(frame_of(daily()), train_rows=300)
    assert (result["state"][:300] == "warming_up").all()
    assert (result["state"][300:] == "scored").all()
    assert result["raw_score"][:300].eq(0).all()
    assert result["explanation"][0] == "warming up: the first 300 rows are learnt from"
    assert detect(frame_of(daily(20)))["explanation"][0] == "warming up: 20 rows, 36 are needed"


def test_missing_rows_are_neither_scored_nor_flagged_until_the_silence_is_long() -> None:
    values = daily()
    values[600:605] = values[800:820] = np.nan
    result = detect(frame_of(values), train_rows=300)
    assert (result["state"][600:605] == "missing").all()
    assert flagged(result) == list(range(812, 820))
    assert np.isfinite(result["expected"]).all()
    assert result["explanation"][815] == "no value for longer than the series may be silent"


def test_the_order_of_rows_and_other_series_change_nothing() -> None:
    frame = pd.concat([frame_of(with_spike(), "a"), frame_of(daily(seed=5), "b")], ignore_index=True)
    shuffled = frame.sample(frac=1, random_state=0)
    result, mixed = detect(frame), detect(shuffled)
    pd.testing.assert_frame_equal(result, mixed.sort_index(), check_categorical=False)
    pd.testing.assert_frame_equal(result[:ROWS], detect(frame_of(with_spike(), "a")), check_categorical=False)


def test_history_is_learnt_from_and_not_returned() -> None:
    frame = frame_of(with_spike())
    whole, split = detect(frame, train_rows=400), detect(frame[400:], history=frame[:400])
    assert len(split) == ROWS - 400
    np.testing.assert_array_equal(whole["raw_score"][400:], split["raw_score"])


def test_direction_keeps_one_side() -> None:
    values = daily()
    values[700], values[900] = 300, -100
    both, spike, drop = (
        flagged(detect(frame_of(values), settings=DetectionSettings(direction=word))) for word in ("both", "spike", "drop")
    )
    assert (both, spike, drop) == ([700, 900], [700], [900])


@pytest.mark.parametrize("limit", ["90%", 120.0])
def test_small_changes_are_ignored_and_still_scored(limit: str | float) -> None:
    values = daily()
    values[700], values[900] = 180, 400
    frame = frame_of(values)
    result, plain = detect(frame, settings=DetectionSettings(ignore_small_changes=limit)), detect(frame)
    assert flagged(plain) == [700, 900]
    assert flagged(result) == [900]
    np.testing.assert_array_equal(result["raw_score"], plain["raw_score"])


def test_a_lower_threshold_flags_more() -> None:
    values = daily()
    values[500::60] += np.linspace(1, 10, len(values[500::60]))
    counts = [len(flagged(detect(frame_of(values), settings=DetectionSettings(sensitivity=word)))) for word in ("low", "medium", "high")]
    assert counts[0] < counts[1] < counts[2]
    strict = detect(frame_of(values), settings=DetectionSettings(threshold={"score": 0.9999999}))
    assert len(flagged(strict)) < counts[1]
    assert strict["threshold"].iloc[0] == pytest.approx(0.9999999)


def test_scale_changes_what_the_models_see() -> None:
    values = with_spike() * 1e-9
    robust, none = (detect(frame_of(values), settings=DetectionSettings(scale=word)) for word in ("robust", "none"))
    assert not np.array_equal(robust["raw_score"], none["raw_score"])


def test_contamination_sets_the_vote_of_the_forest() -> None:
    frame = frame_of(with_spike())
    features = frame[["series", "observed_at"]].assign(value=with_spike(), change=features_of(with_spike())[:, 1])
    counts = []
    for contamination in (0.01, 0.2):
        settings = DetectionSettings(detectors=[{"type": "isolation_forest", "contamination": contamination}], ensemble={"combine": "vote"})
        fitted = fit_models(frame[:400], settings, features=features, is_first=True)
        counts.append(len(flagged(Scoring(fitted).score(frame, features=features).scores)))
    assert 0 < counts[0] < counts[1] / 5


def test_detect_computes_the_features_that_a_forest_needs() -> None:
    result = detect(frame_of(with_spike()), settings=DetectionSettings(detectors=[{"type": "isolation_forest"}]), train_rows=400)
    assert int(result["raw_score"].idxmax()) in range(SPIKE, SPIKE + 3)
    assert result["is_anomaly"][SPIKE]


def test_a_gap_in_time_does_not_shift_the_season() -> None:
    frame = frame_of(daily())
    gappy = pd.concat([frame[:500], frame[511:]])
    assert flagged(detect(gappy, train_rows=300)) == []
    year_later = pd.concat([frame[:500], frame[500:].assign(observed_at=frame["observed_at"][500:] + pd.Timedelta(days=3500))])
    assert len(detect(year_later, train_rows=300)) == ROWS


@pytest.mark.parametrize("splits", [(1000,), (600, 601, 640, 900), tuple(range(310, ROWS, 40))], ids=["two", "five", "many"])
def test_any_number_of_runs_gives_the_same_scores_and_components(splits: tuple[int, ...]) -> None:
    frame = frame_of(with_spike())
    fitted = fit_models(frame[:300], step=HOUR, is_first=True)
    whole = Scoring(fitted).score(frame, components="all")
    edges = [0, *splits, ROWS]
    text = {"explanation": str, "severity": str, "state": str}
    rebuilt = [Scoring(fitted).score(frame[:b], components="all").scores[a:b] for a, b in pairwise(edges)]
    pd.testing.assert_frame_equal(pd.concat([run.astype(text) for run in rebuilt]), whole.scores.astype(text), check_exact=True)
    kept = Scoring(fitted)
    pieces = [kept.score(frame[a:b], components="all") for a, b in pairwise(edges)]
    scores = pd.concat([piece.scores.astype(text) for piece in pieces])
    pd.testing.assert_frame_equal(scores, whole.scores.astype(text), check_exact=True)
    components = pd.concat([piece.components for piece in pieces], ignore_index=True)
    pd.testing.assert_frame_equal(components, whole.components, check_exact=True)


def test_gaps_between_pieces_count_as_gaps_within() -> None:
    frame = frame_of(with_spike())
    frame = pd.concat([frame[:500], frame[511:600].assign(observed_at=frame["observed_at"][511:600] + pd.Timedelta(days=700))])
    fitted = fit_models(frame[:300], step=HOUR, is_first=True)
    kept = Scoring(fitted)
    pieces = pd.concat([kept.score(piece).scores["raw_score"] for piece in (frame[:450], frame[450:500], frame[500:])])
    np.testing.assert_array_equal(pieces, Scoring(fitted).score(frame).scores["raw_score"])


def test_models_score_as_detect_does() -> None:
    frame = frame_of(with_spike())
    fitted = fit_models(frame[:300], step=HOUR, is_first=True)
    pd.testing.assert_frame_equal(
        Scoring(fitted).score(frame).scores, detect(frame, train_rows=300), check_exact=True, check_categorical=False
    )


def test_a_later_training_scores_late_rows_of_its_own_training_window() -> None:
    frame = frame_of(daily())
    fitted = fit_models(frame[:800], step=HOUR)
    states = Scoring(fitted).score(frame).scores["state"]
    assert (states[: minimum_rows(fitted.settings, HOUR)] == "warming_up").all()
    assert (states[minimum_rows(fitted.settings, HOUR) :] == "scored").all()


def test_the_context_of_a_model_is_bounded() -> None:
    frame = frame_of(daily(30_000))
    fitted = fit_models(frame, step=HOUR)
    assert fitted.trained_to - fitted.context_from == 20_000 * pd.Timedelta(hours=1)


def test_blocks_and_chunks_beyond_the_history_give_equal_scores() -> None:
    frame = frame_of(daily(14_000))
    fitted = fit_models(frame[:500], step=HOUR, is_first=True)
    kept = Scoring(fitted)
    chunks = pd.concat([kept.score(frame[a:b]).scores["raw_score"] for a, b in pairwise((0, 3_001, 9_000, 13_500, 14_000))])
    np.testing.assert_array_equal(Scoring(fitted).score(frame).scores["raw_score"], chunks)


def test_stored_parts_rebuild_models_that_score_alike() -> None:
    import json

    frame = frame_of(with_spike())
    features = frame[["series", "observed_at"]].assign(value=with_spike(), change=features_of(with_spike())[:, 1])
    settings = DetectionSettings(detectors=[{"type": "seasonal"}, {"type": "isolation_forest"}], ignore_small_changes="5%")
    fitted = fit_models(frame[:400], settings, features=features, is_first=True)
    parts = fitted.parts()
    stored = ModelParts(json.loads(json.dumps(parts.parameters)), parts.arrays, parts.estimators)
    rebuilt = FittedModels.from_parts(stored)
    assert rebuilt.settings == settings
    pd.testing.assert_frame_equal(
        Scoring(fitted).score(frame, features=features).scores, Scoring(rebuilt).score(frame, features=features).scores, check_exact=True
    )
    with pytest.raises(ModelError, match="Train the source again"):
        FittedModels.from_parts(ModelParts({**parts.parameters, "form": 0}))


def test_shares_of_the_components_add_up() -> None:
    frame = frame_of(with_spike())
    components = Scoring(fit_models(frame[:300], step=HOUR, is_first=True)).score(frame).components
    assert components["observed_at"].unique().tolist() == [frame["observed_at"][SPIKE]]
    assert components["share"].sum() == pytest.approx(1)
    assert components["detector"].nunique() == len(DetectionSettings().active())


def test_a_series_that_training_has_not_seen_is_warming_up() -> None:
    fitted = fit_models(frame_of(daily(), "old"), step=HOUR)
    scores = Scoring(fitted).score(frame_of(daily(), "new")).scores
    assert (scores["state"] == "warming_up").all()
    assert scores["explanation"][0] == "warming up: the series is newer than the last training"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (frame_of(daily(5)).drop(columns="value"), "no column 'value' but series, observed_at"),
        (frame_of(daily(5)).assign(value="many"), "column 'value' holds no numbers"),
        (frame_of(daily(5)).assign(observed_at="soon"), "column 'observed_at' holds no times"),
        (frame_of(daily(5)).assign(observed_at=pd.NaT), "5 rows without a time"),
        (frame_of(daily(5)).assign(series=None), "5 rows have no series"),
        (pd.concat([frame_of(daily(5)), frame_of(daily(3))]), "series load: 3 times occur twice, the first is 2026-01-01T00:00:00"),
    ],
)
def test_a_frame_that_cannot_be_judged_is_refused_by_name(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        detect(frame)


def test_an_empty_frame_gives_an_empty_answer() -> None:
    assert list(detect(frame_of(daily(1))[:0]).columns) == COLUMNS
    with pytest.raises(SourceError, match="no row to learn from"):
        fit_models(frame_of(daily(1))[:0])


def test_progress_counts_every_row() -> None:
    done: list[int] = []
    detect(frame_of(daily(9000)), progress=done.append)
    assert sum(done) == 9000
    assert len(done) > 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"detectors": []}, "detectors is empty"),
        ({"detectors": [{"type": "mad"}, {"type": "mad", "window": 50}]}, "detector mad is listed twice"),
        ({"ensemble": {"members": ["iqr"]}}, "ensemble member iqr is not among the detectors"),
        ({"ignore_small_changes": "5"}, "neither a number nor a percentage"),
        ({"ignore_small_changes": "five%"}, "neither a number nor a percentage"),
        ({"ignore_small_changes": -1}, "cannot be negative"),
        ({"threshold": {"score": 1.5}}, "less than 1"),
        ({"sensitvity": "low"}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DetectionSettings.model_validate(settings)


def test_guards_are_always_on_and_listing_one_sets_its_parameters() -> None:
    assert [d.type for d in DetectionSettings(detectors=[{"type": "zscore"}]).active()] == ["zscore", "flatline", "missing", "zero_run"]
    active = DetectionSettings(detectors=[{"type": "missing", "rows": 2}, {"type": "zscore"}]).active()
    assert [getattr(d, "rows", None) for d in active if d.type == "missing"] == [2]
    chosen = DetectionSettings(detectors=[{"type": "zscore"}, {"type": "iqr"}], ensemble={"members": ["iqr"]}).active()
    assert [d.type for d in chosen] == ["iqr", "flatline", "missing", "zero_run"]


def test_severity_grows_with_the_distance_from_the_threshold() -> None:
    assert [severity_of(raw, 0.99) for raw in (2.0, 2.3, 3.9, 4.0)] == ["info", "warning", "warning", "critical"]


def test_minimum_rows_follow_the_step() -> None:
    settings = DetectionSettings()
    steps = (timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1), timedelta(days=1), timedelta(days=30))
    assert [minimum_rows(settings, step) for step in steps] == [288, 96, 36, 36, 100]


@pytest.mark.integration
def test_importing_detection_loads_no_heavy_library() -> None:
    code = (
        "import sys, smartflow_assets.core.detection; "
        "print([name for name in ('numba', 'sklearn', 'scipy', 'skops', 'matplotlib') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_nothing_below_zero_is_expected_of_a_series_that_never_was_there() -> None:
    counts = np.maximum(daily() - np.quantile(daily(), 0.05), 0)
    assert detect(frame_of(counts))["lower"].min() == 0
    assert detect(frame_of(counts - 5))["lower"].min() < 0
