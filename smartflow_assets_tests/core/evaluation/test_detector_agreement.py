"""How far detectors agree, on flags set by hand."""

from datetime import timedelta
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from smartflow_assets.core.evaluation.detector_agreement import DetectorResult, agreements, detector_columns, detector_rows, pair_rows
from smartflow_assets.core.evaluation.metrics import quality
from smartflow_assets.core.reports.comparison_plot import COLOURS, comparison_plot
from smartflow_assets.core.reports.comparison_report import comparison_page
from smartflow_assets.core.series.surprise import to_anomaly_score

pytestmark = pytest.mark.integration  # draws pictures

STEP = timedelta(minutes=5)
ROWS = 400
TIMES = pd.date_range("2026-03-02", periods=ROWS, freq=STEP, tz="UTC")
NOBODY = np.zeros(ROWS, dtype=bool)
THRESHOLD = 2.0


def result(name: str, *flagged: int, scores: np.ndarray | None = None, labels: pd.DataFrame | None = None) -> DetectorResult:
    """A detector that flags these rows of one series."""
    raw = np.linspace(0, 1, ROWS) if scores is None else scores.copy()
    raw[list(flagged)] = 2 * THRESHOLD
    frame = pd.DataFrame(
        {
            "series": "load",
            "observed_at": TIMES,
            "raw_score": raw,
            "threshold": to_anomaly_score(THRESHOLD),
            "is_anomaly": np.isin(np.arange(ROWS), flagged),
            "state": "scored",
        }
    )
    return DetectorResult(name, frame, None if labels is None else quality(frame, labels, step=STEP))


def labels(first: int, last: int) -> pd.DataFrame:
    return pd.DataFrame({"series": ["load"], "started_at": [TIMES[first]], "ended_at": [TIMES[last]]})


def test_rows_and_spells_that_both_flag_count_against_all_that_either_flags():
    one, other = result("one", 50, 51, 200), result("other", 51, 300)
    (found,) = agreements([one, other], NOBODY, STEP)
    assert found.rows == 1 / 4  # row 51 of 50, 51, 200 and 300
    assert found.intervals == 1 / 3  # 50 to 51, 200, 300


def test_flags_a_few_buckets_apart_are_one_spell():
    near, far = result("near", 53), result("far", 54)
    assert agreements([result("one", 50), near], NOBODY, STEP)[0].intervals == 1.0
    assert agreements([result("one", 50), far], NOBODY, STEP)[0].intervals == 0.0


def test_ranks_are_compared_whatever_the_scale():
    rising = np.linspace(0.1, 1, ROWS)
    (same,) = agreements([result("one", scores=rising), result("other", scores=rising**5)], NOBODY, STEP)
    (opposite,) = agreements([result("one", scores=rising), result("other", scores=1 / rising)], NOBODY, STEP)
    assert same.ranks == pytest.approx(1) and opposite.ranks == pytest.approx(-1)


def test_rows_that_one_of_them_does_not_score_are_not_ranked():
    rising = np.linspace(0.1, 1, ROWS)
    other = result("other", scores=rising)
    other.scores.loc[:199, ["raw_score", "state"]] = 0.0, "warming_up"
    assert agreements([result("one", scores=rising), other], NOBODY, STEP)[0].ranks == pytest.approx(1)


def test_where_nothing_is_flagged_there_is_no_agreement_to_speak_of():
    constant = np.ones(ROWS)
    pairs = agreements([result("one", scores=constant), result("other", scores=constant)], NOBODY, STEP)
    assert pair_rows(pairs) == [["one and other", "–", "–", "–"]]


def test_what_guards_flag_says_nothing_of_agreement():
    guarded = np.isin(np.arange(ROWS), [50, 51])
    (found,) = agreements([result("one", 50, 51, 200), result("other", 50, 51, 300)], guarded, STEP)
    assert found.rows == 0 and found.intervals == 0
    assert detector_rows([result("one", 50, 51, 200)], guarded, STEP)[0][1:3] == ["1", "1"]


def test_a_spell_in_which_another_one_has_a_part_is_not_found_alone():
    results = [result("one", 50, 51, 200), result("other", 53, 300, 350)]
    assert [row[:4] for row in detector_rows(results, NOBODY, STEP)] == [["one", "3", "2", "1"], ["other", "3", "3", "2"]]


def test_with_labels_each_is_measured():
    results = [result("one", 100, labels=labels(99, 110)), result("other", 300, labels=labels(99, 110))]
    columns = detector_columns(results)
    rows = [dict(zip(columns, row, strict=True)) for row in detector_rows(results, NOBODY, STEP)]
    assert [(row["recall"], row["F1"]) for row in rows] == [("1.00", "1.00"), ("0.00", "0.00")]
    assert "F1" not in detector_columns([result("one")])


def test_the_page_names_each_and_holds_its_pictures():
    page = comparison_page("Title", ["Fact."], [result("one", 50), result("other", 51)], NOBODY, STEP, {"load": b"\x89PNG"})
    assert "one and other" in page and page.count("data:image/png;base64,") == 1 and "://" not in page


def colours(png: bytes) -> set[str]:
    """Colours of which the picture has at least a line's worth, to the nearest of its palette."""
    pixels = np.asarray(Image.open(BytesIO(png)).convert("RGB")).reshape(-1, 3).astype(int)
    wanted = {name: [int(name[at : at + 2], 16) for at in (1, 3, 5)] for name in (*COLOURS, "#f5c6c2")}
    return {name for name, colour in wanted.items() if (np.abs(pixels - colour).sum(axis=1) < 12).sum() > 150}


@pytest.mark.soak
def test_each_detector_has_a_lane_of_its_colour_and_labels_are_shaded():
    rows = pd.DataFrame({"observed_at": TIMES, "value": np.sin(np.arange(ROWS) / 20)})
    results = [result("one", *range(50, 60)), result("other", *range(200, 210)), result("third")]
    found = colours(comparison_plot(rows, results, series="load", title="t", known=labels(50, 80)))
    assert {*COLOURS[:3], "#f5c6c2"} <= found and not {*COLOURS[4:8]} & found
    assert "#f5c6c2" not in colours(comparison_plot(rows, results, series="load", title="t"))


def test_of_many_rows_no_flag_is_lost_in_the_picture():
    many = 40_000
    times = pd.date_range("2026-03-02", periods=many, freq=STEP, tz="UTC")
    frame = pd.DataFrame(
        {"series": "load", "observed_at": times, "raw_score": 0.1, "threshold": 0.99, "is_anomaly": False, "state": "scored"}
    )
    flagged = frame.assign(is_anomaly=frame.index == 12_345, raw_score=np.where(frame.index == 12_345, 5.0, 0.1))
    rows = pd.DataFrame({"observed_at": times, "value": 0.0})
    calm, strange = (comparison_plot(rows, [DetectorResult("one", each)], series="load", title="t") for each in (frame, flagged))
    assert calm != strange


def test_nothing_to_draw_is_said():
    rows = pd.DataFrame({"observed_at": TIMES[:0], "value": []})
    with pytest.raises(ValueError, match="no rows"):
        comparison_plot(rows, [result("one")], series="load", title="t")
