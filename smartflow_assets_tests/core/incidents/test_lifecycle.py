from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.core.anomalies.grouping import anomaly_id
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import fold, in_order, log_entry
from smartflow_assets.core.incidents.series_track import HEALED, RECONFIGURED
from smartflow_assets_tests.core.simulated_source import POLICY, STEP, Source, at, in_runs

# 40 points: a spike, a pause, the same matter again, a gap, calm
FORTY = "..........wcc.w......r.........--......."
TEXTS = st.text(alphabet="....~wcr-", min_size=1, max_size=40)
SIZES = st.lists(st.integers(1, 12), max_size=8)


def stand(source: Source) -> tuple[pd.DataFrame, pd.DataFrame]:
    anomalies = source.anomalies.drop(columns="run_id").reset_index(drop=True)
    return anomalies, source.incidents


def heard(source: Source, until: datetime) -> list[str]:
    """What people have heard by a moment."""
    return list(source.gone(until)["event"])


def assert_same(one: Source, other: Source) -> None:
    for left, right in zip(stand(one), stand(other), strict=True):
        pd.testing.assert_frame_equal(left, right, check_dtype=False)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.soak
def test_forty_points_stand_the_same_in_one_run_in_forty_and_in_sevens(size):
    assert_same(in_runs(FORTY, []), in_runs(FORTY, [size] * 40))


@settings(max_examples=12, deadline=None)
@given(text=TEXTS, other=TEXTS, sizes=SIZES)
@pytest.mark.soak
def test_however_runs_cut_the_data_anomalies_and_incidents_are_the_same(text, other, sizes):
    texts = {"requests": text, "errors": other[: len(text)].ljust(len(text), ".")}
    assert_same(in_runs(texts, []), in_runs(texts, sizes))


@settings(max_examples=8, deadline=None)
@given(text=TEXTS, sizes=SIZES, resolve_after=st.integers(0, 6), reopen_within=st.integers(0, 12))
def test_cuts_do_not_matter_under_any_policy(text, sizes, resolve_after, reopen_within):
    policy = AlertPolicy(to=("file",), resolve_after=resolve_after * STEP, reopen_within=reopen_within * STEP)
    assert_same(in_runs(text, [], policy), in_runs(text, sizes, policy))


@settings(max_examples=8, deadline=None)
@given(text=TEXTS, sizes=SIZES, changed_from=st.integers(0, 60))
def test_the_same_input_again_says_nothing(text, sizes, changed_from):
    source = in_runs(text, sizes)
    again = source.run(text, changed_from=min(changed_from, len(text)))
    assert again.events.empty and again.sends.empty and again.incidents.empty and again.summary == ""


@settings(max_examples=8, deadline=None)
@given(text=TEXTS, sizes=SIZES)
def test_messages_alternate_between_opened_and_resolved(text, sizes):
    source = in_runs(text, sizes)
    for _, told in source.sends[source.sends["event"] != "escalated"].groupby("incident_id"):
        assert list(told["event"]) == (["opened", "resolved"] * len(told))[: len(told)]
    assert source.sends["idempotency_key"].is_unique and source.log["event_id"].is_unique


@settings(max_examples=8, deadline=None)
@given(text=TEXTS, sizes=SIZES, cut=st.integers(0, 40))
def test_folding_prefix_by_prefix_is_folding_all(text, sizes, cut):
    log = in_runs(text, sizes).log
    piecewise = fold(log.iloc[cut:], onto=fold(log.iloc[:cut]))
    pd.testing.assert_frame_equal(piecewise, fold(log), check_dtype=False)


def test_one_spike_point_by_point_sends_one_message_and_one_recovery():
    source = in_runs(".......wwwww........", [1] * 40)
    assert source.said() == ["opened", "resolved"]
    (incident,) = source.incidents.to_dict("records")
    assert incident["opened_at"] == at(7) and incident["last_seen_at"] == at(12) and incident["resolved_at"] == at(15)
    assert incident["incident_id"] == anomaly_id("web", "requests", "anomaly", at(7))
    assert incident["resolved_reason"] == "back to normal for 15 min" and incident["anomaly_count"] == 1


