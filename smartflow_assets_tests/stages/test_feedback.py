"""What people say of incidents acts on what comes: weeks are replayed run by run, with and without it."""

import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.readers import file_signature
from smartflow_assets.adapters.warehouse.writes import Append, Rewrite
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import DecisionError
from smartflow_assets.core.temporal.recurring_time import RecurringTime
from smartflow_assets.stages.alerting import Failure, committed, record_failures
from smartflow_assets.stages.feedback import Given, Word, audit, does, give, undo
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.training_rows import learnable_rows
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows
from smartflow_assets_tests.stages import test_looks

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SHOP = """
name: shop
read: {type: csv, path: examples/shop.csv, time: timestamp}
metrics: [{name: orders, column: value, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
calendar: {timezone: Europe/Berlin}
detectors: [{type: mad}]
threshold: {score: 0.99}
freshness: off
profile: off
drift: off
alerts: {to: [file]}
"""
RULE = "rules: [{type: threshold, metric: orders, above: 1000}]\n"  # however often they come
FIRST, NOW = 21, START + 21 * DAY + 13 * HOUR  # the first surge is on the fourth Monday


def surges(home: Home, days: dict[float, float], of: float = 63.6) -> None:
    """Orders of so many days, with what comes on top at nine and ten of local time on some of them."""
    rows = daily_series(of, step=HOUR)
    rows["value"] = 500 + (rows["value"] - 500) % 13  # no wave, which a median would not follow
    local = pd.to_datetime(rows["timestamp"]).dt.tz_convert("Europe/Berlin")
    for day, size in days.items():
        is_in = (local.dt.date == (START + day * DAY).date()) & local.dt.hour.isin([9, 10])
        rows.loc[is_in, "value"] += size
    rows.to_csv(home.folder / "all.csv", index=False)


def run_at(home: Home, now: datetime) -> None:
    """A run that sees the rows up to now."""
    rows = pd.read_csv(home.folder / "all.csv")
    write_rows(home.settings.data / "examples/shop.csv", rows[pd.to_datetime(rows["timestamp"]) < now])
    home.run_stages("shop", now, run_id=f"run {now.isoformat()}")


def said(home: Home, *words: Word, now: datetime = NOW) -> Given:
    return give(home.warehouse, Catalogue.load(home.settings), words, by_whom="ann", now=now, patience=timedelta(0))


def taken_back(home: Home, feedback_id: str, now: datetime) -> Given:
    return undo(home.warehouse, Catalogue.load(home.settings), feedback_id, by_whom="ben", now=now, patience=timedelta(0))


