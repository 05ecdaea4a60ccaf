from datetime import timedelta

import pandas as pd

from smartflow_assets.core.incidents.alert_planning import SEND_COLUMNS
from smartflow_assets.core.incidents.event_log import EVENT_COLUMNS, fold, in_order
from smartflow_assets.core.incidents.run_failures import Failure, close, record_run
from smartflow_assets_tests.core.simulated_source import POLICY, START, Source

RENAMED = Failure("raw_records", "web: column 'value' is gone (web.csv). Name it in read.columns.")


class Machinery:
    """Runs of one source that fail and succeed, a minute after each other unless told otherwise."""

    def __init__(self) -> None:
        self.log, self.sends = pd.DataFrame(columns=EVENT_COLUMNS), pd.DataFrame(columns=SEND_COLUMNS)
        self.runs = 0

    def run(self, *failures: Failure, succeeded: set[str] = frozenset(), minute: int | None = None, run_id: str | None = None):
        self.runs += 1
        news = record_run(
            self.log,
            failures,
            succeeded,
            sends=self.sends,
            source="web",
            policy=POLICY,
            run_id=run_id or f"run{self.runs}",
            now=START + timedelta(minutes=self.runs if minute is None else minute),
        )
        self.log = pd.concat([self.log, news.events], ignore_index=True) if len(self.log) else news.events
        self.sends = pd.concat([self.sends, news.sends], ignore_index=True) if len(self.sends) else news.sends
        return news

    @property
    def incidents(self) -> pd.DataFrame:
        return fold(self.log)


def test_a_failing_step_is_one_incident_and_one_message_until_it_succeeds():
    source = Machinery()
    for _ in range(3):
        source.run(RENAMED)
    source.run(succeeded={"raw_records", "clean_series"})
    (incident,) = source.incidents.to_dict("records")
    assert list(source.sends["event"]) == ["opened", "resolved"]
    assert incident["cause"] == "raw_records" and incident["series"] == "" and incident["state"] == "resolved"
    assert incident["severity"] == "critical" and incident["resolved_reason"] == "raw_records succeeded again"
    assert incident["title"] == "raw_records failed: column 'value' is gone (web.csv). Name it in read.columns."


def test_the_remedy_of_a_long_error_stands_in_the_incident_as_a_whole():
    source, remedy = Machinery(), "Mend the feed, or raise on_bad_rows.fail_above, whose default is 20 %."
    source.run(Failure("raw_records", f"web: {'30 % of the rows of a file cannot be read, ' * 6}{remedy}"))
    assert source.incidents["title"].iloc[0].endswith(remedy)


def test_settling_a_run_twice_adds_nothing():
    source = Machinery()
    source.run(RENAMED, run_id="a")
    assert source.run(RENAMED, run_id="a").events.empty
    source.run(succeeded={"raw_records"}, run_id="b")
    assert source.run(succeeded={"raw_records"}, run_id="b").events.empty


def test_the_success_of_another_step_resolves_nothing():
    source = Machinery()
    source.run(Failure("trained_models", "no memory"), succeeded={"raw_records"})
    assert source.run(succeeded={"raw_records"}).events.empty


def test_a_failure_that_is_back_says_since_when_and_so_does_its_end():
    source = Machinery()
    for failures in ([RENAMED], [], [RENAMED], [RENAMED], []):
        source.run(*failures, succeeded=set() if failures else {"raw_records"})
    told = [(entry["event"], entry["payload"].get("again_since")) for entry in in_order(source.log)]
    back = (START + timedelta(minutes=3)).isoformat()
    assert told == [("opened", None), ("resolved", None), ("reopened", back), ("seen", None), ("resolved", back)]


def test_a_failure_soon_after_recovery_reopens_and_a_later_one_is_new():
    source = Machinery()
    source.run(RENAMED)
    source.run(succeeded={"raw_records"})
    source.run(RENAMED, minute=10)
    assert list(source.log["event"]) == ["opened", "resolved", "reopened"]
    source.run(succeeded={"raw_records"}, minute=11)
    source.run(RENAMED, minute=300)
    assert len(source.incidents) == 2


def test_two_failures_for_one_cause_in_one_run_are_one():
    source = Machinery()
    source.run(Failure("check:volume", "first"), Failure("check:volume", "second"))
    assert list(source.incidents["body"]) == ["first"] and len(source.log) == 1


def test_closing_a_removed_source_resolves_everything_and_says_so():
    source = Source()
    source.run("..w")
    news = close(source.log, reason="the source was removed", sends=source.sends, policy=POLICY, now=START, run_id="x")
    assert list(news.incidents["resolved_reason"]) == ["the source was removed"] and list(news.sends["event"]) == ["resolved"]
