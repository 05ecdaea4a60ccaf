"""What people hear later or not at all: too short, in a maintenance window, or too soon after the last time."""

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.core.incidents.alert_planning import TOO_SHORT
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.holds import HELD, UNTOLD, Telling
from smartflow_assets.core.incidents.maintenance import MaintenanceWindow
from smartflow_assets.core.incidents.routes import Route
from smartflow_assets_tests.core.simulated_source import POLICY, STEP, Source, at, in_runs


def heard(source: Source, until: pd.Timestamp) -> list[tuple[str, str]]:
    """Event and channel of what has gone out by a moment."""
    gone = source.gone(until)
    return list(zip(gone["event"], gone["channel"], strict=True))


def step_by_step(text: str, policy: AlertPolicy, every: int = 1) -> Source:
    """A run for each row, or for so many, which knows what was told of other incidents before, as a stage does."""
    source = Source(policy)
    for length in [*range(every, len(text), every), len(text)]:
        source.run(text[:length], recently=tellings(source))
    return source


def tellings(source: Source) -> list[Telling]:
    if source.sends.empty:
        return []
    newest = source.sends.drop_duplicates(["idempotency_key", "channel"], keep="last")
    told = newest[(newest["event"] == "opened") & (newest["status"] == "planned")].merge(source.incidents, on="incident_id")
    return [Telling("web", row["series"], row["cause"], row["channel"], row["due_at"], row["severity"]) for row in told.to_dict("records")]


def test_what_has_too_few_buckets_in_a_row_is_recorded_once_and_told_when_it_has_enough():
    policy = POLICY.model_copy(update={"min_points": 3})
    short = step_by_step("..ww........", policy)
    assert heard(short, at(99)) == [] and list(short.incidents["state"]) == ["resolved"]
    assert short.sends["error"].str.startswith(TOO_SHORT).tolist() == [True]
    long = step_by_step("..wwww........", policy)
    assert [event for event, _ in heard(long, at(99))] == ["opened", "resolved"]
    assert long.sends.loc[long.sends["status"] == "planned", "happened_at"].iloc[0] == at(5)


def test_all_in_one_run_says_the_same_of_short_ones():
    policy = POLICY.model_copy(update={"min_points": 3})
    assert [event for event, _ in heard(in_runs("..ww........wwww.....", [], policy), at(99))] == ["opened", "resolved"]


NIGHT = MaintenanceWindow.model_validate({"from": at(2).isoformat(), "until": at(10).isoformat(), "why": "backup"})


def test_what_is_over_when_the_window_is_over_is_told_nobody():
    policy = POLICY.model_copy(update={"maintenance": (NIGHT,)})
    for source in (step_by_step("...wwc.........", policy), in_runs("...wwc.........", [], policy)):
        assert heard(source, at(999)) == []
        assert source.sends["error"].iloc[-1].startswith(UNTOLD) and "(backup)" in source.sends["error"].iloc[-1]


def test_what_outlasts_the_window_is_told_once_with_its_end():
    policy = POLICY.model_copy(update={"maintenance": (NIGHT,)})
    source = step_by_step("...wwwwwwwwwwwwwwwwwww.....", policy)
    assert heard(source, at(15)) == [] and [event for event, _ in heard(source, at(99))] == ["opened", "resolved"]
    assert source.sends["error"].iloc[0].startswith(HELD) and source.sends["due_at"].iloc[0] == at(10) + policy.reopen_within


def test_what_begins_before_or_after_the_window_is_told_at_once():
    policy = POLICY.model_copy(update={"maintenance": (NIGHT,)})
    assert [event for event, _ in heard(step_by_step(".ww.........", policy), at(99))] == ["opened", "resolved"]
    assert [event for event, _ in heard(step_by_step("..........ww....", policy), at(99))] == ["opened", "resolved"]


QUIET = POLICY.model_copy(update={"suppress_for": timedelta(hours=6)})
AGAIN = "..w" + 12 * "." + "w" + 12 * "."


