"""What breaks together: one incident with members, one message, one recovery, however runs cut the data."""

import json
from cProfile import Profile
from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.core.anomalies import grouping
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import in_order, log_entry, row_dicts
from smartflow_assets.core.incidents.groups import Move, turns
from smartflow_assets.core.incidents.lifecycle import Silence
from smartflow_assets.core.incidents.messages import Message, render
from smartflow_assets.core.incidents.run_failures import close
from smartflow_assets.core.rules.base import no_violations
from smartflow_assets_tests.core.simulated_source import POLICY, START, STEP, Source, at, in_runs, scores_of

LETTERS = st.text(alphabet="....~wcr-", min_size=30, max_size=30)
TWENTY = {f"revenue{{region={number:02}}}": ".." + "." * (number % 3) + "w" * (2 + number % 5) + "." * 20 for number in range(20)}


def incident_of(source: Source, series: str) -> dict:
    (incident,) = row_dicts(source.incidents[source.incidents["series"] == series])
    return incident


def messages(source: Source) -> list[Message]:
    """What went out, of the file channel, as the outbox would say it."""
    incidents = {row["incident_id"]: row for row in row_dicts(source.incidents)}
    told = {(send["incident_id"], send["run_id"], send["event"]) for send in row_dicts(source.sends) if send["status"] == "planned"}
    kinds = {"reopened": "opened"}
    return [
        render(
            incidents[entry["incident_id"]] | {"severity": entry["severity"]},
            kinds.get(entry["event"], entry["event"]),
            entry["payload"],
            idempotency_key="k",
            happened_at=entry["happened_at"],
        )
        for entry in in_order(source.log)
        if (entry["incident_id"], entry["run_id"], kinds.get(entry["event"], entry["event"])) in told
    ]