def test_a_gap_does_not_resolve():
    source = in_runs("..w..-------", [1] * 40)
    assert list(source.incidents["state"]) == ["open"]
    source.run("..w..-------.")
    assert list(source.incidents["resolved_at"]) == [at(13)]


def test_what_hovers_at_the_cut_keeps_the_incident_open():
    source = in_runs("..w..~..~..~", [1] * 40)
    assert list(source.incidents["state"]) == ["open"]


def test_an_echo_inside_the_usual_range_does_not():
    source = in_runs("..weeeeee", [1] * 40)
    assert list(source.incidents["state"]) == ["resolved"]


def test_a_rule_alone_opens_an_incident_and_calm_resolves_it():
    assert in_runs("...rr......", [1] * 20).said() == ["opened", "resolved"]


def test_back_within_reopen_within_is_the_same_incident():
    source = in_runs("..w........w....", [1] * 20)
    assert len(source.incidents) == 1 and source.incidents["anomaly_count"].item() == 2
    assert list(source.log["event"]) == ["opened", "resolved", "reopened", "resolved"]


def test_a_return_after_the_end_was_told_is_told_with_its_time_and_so_is_its_end():
    source = in_runs("..wwwwwwww......w....", [1] * 40)
    assert source.said() == ["opened", "resolved", "opened", "resolved"]
    told = [entry["payload"].get("again_since") for entry in in_order(source.log) if entry["event"] != "seen"]
    assert told == [None, None, at(16).isoformat(), at(16).isoformat()]


def test_a_recovery_and_a_return_that_one_run_sees_are_not_told():
    assert in_runs("..w........w....", []).said() == ["opened", "resolved"]
    assert in_runs("..w........w.", [5]).said() == ["opened"]


def test_a_return_that_is_worse_is_told_as_worse_unless_the_same_run_sees_its_end():
    assert in_runs("..w........c....", [13] + [1] * 3).said() == ["opened", "escalated", "resolved"]
    assert in_runs("..w........c" + "." * 20, []).said() == ["opened", "resolved"]


HOURS = POLICY.model_copy(update={"reopen_within": timedelta(hours=1)})


@pytest.mark.parametrize("size", [1, 7, 999])
def test_what_comes_and_goes_is_one_incident_one_message_and_one_recovery_however_runs_cut_it(size):
    rng = np.random.default_rng(5)
    text = "..w" + "".join(rng.choice([".", "w"], 200, p=[0.85, 0.15])) + "." * 40
    source = Source(HOURS)
    for end in [*range(size, len(text), size), len(text)]:
        source.run(text[:end])
    assert len(source.incidents) == 1 and source.incidents["anomaly_count"].item() > 10
    assert heard(source, at(len(text))) == ["opened"] and heard(source, at(9999)) == ["opened", "resolved"]


def test_a_blip_is_told_as_over_once_it_can_no_longer_come_back_as_the_same():
    source = in_runs("..w....", [1] * 20)
    assert source.incidents["state"].item() == "resolved" and heard(source, at(8)) == ["opened"]
    assert heard(source, at(8 + 6 + 1)) == ["opened", "resolved"]  # 30 min, and as long as a run looks back
    assert heard(in_runs("..wwwwww....", [1] * 20), at(12)) == ["opened", "resolved"]  # it lasted that long: at once
    policy = POLICY.model_copy(update={"reopen_within": timedelta(0)})
    assert heard(in_runs("..w....", [1] * 20, policy), at(7)) == ["opened", "resolved"]


def test_a_return_before_the_end_was_told_is_told_only_where_it_is_worse():
    assert heard(in_runs("..w....w....", [1] * 20, HOURS), at(99)) == ["opened", "resolved"]
    assert heard(in_runs("..w....c....", [1] * 20, HOURS), at(99)) == ["opened", "escalated", "resolved"]


