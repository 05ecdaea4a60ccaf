from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.core.anomalies import explanation, grouping
from smartflow_assets_tests.core.simulated_source import STEP, at, in_runs, scores_of, violations_of


def found(text: str, **more) -> pd.DataFrame:
    rows = grouping.merge_violations(scores_of(text), violations_of(text))
    return grouping.group(rows, source="web", step=STEP, run_id="run1", **more)


def shares(text: str, **by_detector: float) -> pd.DataFrame:
    """Rows of detector_scores: the same shares in every row of the text."""
    return pd.DataFrame(
        [
            {"series": "requests", "observed_at": at(row), "detector": name, "share": share}
            for row in range(len(text))
            for name, share in by_detector.items()
        ]
    )


def history_of(values: list[float], days: int) -> pd.DataFrame:
    """Values of the days before row 0, oldest first, evenly spread."""
    times = pd.date_range(at(0) - timedelta(days=days), at(0), periods=len(values) + 1)[:-1].as_unit("us")
    return pd.DataFrame({"series": "requests", "observed_at": times, "value": values, "is_filled": False})


def test_what_a_detector_and_a_rule_flag_is_one_anomaly_that_names_both():
    both = grouping.merge_violations(scores_of("..w.."), violations_of("..r.."))
    (anomaly,) = grouping.group(both, source="web", step=STEP, run_id="r", components=shares(".....", seasonal=1.0)).to_dict("records")
    assert (anomaly["detectors"], anomaly["rules"]) == (["seasonal"], ["surge"])


def test_a_rule_alone_names_no_detector():
    (anomaly,) = found("..r..", components=shares(".....", seasonal=1.0)).to_dict("records")
    assert (anomaly["detectors"], anomaly["rules"], anomaly["contributions"]) == ([], ["surge"], {})


def test_a_rule_holds_where_nothing_was_scored():
    rows = grouping.merge_violations(scores_of("."), violations_of("..r"))
    assert list(grouping.group(rows, source="web", step=STEP, run_id="r")["started_at"]) == [at(2)]
    assert list(grouping.merge_violations(scores_of("").astype({"series": object}), violations_of("..r"))["metric"]) == ["requests"]


@pytest.mark.parametrize(("text", "intervals"), [("ww", 1), ("w.w", 1), ("w..w", 1), ("w...w", 2), ("w--w", 1), (".....", 0)])
def test_a_pause_of_two_buckets_does_not_part_a_spell(text, intervals):
    assert len(found(text)) == intervals


def test_a_spell_says_its_span_its_size_and_its_worst():
    (anomaly,) = found("..wcw..").to_dict("records")
    assert (anomaly["started_at"], anomaly["ended_at"], anomaly["peak_at"]) == (at(2), at(5), at(3))
    assert (anomaly["point_count"], anomaly["severity"], anomaly["value"]) == (3, "critical", 1600.0)
    assert anomaly["deviation_percent"] == pytest.approx(220) and anomaly["anomaly_score"] == pytest.approx(1 - 1e-6)
    assert anomaly["anomaly_id"] == grouping.anomaly_id("web", "requests", "anomaly", at(2))


def test_a_broken_rule_can_be_worse_than_the_score():
    rules = violations_of("..r").assign(severity="critical")
    rows = grouping.merge_violations(scores_of("..w"), rules)
    assert grouping.group(rows, source="web", step=STEP, run_id="r")["severity"].item() == "critical"


def test_contributions_are_shares_and_small_ones_are_not_named():
    (anomaly,) = found("..ww", components=shares("....", range_excess=0.3, seasonal=0.64, iqr=0.06)).to_dict("records")
    assert anomaly["contributions"] == {"seasonal": 0.64, "range_excess": 0.3, "iqr": 0.06}
    assert anomaly["detectors"] == ["seasonal", "range_excess"]


@pytest.mark.parametrize(
    ("text", "detector", "value", "expected"),
    [
        ("..w....", "seasonal", 1600, "point"),
        ("..www..", "seasonal", 1600, "collective"),
        ("..w....", "seasonal", 505, "contextual"),
        ("..w....", "subsequence_pca", 1600, "collective"),
        ("..w....", "flatline", 1600, "collective"),
        ("..w....", "missing", None, "volume"),
    ],
)
def test_the_type_follows_from_length_range_and_who_found_it(text, detector, value, expected):
    scores = scores_of(text).assign(value=lambda rows: rows["value"].where(~rows["is_anomaly"], value).astype(float))
    rows = grouping.merge_violations(scores, violations_of(""))
    past = history_of([480.0, 500, 520] * 100, days=7)
    found = grouping.group(rows, source="web", step=STEP, run_id="r", components=shares(text, **{detector: 1.0}), history=past)
    assert list(found["anomaly_type"]) == [expected]


