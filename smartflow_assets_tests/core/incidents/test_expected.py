"""What a person has called expected is recorded and told nobody, as long as it is no more than that, whatever way runs cut the data."""

import random
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from smartflow_assets.core.feedback.expectations import Expectation
from smartflow_assets.core.temporal.recurring_time import RecurringTime
from smartflow_assets_tests.core.simulated_source import STEP, Source, at

ONE_TO_TWO = RecurringTime.parse("mon 01:00-02:00")  # rows 12 to 23
USUAL = Expectation(
    "ab12", "requests", "anomaly", "spike", 850.0, ONE_TO_TWO, "UTC", at(400)
)  # w is 1000 above, c 1100: 1.25 x 850 lies between


def text(**bursts: str) -> str:
    """Calm rows with what begins at row n (`r12="ww"`)."""
    rows = list("." * 80)
    for name, burst in bursts.items():
        rows[int(name[1:]) : int(name[1:]) + len(burst)] = burst
    return "".join(rows)


def ran(texts: str | dict[str, str], *ends: int, expectations=(USUAL,)) -> Source:
    """The source after runs that saw so many rows, and all."""
    source, texts = Source(), texts if isinstance(texts, dict) else {"requests": texts}
    for end in (*ends, max(map(len, texts.values()))):
        source.run({series: each[:end] for series, each in texts.items()}, expectations=expectations)
    return source


def kinds(source: Source) -> list[str]:
    return [kind for kind in source.log["event"] if kind != "seen"]


@pytest.mark.parametrize("ends", [(), (13,), (13, 15, 20, 30)])
def test_what_is_expected_is_recorded_with_the_reason_and_nobody_hears_of_it(ends: tuple[int, ...]) -> None:
    source = ran(text(r12="www"), *ends)
    (row,) = source.incidents.to_dict("records")
    assert (row["state"], row["suppressed_by"]) == ("resolved", "feedback:ab12")
    assert kinds(source) == ["opened", "suppressed", "resolved"] and source.said() == []
    assert len(source.sends) == 0


def test_it_is_suppressed_while_it_goes_on() -> None:
    (row,) = ran(text(r12="www")[:15]).incidents.to_dict("records")
    assert (row["state"], row["suppressed_by"]) == ("suppressed", "feedback:ab12") and pd.isna(row["snoozed_until"])


@pytest.mark.parametrize(
    "other",
    [
        replace(USUAL, series="errors"),
        replace(USUAL, cause="volume"),
        replace(USUAL, direction="drop"),
        replace(USUAL, deviation=799.0),
        replace(USUAL, recurs=RecurringTime.parse("tue 01:00-02:00")),
        replace(USUAL, timezone="Europe/Berlin"),
        replace(USUAL, until_at=at(12)),
    ],
)
def test_another_series_cause_way_size_or_time_is_told(other: Expectation) -> None:
    source = ran(text(r12="www"), expectations=(other,))
    assert source.said() == ["opened", "resolved"] and source.incidents["suppressed_by"].isna().all()


def test_what_grows_larger_is_told_when_it_does() -> None:
    source = ran(text(r12="wwcw"), 14, 15)
    assert kinds(source) == ["opened", "suppressed", "woken", "resolved"] and source.said() == ["opened", "resolved"]
    woken = source.log.loc[source.log["event"] == "woken", "payload"].iloc[0]
    assert '"note": "larger than 1.25 times what was called expected"' in woken and '"value": 1600.0' in woken
    assert source.incidents["suppressed_by"].isna().all()


def test_what_outlasts_its_time_by_more_than_an_hour_is_told() -> None:
    calm = ran(text(r20="w" * 16), 24)  # rows 20 to 35: over at 03:00
    assert calm.said() == [] and calm.incidents["suppressed_by"].tolist() == ["feedback:ab12"]
    longer = ran(text(r20="w" * 17), 24, 30)
    assert longer.said() == ["opened", "resolved"]
    assert '"note": "still there 1 h after its time, every Mon 01:00 to 02:00"' in "".join(longer.log["payload"])