def test_a_series_that_people_heard_of_is_not_told_again_so_soon_unless_it_is_worse():
    source = step_by_step(AGAIN, QUIET)
    assert len(source.incidents) == 2 and [event for event, _ in heard(source, at(999))] == ["opened", "resolved"]
    assert source.sends["error"].iloc[-1].startswith(UNTOLD) and "suppress_for 6h" in source.sends["error"].iloc[-1]
    worse = step_by_step(AGAIN.replace("w", "c").replace("c", "w", 1), QUIET)
    assert [event for event, _ in heard(worse, at(999))] == ["opened", "resolved"] * 2


def test_what_lasts_longer_than_suppress_for_is_told_when_that_is_over():
    source = step_by_step("..w" + 12 * "." + 70 * "w", QUIET, every=3)
    assert [event for event, _ in heard(source, at(73))] == ["opened", "resolved"]
    assert [event for event, _ in heard(source, at(75))] == ["opened", "resolved", "opened"]


def test_two_incidents_of_one_run_are_told_once():
    assert [event for event, _ in heard(in_runs(AGAIN, [], QUIET), at(999))] == ["opened", "resolved"]


def test_what_gets_worse_goes_to_those_of_the_worse_route_too_and_its_end_to_both():
    routes = (Route(severity="critical", to="pager"),)
    policy = POLICY.model_copy(update={"to": ("mail",), "routes": routes})
    source = step_by_step("..wwwwwcccc.....", policy)
    assert heard(source, at(99)) == [
        ("opened", "mail"),
        ("escalated", "mail"),
        ("opened", "pager"),
        ("resolved", "mail"),
        ("resolved", "pager"),
    ]


@pytest.mark.soak
@settings(max_examples=60, deadline=None)
@given(
    text=st.text(alphabet="....~wcr-", min_size=1, max_size=40),
    sizes=st.lists(st.integers(1, 12), max_size=6),
    quiet=st.integers(0, 30),
    points=st.integers(1, 4),
    night=st.tuples(st.integers(0, 40), st.integers(1, 20)),
)
def test_whatever_waits_people_hear_of_beginnings_and_ends_in_turn_and_never_of_an_end_alone(text, sizes, quiet, points, night):
    window = MaintenanceWindow.model_validate({"from": at(night[0]).isoformat(), "until": at(sum(night)).isoformat()})
    policy = POLICY.model_copy(
        update={"suppress_for": quiet * STEP or None, "min_points": points, "maintenance": (window,), "to": ("a", "b")}
    )
    text = text + "." * 12  # all is over in the end
    source, end = Source(policy), 0
    for size in [*sizes, len(text)]:
        end = min(end + size, len(text))
        source.run(text[:end], recently=tellings(source))
    newest = source.sends.drop_duplicates(["idempotency_key", "channel"], keep="last")
    for _, told in newest[(newest["status"] == "planned") & (newest["event"] != "escalated")].groupby(["incident_id", "channel"]):
        assert list(told["event"]) == (["opened", "resolved"] * len(told))[: len(told)]
        incident = source.incidents.set_index("incident_id").loc[told["incident_id"].iloc[0]]
        is_over = incident["state"] == "resolved"
        assert len(told) % 2 == 0 or not is_over, "whoever heard of a beginning hears of its end"
        waits = told["error"].astype(str).str.startswith(HELD) & (told["event"] == "opened") & (told["due_at"] >= incident["last_seen_at"])
        assert not (is_over and waits.any()), "nothing waits for what was over before it was due"
    begun = newest[(newest["status"] == "planned") & (newest["event"] == "opened")].merge(source.incidents, on="incident_id")
    for row in begun.to_dict("records"):
        is_in = at(night[0]) <= row["opened_at"] < at(sum(night))
        assert not is_in or row["last_seen_at"] > at(sum(night)) or row["due_at"] >= at(sum(night)), "told in the window"
    assert source.sends[["idempotency_key", "channel", "status", "attempt"]].duplicated().sum() == 0