def test_an_explanation_has_time_value_expectation_record_rule_and_shares():
    rows = grouping.merge_violations(scores_of("c"), violations_of("r"))
    (anomaly,) = grouping.group(
        rows,
        source="web",
        step=STEP,
        run_id="r",
        components=shares("c", seasonal=0.6, range_excess=0.4),
        history=history_of([500.0] * 300, days=40),
        units={"requests": "requests"},
    ).to_dict("records")
    assert anomaly["explanation"] == (
        "1,600 requests, usually 430 to 560 (1,040 above). Mon 00:00 UTC; highest in 28 days. Rule surge: 1550 is 3.1 x the median 500. "
        "Found by: seasonal 60 %, range excess 40 %."
    )


def test_times_of_an_explanation_are_local():
    (explanation,) = found("..www.", timezone="America/New_York")["explanation"]
    assert explanation.startswith("1,500, usually 430 to 560 (940 above). Sun 19:10 to 19:25 EST, 3 buckets.")


def test_days_are_named_by_their_date_in_their_zone():
    days = scores_of("w").assign(observed_at=pd.DatetimeIndex(["2026-03-28T23:00Z"]).as_unit("us"))  # a day of 23 hours in Berlin
    rows = grouping.merge_violations(days, violations_of(""))
    (explanation,) = grouping.group(rows, source="web", step=timedelta(days=1), run_id="r", timezone="Europe/Berlin")["explanation"]
    assert explanation.endswith(" (940 above). Sun 29 Mar.")


def test_a_lowest_value_is_said_too():
    scores = scores_of("w").assign(value=3.0)
    rows = grouping.merge_violations(scores, violations_of(""))
    (explanation,) = grouping.group(rows, source="web", step=STEP, run_id="r", history=history_of([500.0] * 30, days=5))["explanation"]
    assert "lowest in 5 days" in explanation


def course(values: list[float], flagged: int, rule: str | None = None) -> dict[str, pd.DataFrame]:
    """Rows and their past: a series of these values, of which the last `flagged` are anomalous, by detectors or by a rule alone."""
    text = "." * (len(values) - flagged) + ("." if rule else "c") * flagged
    scores = scores_of(text).assign(value=values, state=["missing" if value != value else "scored" for value in values])
    violations = violations_of("." * (len(values) - flagged) + "r" * flagged).assign(
        rule=rule, message="as the rule says", value=values[-1]
    )
    rows = grouping.merge_violations(scores, violations if rule else violations_of(""))
    return {"rows": rows, "history": scores[["series", "observed_at", "value"]].assign(is_filled=False)}


def explanation_of(values: list[float], flagged: int, detector: str = "seasonal", rule: str | None = None, **more) -> str:
    found = course(values, flagged, rule)
    components = shares("." * len(values), **{detector: 1.0})
    (anomaly,) = grouping.group(**found, components=components, source="web", step=STEP, run_id="r", **more).to_dict("records")
    return anomaly["explanation"]


WAVE = [500.0, 480, 510, 490, 520, 505, 495, 515, 485, 500]


def test_a_drop_to_zero_says_zero_and_what_is_usual():
    assert explanation_of([*WAVE, 0.0], 1, units={"requests": "requests"}).startswith("0 requests, usually 430 to 560. Mon 00:50 UTC.")


def test_a_run_of_zeros_says_for_how_long_too():
    zeros = explanation_of([*WAVE, *[0.0] * 5], 5, "zero_run", units={"requests": "requests"})
    assert zeros.startswith("0 requests for 25 min, usually 430 to 560. Mon 00:50 to 01:15 UTC, 5 buckets.")
    assert explanation_of([*WAVE, 0.0], 1, "zero_run").startswith("0, usually 430 to 560. Mon 00:50 UTC.")