def test_a_return_that_is_no_more_stays_untold_and_one_that_is_more_is_told() -> None:
    again = ran(text(r12="ww", r20="ww"), 13, 19, 21)
    assert again.said() == [] and kinds(again) == ["opened", "suppressed", "resolved", "reopened", "suppressed", "resolved"]
    worse = ran(text(r12="ww", r20="cc"), 13, 19, 21)
    assert worse.said() == ["opened", "resolved"] and kinds(worse)[3:] == ["reopened", "resolved"]


def test_what_people_were_told_of_is_not_taken_back_by_a_later_word() -> None:
    source = Source()
    source.run(text(r12="wwww")[:13])
    for end in (14, 15, 40):
        source.run(text(r12="wwww")[:end], expectations=(USUAL,))
    assert source.said() == ["opened", "resolved"] and "suppressed" not in kinds(source)


def test_what_is_expected_leads_nobody_and_follows_nobody() -> None:
    beside = {"requests": text(r12="ww"), "zeal": text(r12="ww"), "zest": text(r13="ww")}
    source = ran(beside)
    rows = source.incidents.set_index("series")
    assert rows.loc[["requests", "zeal"], "group_id"].isna().all()
    assert rows.loc["zest", "group_id"] == rows.loc["zeal", "incident_id"] and source.said() == ["opened", "resolved"]
    first = {"area": text(r12="ww"), "requests": text(r13="ww")}
    assert ran(first).incidents["group_id"].isna().all()


def test_somebody_may_take_on_what_is_suppressed_and_then_hears_of_it() -> None:
    source = Source()
    source.run(text(r12="wwww")[:13], expectations=(USUAL,))
    (incident,) = source.incidents["incident_id"]
    source.decide(lambda decisions: decisions.acknowledge(incident), now=at(13))
    assert source.incidents[["state", "suppressed_by"]].values.tolist() == [["acknowledged", None]]


def model(rows: str, incident: pd.Series) -> bool:
    """Whether an incident is one of which nobody need hear."""
    first, end = ((moment - at(0)) // STEP for moment in (incident["opened_at"], incident["last_seen_at"]))
    return 12 <= first < 24 and "c" not in rows[first:end] and end <= 36


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.soak if seed > 4 else ()) for seed in range(120)])
def test_the_same_is_suppressed_whatever_way_runs_cut_the_data(seed: int) -> None:
    dice = random.Random(seed)
    texts = {
        series: "".join(dice.choice([".......", "wwrww.", "w..w.", "wwcw", ".........", "...."]) for _ in range(12))
        for series in ("requests", "x")
    }
    ends = sorted(dice.sample(range(8, 50), dice.randint(0, 12)))
    both = (USUAL, replace(USUAL, series="x", feedback_id="cd34"))
    whole, cut = ran(texts, expectations=both), ran(texts, *ends, expectations=both)
    for source in (whole, cut):
        told = set(source.sends.loc[source.sends["status"] == "planned", "incident_id"])
        for _, row in source.incidents.iterrows():
            is_expected = model(texts[row["series"]], row)
            assert pd.notna(row["suppressed_by"]) == is_expected, (row["series"], row["opened_at"])
            leaders = {row["incident_id"], row["group_id"]}
            assert bool(told & leaders) != is_expected
    why = [source.incidents.set_index("incident_id")["suppressed_by"].dropna().to_dict() for source in (whole, cut)]
    assert why[0] == why[1]


def test_deadlines_are_of_the_data() -> None:
    ended = replace(USUAL, until_at=at(12) + timedelta(minutes=1))
    assert ran(text(r12="ww"), expectations=(ended,)).said() == [] and ran(text(r13="ww"), expectations=(ended,)).said() != []