def test_each_return_doubles_what_it_takes_to_be_over():
    text = "..w" + "......w" * 3
    source = in_runs(text + "." * 8, [1] * 99, HOURS)
    waiting = source.gone(at(999)).iloc[-1]
    assert waiting["event"] == "resolved" and "more of calm, lest it comes back" in waiting["error"]
    assert waiting["due_at"] - source.incidents["resolved_at"].item() > 8 * HOURS.reopen_within
    again = in_runs(text + "." * (3 + 95) + "w", [1] * 99, HOURS)
    assert len(again.incidents) == 1 and heard(again, at(len(text) + 99)) == ["opened"]


def test_a_return_after_an_end_that_was_too_old_to_tell_is_told():
    policy = POLICY.model_copy(update={"max_age": 6 * STEP})
    assert in_runs("..w........w", [], policy).said() == ["opened"]


def test_what_is_not_over_is_told_however_old_its_newest_anomaly_is():
    """Nobody looked for ten buckets, in which nothing was strange and nothing calm."""
    policy = POLICY.model_copy(update={"max_age": 6 * STEP})
    assert in_runs("..w~~~~~~~~~~", [2], policy).said() == ["opened"]
    assert in_runs("..w..........", [2], policy).said() == []


def test_an_end_that_late_data_moves_is_no_return():
    source = in_runs("..w........", [1] * 20)
    source.run("..ww.......", changed_from=3)
    assert all("again_since" not in entry["payload"] for entry in in_order(source.log))


def test_the_title_is_the_headline_of_the_newest_anomaly():
    (incident,) = in_runs("..w........w....", []).incidents.to_dict("records")
    assert incident["title"] == "1,500, usually 430 to 560 (940 above)" and incident["body"].startswith(
        f"{incident['title']}. Mon 00:55 UTC."
    )


def test_back_later_is_a_new_incident():
    source = in_runs("..w............w....", [1] * 20)
    assert list(source.incidents.sort_values("opened_at")["opened_at"]) == [at(2), at(15)]
    assert source.incidents["fingerprint"].nunique() == 1


def test_a_short_spike_that_gets_worse_is_one_message():
    source = in_runs("..wcc......", [1] * 20)
    assert source.said() == ["opened", "resolved"]
    assert source.incidents["severity"].item() == "critical"


def test_a_lasting_incident_that_gets_worse_is_told_once_more():
    assert in_runs("..wwcccccc......", [1] * 20).said() == ["opened", "escalated", "resolved"]


@pytest.mark.soak
def test_below_min_severity_nobody_is_told_until_it_is_worse():
    policy = POLICY.model_copy(update={"min_severity": "critical"})
    assert in_runs("..www......", [1] * 20, policy).sends.empty
    assert in_runs("..wwc......", [1] * 20, policy).said() == ["opened", "resolved"]


def test_each_channel_is_told():
    source = in_runs("..w......", [1] * 20, POLICY.model_copy(update={"to": ("mail", "hook")}))
    assert list(zip(source.sends["event"], source.sends["channel"], strict=True)) == [
        ("opened", "mail"),
        ("opened", "hook"),
        ("resolved", "mail"),
        ("resolved", "hook"),
    ]


def test_what_ended_long_ago_is_recorded_and_skipped():
    source = Source()
    news = source.run("..w.......w......", now=at(0) + timedelta(days=30))
    assert set(source.sends["status"]) == {"skipped"} and set(source.sends["event"]) == {"opened"}
    assert "max_age 1 day" in source.sends["error"].iloc[0]
    assert news.summary == "1 past incident is recorded without telling anybody: 2 messages skipped."
    assert list(source.incidents["state"]) == ["resolved"]


def test_a_rebuild_is_quiet():
    source = Source()
    source.run("..w......", quiet_before=at(9))
    assert set(source.sends["status"]) == {"skipped"}