def test_a_flat_run_says_for_how_long_and_how_often_the_value_changes():
    flat = explanation_of([*WAVE, *[450.0] * 5], 2, "flatline", units={"requests": "requests"})
    assert flat.startswith("flat at 450 requests for 25 min (usually changes each 5 min). Mon 00:50 to 01:15 UTC.")
    twice = [value for value in WAVE for _ in range(2)]
    assert "(usually changes each 10 min)" in explanation_of([*twice, *[450.0] * 9], 2, "flatline")


def test_what_is_still_strange_after_a_flat_run_does_not_hide_it():
    after = explanation_of([*WAVE, *[450.0] * 5, 425.0, 510.0], 4, "flatline")
    assert after.startswith("flat at 450 for 25 min (usually changes each 5 min). Mon 00:50 to 01:25 UTC.")


def test_a_flat_run_that_a_rule_finds_is_told_in_the_same_words():
    values = [*WAVE, 450.0, 451, 450, 451]
    assert explanation_of(values, 2, rule="stuck", flat_rules={"stuck": 1.0}).startswith(
        "flat at 450 for 20 min (usually changes each 5 min). Mon 00:50 to 01:10 UTC. Rule stuck: as the rule says."
    )


def test_a_value_far_off_that_is_flat_too_is_told_by_its_distance():
    assert explanation_of([*WAVE, *[450.0] * 5, 1600.0], 1, "seasonal").startswith("1,600, usually 430 to 560 (1,040 above).")


def test_silence_says_since_when():
    nan = float("nan")
    silent = explanation_of([*WAVE, nan, nan, nan, nan], 1, "missing", timezone="Europe/Berlin")
    assert silent.startswith("no value since Mon 01:50 CET, usually 430 to 560. Mon 01:50 to 02:10 CET.")
    found = course([*WAVE, nan, nan, nan], 1)
    filled = found["history"].assign(is_filled=[False] * 8 + [True] * 2 + [False] * 3)
    (anomaly,) = grouping.group(found["rows"], history=filled, source="web", step=STEP, run_id="r").to_dict("records")
    assert anomaly["explanation"].startswith("no value since Mon 00:40 UTC")  # what was filled in was not there


def test_a_broken_rule_alone_gives_its_own_reason():
    assert explanation_of([*WAVE, 0.0], 1, rule="outage").startswith("outage: as the rule says, usually 430 to 560. Mon 00:50 UTC.")
    assert explanation_of([*WAVE, 500.0], 1, rule="outage").startswith("outage: as the rule says. Mon 00:50 UTC.")


def test_what_is_usual_by_itself_is_said_to_be_odd():
    inside = explanation_of([*WAVE, 500.0], 1, "subsequence_pca")
    assert inside.startswith("500, inside the usual 430 to 560 but odd in its course.")
    assert "odd beside the other metrics" in explanation_of([*WAVE, 500.0], 1, "mahalanobis")


def test_the_worst_bucket_of_several_is_named():
    said = explanation_of([*WAVE, 1500.0, 1600.0], 2)
    assert said.startswith("1,600, usually 430 to 560 (1,040 above). Mon 00:50 to 01:00 UTC, 2 buckets, the worst at 00:55.")


@pytest.mark.parametrize("said", ["Call Ann. At once", "no. of orders is low"])
def test_a_headline_is_read_back_whole_whatever_a_person_wrote(said):
    written = explanation.explain(
        said,
        started_at=at(0),
        ended_at=at(1),
        worst_at=None,
        point_count=1,
        record="",
        rules={},
        contributions={"seasonal": 1.0},
        step=STEP,
        timezone="America/Sao_Paulo",
    )
    found = explanation.read(written)
    assert found.headline.replace("\N{NO-BREAK SPACE}", " ") == said
    assert (found.details, found.found_by) == ("Sun 21:00 UTC-03.", "seasonal 100 %")


def test_a_missing_row_is_neither_calm_nor_anomalous_and_hovering_is_not_calm():
    judged = grouping.merge_violations(scores_of(".-~w"), violations_of(""))
    assert list(judged["is_calm"]) == [True, False, False, False]
    assert list(judged["is_observed"]) == [True, False, True, True]
    assert list(judged["is_anomalous"]) == [False, False, False, True]


