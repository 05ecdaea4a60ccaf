"""What people do to incidents: how these stand then, what people hear, and what runs make of it."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.core.errors import DecisionError
from smartflow_assets.core.incidents.decisions import Decisions
from smartflow_assets.core.incidents.event_log import in_order, row_dicts
from smartflow_assets.core.incidents.lifecycle import Silence
from smartflow_assets.core.incidents.messages import render
from smartflow_assets.core.severity import RANK
from smartflow_assets_tests.core.simulated_source import POLICY, Source, at, in_runs

LETTERS = st.text(alphabet="....~wcr-", min_size=30, max_size=30)
SIZES = st.lists(st.integers(1, 12), max_size=8)
FAR = at(10_000)


def only(source: Source) -> dict[str, Any]:
    (incident,) = row_dicts(source.incidents)
    return incident


def of_series(source: Source, series: str) -> dict[str, Any]:
    (incident,) = row_dicts(source.incidents[source.incidents["series"] == series])
    return incident


def after(text: str, decision: Callable[[Decisions, str], Any]) -> Source:
    """A source whose one incident somebody decided about after these rows."""
    source = in_runs(text, [])
    source.decide(lambda decisions: decision(decisions, only(source)["incident_id"]), now=at(len(text)))
    return source


def goes_on(source: Source, text: str) -> Source:
    """Row by row from where it stands."""
    for length in range(len(source.texts["requests"]) + 1, len(text) + 1):
        source.run(text[:length])
    return source


def resolved(text: str, note: str = "") -> Source:
    return after(text, lambda decisions, name: decisions.resolve(name, at(len(text)), note))


def test_who_acknowledges_stands_in_the_incident_and_hears_of_worse_and_of_the_end():
    source = after("..ww", lambda decisions, name: decisions.acknowledge(name, "on it"))
    incident = only(source)
    assert (incident["state"], incident["acknowledged_by"], incident["acknowledged_at"]) == ("acknowledged", "ann", at(4))
    assert goes_on(source, "..wwccccc.....").said() == ["opened", "escalated", "resolved"]


def test_a_return_of_what_was_acknowledged_is_open_again():
    source = goes_on(after("..wwwwwww", lambda decisions, name: decisions.acknowledge(name)), "..wwwwwww......w")
    assert only(source)["state"] == "open" and only(source)["acknowledged_by"] is None
    assert source.said() == ["opened", "resolved", "opened"]


def test_of_what_is_snoozed_people_hear_only_that_it_is_over():
    source = after("..ww", lambda decisions, name: decisions.snooze(name, FAR))
    assert only(source)["state"] == "suppressed" and only(source)["snoozed_until"] == FAR
    goes_on(source, "..wwccccccc")
    assert source.said() == ["opened"] and only(source)["severity"] == "critical"
    goes_on(source, "..wwccccccc....")
    assert source.said() == ["opened", "resolved"] and only(source)["snoozed_until"] is None


def test_a_snooze_that_is_over_reminds_whoever_was_told():
    source = after("..ww", lambda decisions, name: decisions.snooze(name, at(6)))
    goes_on(source, "..wwwww")
    source.decide(lambda decisions: decisions.wake(only(source)["incident_id"]), now=at(7), by_whom="smartflow")
    assert source.said() == ["opened", "reminder"] and only(source)["state"] == "open"
    told = in_order(source.log)[-1]["payload"]
    assert told["next_step"].startswith("The snooze of ann is over.") and told["value"] == 1500


def test_what_became_worse_in_a_snooze_is_told_as_worse_after_it():
    source = after("..ww", lambda decisions, name: decisions.snooze(name, at(6)))
    goes_on(source, "..wwccccc")
    source.decide(lambda decisions: decisions.wake(only(source)["incident_id"]), now=at(9), by_whom="smartflow")
    assert source.said() == ["opened", "escalated"]


def test_nobody_is_reminded_of_what_is_over():
    source = in_runs("..wwwwww", [])
    for decide in (Decisions.remind, lambda decisions, name: decisions.resolve(name, at(8))):
        source.decide(lambda decisions, what=decide: what(decisions, only(source)["incident_id"]), now=at(8))
    assert source.said() == ["opened", "resolved"]


def test_what_became_worth_telling_in_a_snooze_is_told_after_it():
    source = in_runs("..ww", [], POLICY.model_copy(update={"min_severity": "critical"}))
    source.decide(lambda decisions: decisions.snooze(only(source)["incident_id"], at(6)), now=at(4))
    goes_on(source, "..wwccc")
    assert source.said() == []
    source.decide(lambda decisions: decisions.wake(only(source)["incident_id"]), now=at(7))
    assert source.said() == ["opened"]


def test_the_later_word_of_two_snoozes_counts():
    source = after("..ww", lambda decisions, name: (decisions.snooze(name, at(60)), decisions.snooze(name, at(9))))
    assert only(source)["snoozed_until"] == at(9)


def test_what_a_person_resolved_stays_so_while_it_lasts_and_is_told_once():
    source = goes_on(resolved("..ww", "known"), "..wwwwwwwwww")
    incident = only(source)
    assert (incident["state"], incident["resolved_by"], incident["resolved_reason"]) == ("resolved", "ann", "resolved by ann: known")
    assert incident["resolved_at"] == at(4) and incident["recovered_at"] is None and source.said() == ["opened", "resolved"]
    goes_on(source, "..wwwwwwwwww...")
    assert only(source)["resolved_at"] == at(4) and only(source)["recovered_at"] == at(15)
    assert source.said() == ["opened", "resolved"]


def test_what_comes_after_the_calm_is_a_return_or_new_by_the_usual_rule():
    calm = goes_on(resolved("..ww"), "..wwwwww...")
    assert goes_on(calm, "..wwwwww.....w").said() == ["opened", "resolved", "opened"] and only(calm)["state"] == "open"
    late = goes_on(resolved("..ww"), "..wwwwww............w")
    assert len(late.incidents) == 2 and late.said() == ["opened", "resolved", "opened"]
    assert sorted(late.incidents["state"]) == ["open", "resolved"]


def test_what_a_person_resolved_is_open_again_when_it_gets_worse():
    source = goes_on(resolved("..ww"), "..wwwwcc")
    incident = only(source)
    assert (incident["state"], incident["resolved_by"], incident["resolved_at"]) == ("open", None, None)
    assert source.said() == ["opened", "resolved", "opened"]
    (worse,) = [entry for entry in in_order(source.log) if entry["event"] == "escalated"]
    told = render(incident | {"severity": "critical"}, "opened", worse["payload"], idempotency_key="k", happened_at=at(8))
    assert told.subject.startswith("[critical] web requests, worse since 00:20 UTC than ann left it: 1,600, usually")
    assert ", worse since 00:20 UTC" in told.text
    assert goes_on(source, "..wwwwcc....").said() == ["opened", "resolved", "opened", "resolved"]


@pytest.mark.parametrize("sizes", [[], [1] * 20])
def test_it_is_open_again_in_between_even_where_one_run_sees_the_worse_the_calm_and_what_comes_later(sizes):
    source, text = resolved("..ww"), "..wwwwcc............ww"
    for end in range(5, len(text)) if sizes else ():
        source.run(text[:end])
    source.run(text)
    first, later = row_dicts(source.incidents.sort_values("opened_at"))
    assert (first["state"], first["resolved_by"], first["resolved_reason"]) == ("resolved", None, "back to normal for 15 min")
    assert later["state"] == "open" and source.said() == ["opened", "resolved", "opened", "resolved", "opened"]


def test_it_is_no_worse_than_whoever_resolved_it_has_seen():
    """A spike that gets worse at once is told once, so nobody was told that it is critical; whoever resolved it saw it."""
    source = in_runs("..wc", [1] * 9)
    source.decide(lambda decisions: decisions.resolve(only(source)["incident_id"], at(4)), now=at(4))
    assert list(source.sends["event"]) == ["opened", "resolved"] and only(source)["severity"] == "critical"
    assert goes_on(source, "..wccccccc").said() == ["opened", "resolved"] and only(source)["state"] == "resolved"


def test_what_a_person_resolved_is_not_forgotten_while_it_is_not_calm():
    source = goes_on(resolved("..ww"), "..ww~~~~~~~~~~~~w")
    assert only(source)["state"] == "resolved" and source.said() == ["opened", "resolved"]


def test_what_is_split_from_a_silence_is_told_by_itself_from_then_on():
    source, silence = Source(), Silence("silence", at(1), None)
    source.run("..ww", silences=[silence])
    assert source.said() == [] and only(source)["group_id"] == "silence"
    source.decide(lambda decisions: decisions.split(only(source)["incident_id"]), now=at(4))
    source.run("..wwcccccc", silences=[silence])
    assert source.said() == ["opened", "escalated"]


def test_a_comment_changes_nothing_but_the_timeline():
    source = in_runs("..ww", [])
    before = source.incidents
    source.decide(lambda decisions: decisions.comment(only(source)["incident_id"], "the sale"), now=at(4))
    pd.testing.assert_frame_equal(source.incidents, before)
    assert in_order(source.log)[-1]["payload"]["note"] == "the sale" and source.said() == ["opened"]


def test_what_changes_nothing_is_no_event_and_says_so():
    source = in_runs("..w......", [])
    name, events = only(source)["incident_id"], len(source.log)

    def all_of_it(decisions: Decisions) -> None:
        decisions.acknowledge(name)
        decisions.snooze(name, FAR)
        decisions.wake(name)
        decisions.resolve(name, at(9))
        decisions.split(name)

    said = source.decide(all_of_it, now=at(9))
    assert len(source.log) == events and not any(each.has_changed for each in said)
    assert {each.text for each in said} == {
        "is resolved already, since 2026-01-05 00:30 UTC in the time of its data",
        "is told by itself already",
    }


GROUP = {"a": "..wwww", "b": "..wwww", "c": "..wwww"}


def test_resolving_a_leader_resolves_what_was_told_with_it():
    source = in_runs(GROUP, [])
    (said,) = source.decide(lambda decisions: decisions.resolve(of_series(source, "a")["incident_id"], at(6)), now=at(6))
    assert said.text == "resolved, with 2 that were told with it" and set(source.incidents["resolved_by"]) == {"ann"}
    source.run({series: f"{text}wwww" for series, text in GROUP.items()})
    assert source.said() == ["opened", "resolved"] and set(source.incidents["state"]) == {"resolved"}
    source.run({"a": "..wwwwwwww....", "b": "..wwwwwwww....", "c": "..wwwwwwwwcccc"})
    assert source.said() == ["opened", "resolved", "opened"] and of_series(source, "a")["state"] == "open"


def test_resolving_the_last_member_that_goes_on_resolves_its_leader():
    texts = {"a": "..ww....", "b": "..wwwwww"}
    source = in_runs(texts, [])
    assert of_series(source, "a")["recovered_at"] == at(7) and of_series(source, "a")["state"] == "open"
    source.decide(lambda decisions: decisions.resolve(of_series(source, "b")["incident_id"], at(8)), now=at(8))
    assert set(source.incidents["state"]) == {"resolved"} and source.said() == ["opened", "resolved"]


APART = {"a": "..wwwwwwwwww", "b": ".......wwwww"}


def test_what_is_merged_is_told_with_its_leader_and_its_own_end_to_whoever_was_told():
    source = in_runs(APART, [1] * 20)
    a, b = (of_series(source, series)["incident_id"] for series in "ab")
    source.decide(lambda decisions: decisions.merge(a, [b]), now=at(12))
    assert of_series(source, "b")["group_id"] == a and source.said() == ["opened", "opened"]
    source.run({"a": f"{APART['a']}....ww", "b": f"{APART['b']}cccccc"})
    assert of_series(source, "a")["state"] == "open" and of_series(source, "a")["severity"] == "critical"
    told = source.sends[source.sends["status"] == "planned"].groupby("incident_id")["event"].agg(list)
    assert told[a] == ["opened", "escalated"] and told[b] == ["opened"]


def test_what_is_split_is_told_by_itself_and_leaves_a_leader_that_is_over():
    source = in_runs({"a": "..ww....", "b": "..wwwwww"}, [])
    a, b = (of_series(source, series)["incident_id"] for series in "ab")
    source.decide(lambda decisions: decisions.split(b), now=at(8))
    told = source.sends[source.sends["status"] == "planned"].groupby("incident_id")["event"].agg(list)
    assert of_series(source, "b")["group_id"] is None and told[b] == ["opened"] and told[a] == ["opened", "resolved"]
    source.run({"a": "..ww........", "b": "..wwwwww...."})
    assert set(source.incidents["state"]) == {"resolved"} and list(source.sends["event"]).count("resolved") == 2


def test_what_would_be_heard_by_nobody_is_not_merged():
    source = in_runs({"a": "..w" + "." * 9, "b": ".........www"}, [])
    a, b = (of_series(source, series)["incident_id"] for series in "ab")
    with pytest.raises(DecisionError, match="nobody would hear of it"):
        source.decide(lambda decisions: decisions.merge(a, [b]), now=at(12))
    source.decide(lambda decisions: decisions.merge(b, [a]), now=at(12))
    assert of_series(source, "a")["group_id"] == b


# Acts of people at random moments

VERBS = ("acknowledge", "snooze", "wake", "resolve", "comment", "merge", "split")
ACTS = st.lists(st.tuples(st.integers(1, 30), st.sampled_from(VERBS), st.integers(0, 9)), max_size=6)
Acts = Sequence[tuple[int, str, int]]


def act(source: Source, row: int, verb: str, which: int) -> None:
    """The act, on one of the incidents that there are by then."""
    names = list(source.incidents.sort_values(["opened_at", "series"])["incident_id"])
    if not names:
        return
    name, other = names[which % len(names)], names[(which + 1) % len(names)]
    more = {"snooze": (at(row + which),), "resolve": (at(row),), "comment": ("well",), "merge": ([other],)}.get(verb, ())
    try:
        source.decide(lambda decisions: getattr(decisions, verb)(name, *more), now=at(row))
    except DecisionError:
        assert verb == "merge"


def with_acts(texts: dict[str, str], acts: Acts, sizes: Sequence[int]) -> Source:
    """Rows in runs of these sizes, which end at acts as well."""
    source, seen = Source(), 0
    ends = {sum(sizes[:count]) for count in range(1, len(sizes) + 1)} | {row for row, *_ in acts} | {30}
    for end in sorted(end for end in ends if 0 < end <= 30):
        source.run({series: text[:end] for series, text in texts.items()})
        for row, verb, which in acts:
            if row == end:
                act(source, row, verb, which)
        seen = end
    assert seen == 30
    return source


@settings(max_examples=6, deadline=None)
@given(text=LETTERS, acts=ACTS)
@pytest.mark.soak
def test_incidents_stand_as_a_model_of_a_few_lines_says(text, acts):
    acts = [each for each in acts if each[1] not in ("merge", "split")]
    source, by_data, model = Source(), Source(), dict[str, dict[str, Any]]()
    for end in range(1, 31):
        before = {row["incident_id"]: row for row in row_dicts(by_data.incidents)}
        events = by_data.run(text[:end]).events
        source.run(text[:end])
        for now in row_dicts(by_data.incidents):
            name, was = now["incident_id"], before.get(now["incident_id"])
            stands = model.setdefault(name, {"state": "open", "by_hand": None})
            is_back = bool((events["incident_id"].eq(name) & events["event"].eq("reopened")).any())
            is_worse = stands["by_hand"] is not None and RANK[now["severity"]] > RANK[stands["by_hand"]]
            has_lasted = now["last_seen_at"] - now["opened_at"] > POLICY.resolve_after
            if is_back or (is_worse and has_lasted and was is not None and was["state"] == "open"):
                stands |= {"state": "open", "by_hand": None}
            if now["state"] == "resolved" and (was is None or was["state"] == "open") and stands["by_hand"] is None:
                stands |= {"state": "resolved"}
        for row, verb, which in acts:
            if row == end and model:
                name = list(source.incidents.sort_values("opened_at")["incident_id"])[which % len(model)]
                severity = row_dicts(source.incidents[source.incidents["incident_id"] == name])[0]["severity"]
                act(source, row, verb, which)
                stands = model[name]
                if stands["state"] != "resolved" and not (verb == "wake" and stands["state"] != "suppressed"):
                    states = {"acknowledge": "acknowledged", "snooze": "suppressed", "wake": "open", "resolve": "resolved"}
                    stands |= {"state": states.get(verb, stands["state"]), "by_hand": severity if verb == "resolve" else None}
        found = {row["incident_id"]: row["state"] for row in row_dicts(source.incidents)}
        assert found == {name: stands["state"] for name, stands in model.items()}
        assert {row["incident_id"] for row in row_dicts(source.incidents) if row["resolved_by"]} == {
            name for name, stands in model.items() if stands["by_hand"] is not None
        }


@settings(max_examples=8, deadline=None)
@given(rows=st.lists(LETTERS, min_size=1, max_size=3), acts=ACTS, sizes=SIZES)
@pytest.mark.soak
def test_however_runs_cut_the_data_between_acts_incidents_stand_the_same(rows, acts, sizes):
    texts = {f"s{number}": text for number, text in enumerate(rows)}
    whole = with_acts(texts, acts, [])
    for cut in ([1] * 30, [7] * 5, sizes):
        pd.testing.assert_frame_equal(with_acts(texts, acts, cut).incidents, whole.incidents, check_dtype=False)


@settings(max_examples=8, deadline=None)
@given(rows=st.lists(LETTERS, min_size=1, max_size=3), acts=ACTS, sizes=SIZES)
@pytest.mark.soak
def test_nobody_hears_of_an_end_or_a_reminder_that_was_not_told_of_the_beginning_nor_of_two_beginnings_without_an_end(rows, acts, sizes):
    source = with_acts({f"s{number}": text for number, text in enumerate(rows)}, acts, sizes)
    assert source.sends["idempotency_key"].is_unique and source.log["event_id"].is_unique
    for _, told in source.sends[source.sends["status"] == "planned"].groupby("incident_id"):
        is_on = False
        for event in told["event"]:
            assert is_on == (event != "opened"), list(told["event"])
            is_on = event != "resolved"
    for incident in row_dicts(source.incidents):
        assert (incident["state"] == "acknowledged") <= (incident["acknowledged_by"] is not None)
        assert (incident["state"] == "open") <= (incident["acknowledged_by"] is None)
        assert (incident["snoozed_until"] is not None) == (incident["state"] == "suppressed")
    again = source.run(source.texts)
    assert again.events.empty and again.sends.empty