def modelled(texts: dict[str, str], policy: AlertPolicy) -> pd.DataFrame:
    """Which incidents there must be: those of each series alone, one after another; what begins within reach of a leader follows it,
    and the leader is over when all are."""
    alone = pd.concat([in_runs({series: text}, [], policy).incidents for series, text in texts.items()])
    reach, found = min(2, max(1, -(-policy.resolve_after // STEP))) * STEP, list[dict]()
    for incident in alone.sort_values(["opened_at", "series"]).to_dict("records"):
        leader = next((each for each in found if each["group_id"] is None and incident["opened_at"] - each["opened_at"] <= reach), None)
        found.append(incident | {"group_id": leader and leader["incident_id"]})
    for leader in found:
        group = [each for each in found if leader["incident_id"] in (each["incident_id"], each["group_id"])]
        leader["ends"] = pd.NaT if any(each["state"] == "open" for each in group) else max(each["resolved_at"] for each in group)
    return pd.DataFrame(found).sort_values("incident_id", ignore_index=True)


@settings(max_examples=6, deadline=None)
@given(
    rows=st.lists(LETTERS, min_size=2, max_size=4),
    sizes=st.lists(st.integers(1, 12), max_size=8),
    resolve_after=st.integers(0, 4),
    reopen_within=st.integers(0, 8),
)
@pytest.mark.soak
def test_however_runs_cut_the_data_groups_are_the_same_and_those_of_the_model(rows, sizes, resolve_after, reopen_within):
    texts = {f"s{number}": text for number, text in enumerate(rows)}
    policy = AlertPolicy(to=("file",), resolve_after=resolve_after * STEP, reopen_within=reopen_within * STEP)
    whole = in_runs(texts, [], policy).incidents
    for cut in ([1] * 40, [7] * 40, sizes):
        pd.testing.assert_frame_equal(in_runs(texts, cut, policy).incidents, whole, check_dtype=False)
    model = modelled(texts, policy)
    assert list(whole["incident_id"]) == list(model["incident_id"]) if len(model) else whole.empty
    for found, expected in zip(row_dicts(whole), row_dicts(model), strict=True):
        assert (found["group_id"], found["resolved_at"]) == (expected["group_id"], expected["ends"])
        assert found["state"] == ("open" if expected["ends"] is None else "resolved")


@settings(max_examples=6, deadline=None)
@given(rows=st.lists(LETTERS, min_size=2, max_size=4), sizes=st.lists(st.integers(1, 12), max_size=8))
@pytest.mark.soak
def test_members_say_nothing_and_leaders_say_opened_and_resolved_in_turn(rows, sizes):
    source = in_runs({f"s{number}": text for number, text in enumerate(rows)}, sizes)
    members = set(source.incidents.loc[source.incidents["group_id"].notna(), "incident_id"])
    told = source.sends[source.sends["status"] == "planned"]
    assert not members & set(told["incident_id"])
    for _, sends in told[told["event"] != "escalated"].groupby("incident_id"):
        assert list(sends["event"]) == (["opened", "resolved"] * len(sends))[: len(sends)]
    assert source.run(source.texts).events.empty


@pytest.mark.parametrize("size", [1, 7, 40])
@pytest.mark.soak
def test_twenty_series_are_one_message_and_one_recovery(size):
    source = in_runs(TWENTY, [size] * 40)
    assert source.said() == ["opened", "resolved"]
    leader = incident_of(source, "revenue{region=00}")
    assert source.incidents["group_id"].value_counts().to_dict() == {leader["incident_id"]: 19} and leader["group_id"] is None
    assert leader["resolved_at"] == source.incidents["resolved_at"].max() and leader["recovered_at"] == at(7)
    assert set(source.sends.loc[source.sends["status"] == "skipped", "error"]) == {f"told with incident {leader['incident_id']}"}


def test_the_message_names_ten_worst_first_and_counts_the_rest():
    texts = TWENTY | {"revenue{region=07}": "..c" + "." * 22}
    opened, resolved = messages(in_runs(texts, []))
    assert opened.subject == "[critical] 20 series of web: revenue{region=07} 1,600, usually 430 to 560 (1,040 above), and 19 more"
    named = [line.strip() for line in opened.text.splitlines()[3:15]]
    assert named[0] == "Series:         revenue{region=07}: 1,600, usually 430 to 560 (1,040 above)"
    assert named[1] == "revenue{region=00}: 1,500, usually 430 to 560 (940 above); warning"
    assert named[10] == "and 10 more" and named[11].startswith("Incident since:")
    assert not any(label in opened.text for label in ("Value:", "Found by:", "Rules:"))
    assert resolved.subject == "[resolved] 20 series of web after 40 min"
    assert opened.facts["member_count"] == 20 and len(opened.facts["members"]) == 20
    assert opened.facts["members"][0]["series"] == "revenue{region=07}" and opened.facts["members"][0]["value"] == 1600.0
    assert json.loads(json.dumps(opened.facts, allow_nan=False)) == opened.facts
    assert "revenue{region=07}: 1,600" in opened.html and "and 10 more" in opened.html


def test_a_metric_that_is_called_like_its_unit_is_not_said_twice():
    texts = {"requests": "..w.....", "errors": "..w....."}
    source = Source()
    source.run(texts, units={"requests": "requests"})
    # the headline of simulated anomalies has no unit, so it is put there by hand
    opened = messages(source)[0].facts
    opened["members"][0] |= {"series": "requests", "metric": "requests", "unit": "requests", "title": "1,500 requests, usually 430 to 560"}
    (incident,) = [row for row in row_dicts(source.incidents) if row["group_id"] is None]
    assert ": requests 1,500, usually" in render(incident, "opened", opened, idempotency_key="k", happened_at=START.to_pydatetime()).subject


def test_one_alone_reads_as_ever():
    opened, _ = messages(in_runs("..w.....", []))
    assert opened.subject == "[warning] web requests: 1,500, usually 430 to 560 (940 above)"
    assert opened.facts["members"] == [] and opened.facts["member_count"] is None


def test_a_member_that_recovers_alone_says_nothing_and_the_leader_stays_open():
    texts = {"a": "..w" + "." * 12, "b": "..wwwwwwww....."}
    source = in_runs({name: text[:9] for name, text in texts.items()}, [1] * 12)
    leader = incident_of(source, "a")
    assert source.said() == ["opened"] and leader["state"] == "open" and leader["recovered_at"] == at(6)


@pytest.mark.soak
def test_what_joins_after_the_message_says_nothing_unless_it_is_worse():
    assert in_runs({"a": "..wwwwwww....", "b": "....wwwww...."}, [1] * 20).said() == ["opened", "resolved"]
    worse = in_runs({"a": "..wwwwwwwwww....", "b": "....cccccccc....", "c": "....cccccccc...."}, [1] * 20)
    assert worse.said() == ["opened", "escalated", "resolved"]
    assert messages(worse)[1].subject.startswith("[escalated to critical] 3 series of web: b 1,600, usually")


def test_what_begins_later_is_an_incident_of_its_own():
    source = in_runs({"a": "..wwwwwww....", "b": ".....wwww...."}, [])
    assert source.incidents["group_id"].isna().all() and source.said() == ["opened", "resolved", "opened", "resolved"]


def test_the_end_of_a_group_says_why_each_of_it_ended():
    over, back = "the series is over", "back to normal for 1 h"
    moves = [Move(START, 1, "a"), Move(START, 1, "b")]
    moves += [Move(START + timedelta(days=1), -1, "a", over), Move(START + timedelta(days=2), -1, "b", back)]
    assert [turn.reason for turn in turns(0, moves)] == ["", f"{back}; 1 other: {over}"]


def test_a_member_that_is_back_brings_the_group_back():
    source = in_runs({"a": "..wwwwwww...........", "b": "..wwwwwwww.....w...."}, [1] * 20)
    assert source.said() == ["opened", "resolved", "opened", "resolved"]
    again = messages(source)[2]
    assert again.subject.startswith("[warning] 2 series of web again since 01:15 UTC: a 1,500, usually")
    assert incident_of(source, "a")["resolved_at"] == incident_of(source, "b")["resolved_at"] == at(19)


def test_what_begins_in_a_silence_joins_the_silence_and_leads_nothing():
    source = Source()
    source.run({"a": "..w", "b": "..w"}, silences=[Silence("silence", at(1), None)])
    assert set(source.incidents["group_id"]) == {"silence"} and source.said() == []


@pytest.mark.soak
def test_below_min_severity_a_group_is_told_when_one_of_it_is_worse():
    policy = POLICY.model_copy(update={"min_severity": "critical"})
    assert in_runs({"a": "..wwww....", "b": "..www....."}, [1] * 20, policy).said() == []
    assert in_runs({"a": "..wwww....", "b": "...wc....."}, [1] * 20, policy).said() == ["opened", "resolved"]


def test_a_member_that_a_person_has_suppressed_does_not_escalate():
    source = in_runs({"a": "..w", "b": "..w"}, [])
    member = incident_of(source, "b")
    said = log_entry(member, "suppressed", severity="warning", happened_at=at(3), run_id="", by_whom="ann", payload={"sequence": 9})
    source.log = pd.concat([source.log, pd.DataFrame([said])], ignore_index=True)
    source.run({"a": "..wwwwwwww", "b": "..wccccccc"})
    assert source.said() == ["opened"] and incident_of(source, "a")["severity"] == "warning"


def test_a_series_whose_rows_come_late_joins_without_a_word_and_moves_the_end():
    source = in_runs({"a": "..w.......", "b": ".........."}, [1] * 20)
    source.run({"a": "..w.......", "b": "..www....."}, changed_from=2)
    leader = incident_of(source, "a")
    assert source.said() == ["opened", "resolved"] and leader["resolved_at"] == at(8) and leader["recovered_at"] == at(6)
    assert incident_of(source, "b")["group_id"] == leader["incident_id"]


def test_a_source_that_is_removed_ends_a_group_once_and_says_how_many():
    source = in_runs({"a": "..w", "b": "..w"}, [])
    news = close(source.log, reason="the source was removed", sends=source.sends, policy=POLICY, now=START, run_id="x")
    assert list(news.sends["event"]) == ["resolved"]
    (told,) = [entry for entry in in_order(news.events) if entry["incident_id"] == news.sends["incident_id"].item()]
    assert told["payload"]["member_count"] == 2


@pytest.mark.soak
def test_a_thousand_series_are_one_message_at_a_cost_that_grows_with_their_number():
    def calls(count: int) -> int:
        source, counted = Source(), Profile()
        texts = {f"s{number:04}": "..www......." for number in range(count)}
        source.run(texts, now=START + timedelta(hours=2))
        assert source.said() == ["opened", "resolved"]
        assert max(source.log["payload"].str.len()) < 100_000, "only the worst are named"
        rows = grouping.merge_violations(scores_of("", "s"), no_violations())
        source.log, source.sends = source.log[:0], source.sends[:0]
        counted.runcall(source.alert, rows, at(0), now=START + timedelta(hours=2))
        assert source.said() == ["opened"]
        return sum(entry.callcount for entry in counted.getstats())

    assert calls(600) < 12 * calls(60)


def test_a_leader_that_is_told_with_other_sources_leads_its_own_and_says_nothing_by_itself():
    source = in_runs({"a": "......ww", "b": "........"}, [])
    leader = incident_of(source, "a")
    joined = log_entry(leader, "grouped", severity="warning", happened_at=at(8), run_id="pass", payload={"sequence": 50, "group_id": "g"})
    taken = source.sends.assign(status="skipped", error="told with incident g")
    source.log, source.sends = pd.concat([source.log, pd.DataFrame([joined])]), pd.concat([source.sends, taken])
    across = {leader["incident_id"]: "g"}
    source.run({"a": "......wwww", "b": "........cc"}, across=across)
    assert incident_of(source, "b")["group_id"] == leader["incident_id"]
    source.run({"a": "......wwww" + "c" * 4 + "." * 10, "b": "........cc" + "." * 14}, across=across)
    assert set(source.incidents["state"]) == {"resolved"} and incident_of(source, "a")["group_id"] == "g"
    after = source.sends[source.sends["run_id"].isin(["run2", "run3"])]
    assert set(after["status"]) <= {"skipped"} and "resolved" not in set(after["event"])