def test_late_data_that_heals_resolves_with_that_reason():
    source = in_runs("..w", [1] * 5)
    source.run("....", changed_from=2)
    (incident,) = source.incidents.to_dict("records")
    assert incident["state"] == "resolved" and incident["resolved_reason"] == HEALED and incident["resolved_at"] == at(4)
    assert source.said() == ["opened", "resolved"]


def test_a_series_that_a_new_configuration_does_not_know_ends_its_incident_with_that_reason():
    source = Source()
    source.run("..w")
    source.run({"visits": "..."}, changed_from=0, quiet_before=at(3))
    (incident,) = source.incidents.to_dict("records")
    assert incident["state"] == "resolved" and incident["resolved_reason"] == RECONFIGURED
    assert source.said() == ["opened", "resolved"]


def test_after_a_rebuild_late_data_still_heal():
    source = Source()
    source.run("..")
    source.run("...w", quiet_before=at(2))
    source.run("....", changed_from=3, quiet_before=at(2))
    assert list(source.incidents["resolved_reason"]) == [HEALED]


def test_what_late_data_healed_and_broke_again_soon_is_one_message():
    source = in_runs("..w", [1] * 5)
    source.run("....", changed_from=2)
    source.run("..w.", changed_from=2)
    assert source.said() == ["opened"] and len(source.incidents) == 1


@pytest.mark.parametrize("late", ["..www....", "....ww...", "..w.w....", "...ww...."])
def test_a_moved_a_merged_or_a_split_spell_opens_nothing(late):
    source = in_runs("...ww", [1] * 5)
    source.run(late[:5], changed_from=2)
    source.run(late)
    assert len(source.incidents) == 1 and source.said() == ["opened", "resolved"]


def test_two_incidents_that_late_data_merges_open_nothing():
    source = in_runs("..w............w...", [1] * 20)
    said = source.said()
    source.run("..wwwwwwwwwwwwww...", changed_from=3)
    assert len(source.incidents) == 2 and source.said() == said


def test_an_end_that_late_data_moves_is_corrected_without_a_word():
    source = in_runs("..w........", [1] * 20)
    said = source.said()
    source.run("..ww.......", changed_from=3)
    (incident,) = source.incidents.to_dict("records")
    assert source.said() == said and incident["last_seen_at"] == at(4) and incident["resolved_at"] == at(7)


def test_a_new_anomaly_before_an_older_incident_is_an_incident_of_its_own():
    source = in_runs("....................w.....", [1] * 30)
    source.run("..w.................w.....", changed_from=2)
    assert sorted(source.incidents["opened_at"]) == [at(2), at(20)]


def person(source: Source, kind: str) -> None:
    incident = source.incidents.iloc[0].to_dict()
    entry = log_entry(
        incident,
        kind,
        severity=incident["severity"],
        happened_at=at(99),
        run_id="",
        by_whom="ann",
        payload={"sequence": len(source.log) + 1},
    )
    source.log = pd.concat([source.log, pd.DataFrame([entry])], ignore_index=True)


def test_an_acknowledged_incident_stays_so_until_it_is_over():
    source = in_runs("..w", [])
    person(source, "acknowledged")
    source.run("..ww")
    assert list(source.incidents["state"]) == ["acknowledged"]
    source.run("..ww...")
    assert list(source.incidents["state"]) == ["resolved"] and source.said() == ["opened", "resolved"]
    person(source, "acknowledged")
    assert list(source.incidents["state"]) == ["resolved"]


def test_a_suppressed_incident_is_silent():
    source = in_runs("..w", [])
    person(source, "suppressed")
    source.run("..wwcccccccc")
    source.run("..wwcccccccc....")
    assert source.said() == ["opened"] and list(source.incidents["state"]) == ["resolved"]


def test_an_event_of_an_incident_that_was_never_opened_is_refused():
    log = in_runs("..w....", [1] * 9).log
    with pytest.raises(ValueError, match="never opened"):
        fold(log[log["event"] != "opened"])