def test_a_null_verdict_of_a_row_that_is_warming_up_is_calm():
    warming = scores_of("..").assign(is_anomaly=pd.array([None, None], dtype="boolean"), anomaly_score=float("nan"), state="warming_up")
    assert grouping.merge_violations(warming, violations_of(""))["is_calm"].all()


@settings(max_examples=15, deadline=None)
@given(
    text=st.text(alphabet="...wcr-", min_size=1, max_size=80),
    first=st.integers(0, 80),
    length=st.integers(1, 20),
    late=st.text(alphabet="...wcr-", min_size=20, max_size=20),
)
@pytest.mark.soak
def test_regrouping_the_touched_region_is_grouping_everything(text, first, length, late):
    changed = (text[:first] + late[:length] + text[first + length :])[: len(text)]
    source = in_runs(text, [])
    source.run(changed, changed_from=min(first, len(text)), changed_until=min(first + length, len(text)))
    whole = in_runs(changed, [])
    pd.testing.assert_frame_equal(
        source.anomalies.drop(columns="run_id").reset_index(drop=True), whole.anomalies.drop(columns="run_id"), check_dtype=False
    )


def test_nothing_anomalous_is_an_empty_frame_with_types():
    empty = found("...")
    assert list(empty.columns) == grouping.ANOMALY_COLUMNS and empty["started_at"].dtype == "datetime64[us, UTC]"


def before(*intervals: tuple[int, int, str | None]) -> pd.DataFrame:
    """Anomalies of earlier: first bucket, buckets, direction."""
    rows = [("requests", at(row), at(row) + length * STEP, direction) for row, length, direction in intervals]
    return pd.DataFrame(rows, columns=["series", "started_at", "ended_at", "direction"])


DAY_ROWS = timedelta(days=1) // STEP


@pytest.mark.parametrize(
    ("earlier", "rows_ago", "buckets"),
    [
        ([(-22 * DAY_ROWS, 5, "spike")], 22 * DAY_ROWS, 5),
        ([(-22 * DAY_ROWS, 5, "spike"), (-3 * DAY_ROWS, 2, "drop")], 22 * DAY_ROWS, 5),  # it went the other way
        ([(-3 * DAY_ROWS, 2, "spike"), (-3 * DAY_ROWS + 9, 1, "spike")], 3 * DAY_ROWS, 10),  # two anomalies of one incident
        ([(-3 * DAY_ROWS, 2, "spike"), (-9, 1, "spike")], 3 * DAY_ROWS, 2),  # the newest is of this incident
        ([(-91 * DAY_ROWS, 5, "spike")], None, None),
        ([(-9, 1, "spike")], None, None),
        ([(9, 1, "spike")], None, None),  # it came later
        ([], None, None),
    ],
)
def test_the_last_similar_incident_is_named(earlier, rows_ago, buckets):
    (anomaly,) = found("..w", earlier=before(*earlier), incidents_apart=10 * STEP).to_dict("records")
    if rows_ago is None:
        assert pd.isna(anomaly["last_similar_at"]) and "Last similar" not in anomaly["explanation"]
        return
    assert anomaly["last_similar_at"] == at(-rows_ago)
    assert anomaly["last_similar_seconds"] == (buckets * STEP).total_seconds()
    assert " Last similar incident " in anomaly["explanation"] and anomaly["explanation"].endswith(" min.")


def test_the_last_similar_incident_may_be_of_the_same_run():
    first, second = found("w" + "." * 40 + "w", earlier=before(), incidents_apart=10 * STEP).to_dict("records")
    assert pd.isna(first["last_similar_at"]) and second["last_similar_at"] == first["started_at"]
    assert second["explanation"].endswith("Last similar incident 3 hours earlier, lasted 5 min.")


def test_an_anomaly_says_its_deviation_direction_and_extreme():
    history = history_of([500, 1500, 900], days=20)
    spike = found(".c", history=history, components=shares("..", seasonal=1.0)).iloc[0]
    assert (spike["deviation"], spike["direction"], spike["extreme"]) == (spike["value"] - spike["expected"], "spike", "highest in 20 days")
    unscored = grouping.merge_violations(scores_of("").astype({"series": object}), violations_of("..r"))
    rule_alone = grouping.group(unscored, source="web", step=STEP, run_id="r")
    assert pd.isna(rule_alone["deviation"].iloc[0]) and rule_alone["direction"].isna().all() and rule_alone["extreme"].isna().all()