def incidents(home: Home) -> pd.DataFrame:
    """The incidents of the surges, by the day on which they began."""
    rows = home.table("incidents", "cause = 'anomaly'").sort_values("opened_at")
    return rows.assign(day=[(at - pd.Timestamp(START)) // DAY for at in rows["opened_at"]]).set_index("day")


def told(home: Home) -> set[int]:
    """The days whose incidents people hear of."""
    rows = incidents(home)
    opened = home.table("alert_sends", "event = 'opened' AND status = 'planned'")["incident_id"]
    return {int(day) for day in rows.index[rows["incident_id"].isin(opened)]}


@pytest.fixture(scope="module")
def one_surge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with one surge, on a Monday at nine, of which people were told."""
    with pytest.MonkeyPatch.context() as patch:
        home = Home(tmp_path_factory.mktemp("surge"))
        patch.setenv("SMARTFLOW_HOME", str(home.folder))
        home.write_source("shop", SHOP)
        home.write_channels("file: {type: file}\n")
        surges(home, {FIRST: 900, 28: 950, 35: 850, 38: 900, 42: 900, 49: 1800, 63: 900})
        run_at(home, START + 20 * DAY)
        run_at(home, NOW)
        assert told(home) == {FIRST}
    return home.folder


@pytest.fixture
def shop(one_surge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    return Home(shutil.copytree(one_surge, tmp_path, dirs_exist_ok=True))


@pytest.fixture
def ruled(shop: Home) -> Home:
    """The same, where a rule finds each surge from now on."""
    shop.write_source("shop", SHOP + RULE)
    return shop


def name_of(home: Home, day: int = FIRST) -> str:
    return str(incidents(home).loc[day, "incident_id"])


MONDAYS_AND_THE_THURSDAY = (28, 35, 38, 42, 49, 63)


@pytest.mark.parametrize("hours", [(13,), (8, 9, 13)])
@pytest.mark.soak
def test_after_expected_like_mondays_are_muted_and_a_thursday_a_larger_one_and_one_after_its_expiry_alert(
    ruled: Home, hours: Sequence[int]
) -> None:
    (word,) = said(ruled, Word(name_of(ruled), "expected", "the mailing", lasting=40 * DAY)).said
    when = "every Mon 08:00 to 12:00 (Europe/Berlin)"
    assert f"nobody hears of the like {when}, up to 1.25 times as large, until 2026-05-02 15:00 CEST" in word.text
    for day in MONDAYS_AND_THE_THURSDAY:
        for hour in hours:
            run_at(ruled, START + day * DAY + hour * HOUR)
    rows = incidents(ruled)
    assert list(rows.index) == [FIRST, 28, 35, 38, 42, 49, 63]
    (feedback_id,) = ruled.table("feedback")["feedback_id"]
    assert rows["suppressed_by"].dropna().to_dict() == dict.fromkeys((28, 35, 42), f"feedback:{feedback_id}")
    assert told(ruled) == {FIRST, 38, 49, 63}
    (line,) = audit(ruled.warehouse, ["shop"])
    assert (line["verdict"], line["recurs"], line["muted_count"], line["given_by"]) == ("expected", "mon 08:00-12:00", 3, "ann")


@pytest.mark.soak
def test_what_is_taken_back_mutes_no_more_and_what_is_muted_and_goes_on_is_told(ruled: Home) -> None:
    said(ruled, Word(name_of(ruled), "expected"))
    run_at(ruled, START + 28 * DAY + 9 * HOUR)
    assert incidents(ruled).loc[28, "state"] == "suppressed" and told(ruled) == {FIRST}
    (feedback_id,) = ruled.table("feedback")["feedback_id"]
    answer = taken_back(ruled, feedback_id, START + 28 * DAY + 9 * HOUR)
    assert [each.text for each in answer.said] == [
        "open again: what was expected was taken back by ben",
        "expected taken back: it acts no more from the next run on",
    ]
    assert list(answer.sends["event"]) == ["opened"] and told(ruled) == {FIRST, 28}
    run_at(ruled, START + 36 * DAY)
    assert told(ruled) == {FIRST, 28, 35} and incidents(ruled)["suppressed_by"].isna().all()
    assert [each.text for each in taken_back(ruled, feedback_id, START + 36 * DAY).said] == [
        "is taken back already, or something else was said of it since"
    ]
    (line,) = audit(ruled.warehouse, [])
    assert (line["state"], line["undone_by"], does(line, "UTC")) == ("undone", "ben", "nothing: taken back by ben")


@pytest.mark.soak
def test_a_false_alarm_is_resolved_and_raises_the_threshold_just_so_far(shop: Home) -> None:
    surges(shop, {FIRST: 900, 28: 850, 30: 1300})
    run_at(shop, START + 21 * DAY + 10 * HOUR)
    answer = said(shop, Word(name_of(shop), "false_positive", "a test"))
    assert answer.said[0].text.startswith("called false_positive: its time is learnt as normal; what is no stranger and at most 905 above ")
    for day in (28, 30):
        run_at(shop, START + day * DAY + 13 * HOUR)
    (fed,), rows = shop.table("feedback").to_dict("records"), incidents(shop)
    assert list(rows.index) == [FIRST, 30] and told(shop) == {FIRST, 30} and rows.loc[30, "severity"] == "critical"
    scores = shop.table("anomaly_scores", f"observed_at > '{NOW}' AND state = 'scored'")
    raised = scores[scores["threshold"] > 0.9901]
    assert (raised["value"] - raised["expected"]).between(0, fed["deviation"] * 1.001).all() and not raised["is_anomaly"].any()
    surge = scores[scores["value"].between(1300, 1400)]
    assert len(surge) == 2 and set(surge.index) <= set(raised.index) and (surge["anomaly_score"] > 0.99).all()


def test_without_a_word_the_same_surge_is_an_incident(shop: Home) -> None:
    run_at(shop, START + 28 * DAY + 13 * HOUR)
    assert told(shop) == {FIRST, 28}


def learnt(home: Home, days: float) -> list[pd.Timestamp]:
    run = home.source_run("shop", START + days * DAY)
    found = learnable_rows(run, metric_groups(run)[0], None, is_accepting=False)
    assert found is not None
    return found.rows.dropna(subset="value")["observed_at"].tolist()


@pytest.mark.soak
def test_what_was_right_or_expected_is_never_learnt_and_a_false_alarm_is(shop: Home) -> None:
    run_at(shop, START + 22 * DAY)
    (row,) = incidents(shop).to_dict("records")
    surge = list(pd.date_range(row["opened_at"], row["last_seen_at"], freq=HOUR, inclusive="left"))
    assert row["state"] == "resolved" and not set(surge) & set(learnt(shop, 22))
    for verdict, is_learnt in (("false_positive", True), ("true_positive", False), ("expected", False), ("false_positive", True)):
        said(shop, Word(row["incident_id"], verdict), now=NOW + DAY)
        assert (set(surge) <= set(learnt(shop, 22))) == is_learnt, verdict
        assert bool(set(surge) & set(learnt(shop, 22))) == is_learnt
    assert [line["state"] == "undone" for line in audit(shop.warehouse, ["shop"])] == [False, True, True, True]


def test_a_false_alarm_that_goes_on_is_learnt_while_it_does(shop: Home) -> None:
    run_at(shop, START + 28 * DAY + 9 * HOUR)
    row = incidents(shop).loc[28]
    assert row["state"] == "open" and row["opened_at"] not in learnt(shop, 28.5)
    said(shop, Word(row["incident_id"], "false_positive"), now=START + 28 * DAY + 9 * HOUR)
    assert row["opened_at"] in learnt(shop, 28.5) and incidents(shop).loc[28, "resolved_by"] == "ann"


@pytest.mark.soak
def test_precision_by_feedback_is_measured_when_more_was_said(shop: Home) -> None:
    run_at(shop, START + 29 * DAY)
    said(shop, Word(name_of(shop), "true_positive"), Word(name_of(shop, 28), "false_positive"), now=START + 29 * DAY)
    for _ in range(2):
        run_at(shop, START + 30 * DAY)
    (row,) = shop.table("marts.detection_quality_latest").to_dict("records")
    assert (row["evidence"], row["precision"], row["true_positives"], row["false_positives"]) == ("feedback", 0.5, 1, 1)
    assert shop.count("detection_quality") == 1
    said(shop, Word(name_of(shop, 28), "true_positive"), now=START + 30 * DAY)
    run_at(shop, START + 31 * DAY)
    assert shop.table("detection_quality").sort_values("measured_at")["precision"].tolist() == [0.5, 1.0]


def test_a_word_said_twice_changes_nothing(shop: Home) -> None:
    word = Word(name_of(shop), "expected", "the mailing", RecurringTime.parse("mon 09:00-11:00"))
    assert said(shop, word).said[0].has_changed
    again = said(shop, word)
    assert [each.text for each in again.said] == ["is called expected already"] and shop.count("feedback") == 1
    assert shop.count("incident_events", "event = 'judged'") == 1


def test_all_words_are_written_or_none(shop: Home) -> None:
    step = record_failures(
        shop.warehouse,
        "shop",
        [Failure("raw_records", "gone")],
        frozenset(),
        policy=Catalogue.load(shop.settings).alert_policy("shop"),
        now=NOW,
        run_id="x",
    )
    committed(shop.warehouse, "x", step)
    (failed,) = shop.table("incidents", "cause = 'raw_records'")["incident_id"]
    with pytest.raises(DecisionError, match="not detected but happened, so it cannot be false_positive") as error:
        said(shop, Word(name_of(shop), "true_positive"), Word(failed, "false_positive", where="line 3"))
    assert error.value.where == "line 3" and shop.count("feedback") == 0
    with pytest.raises(DecisionError, match="does not recur"):
        said(shop, Word(name_of(shop), "true_positive", recurs=RecurringTime.parse("mon 09:00-11:00")))
    assert said(shop, Word(failed, "true_positive", "the disk")).said[0].text.startswith("called true_positive: counted as right")


def test_a_word_makes_its_source_due_and_so_does_taking_it_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_signature, "JUST_NOW", timedelta(0))
    home.write_source("web", WEB)
    home.write_channels("file: {type: file}\n")
    write_rows(home.settings.data / "examples/web.csv", daily_series(1))
    policy = Catalogue.load(home.settings).alert_policy("web")
    failure = [Failure("raw_records", "gone")]
    committed(home.warehouse, "x", record_failures(home.warehouse, "web", failure, frozenset(), policy=policy, now=START, run_id="x"))
    test_looks.run(home, test_looks.NOW)
    assert test_looks.run(home, test_looks.NOW) and test_looks.looked(home) == {}
    said(home, Word(home.table("incidents")["incident_id"].iloc[0], "true_positive"), now=test_looks.NOW)
    assert test_looks.looked(home) == {"web": "its tables have changed"}
    assert test_looks.run(home, test_looks.NOW) and test_looks.looked(home) == {}
    taken_back(home, home.table("feedback")["feedback_id"].iloc[0], test_looks.NOW)
    assert test_looks.looked(home) == {"web": "its tables have changed"}


def test_said_of_a_leader_it_is_said_of_all_that_are_told_by_it_and_taken_back_of_all(shop: Home) -> None:
    leader = name_of(shop)
    members = shop.table("incidents").assign(incident_id="member", series="returns", group_id=leader)
    events = shop.table("incident_events", f"incident_id = '{leader}' AND event = 'opened'")
    events = events.assign(incident_id="member", event_id="e1", series="returns")
    shop.warehouse.commit("test", [Rewrite("incidents", ("member",), members), Append("incident_events", events)])
    (answer,) = said(shop, Word(leader, "true_positive")).said
    assert answer.text.startswith("called true_positive: its time is never learnt from; the same of 1 that is told with it (")
    rows = shop.table("feedback")
    assert set(rows["incident_id"]) == {leader, "member"} and rows["feedback_id"].nunique() == 1
    taken_back(shop, rows["feedback_id"].iloc[0], NOW)
    assert {line["state"] for line in audit(shop.warehouse, ["shop"])} == {"undone"}
