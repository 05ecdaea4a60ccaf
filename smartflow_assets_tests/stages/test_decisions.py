"""What people decide of incidents, in the warehouse: who wakes what is snoozed, what a decision costs, and what runs make of it."""

import json
from collections.abc import Callable
from datetime import timedelta

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Prune
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import WarehouseBusyError
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.decisions import Decisions
from smartflow_assets.core.incidents.event_log import fold
from smartflow_assets.stages import alerting, ingestion
from smartflow_assets.stages.alerting import Failure, close_incidents_of, committed, drain_outbox, record_failures
from smartflow_assets.stages.decisions import decide, pass_time
from smartflow_assets.stages.scheduling.looks import look, look_at_all
from smartflow_assets_tests.homes import START, STEP, WEB, Home, daily_series, write_rows
from smartflow_assets_tests.stages.test_looks import NOW, run, settled

__all__ = ["settled"]

HOUR = timedelta(hours=1)
POLICY = AlertPolicy(to=("file",))
GONE = Failure("raw_records", "web: column 'value' is gone", severity="warning")
WORSE = Failure("raw_records", "web: the file is gone", severity="critical")


@pytest.fixture
def failing(home: Home) -> Home:
    """A source one of whose steps has failed, of which people were told, and whose last run found nothing to do."""
    home.write_source("web", WEB)
    home.write_channels("file: {type: file}\n")
    write_rows(home.settings.data / "examples/web.csv", daily_series(1))
    run(home, NOW)
    runs(home, GONE)
    drain(home)
    assert run(home, NOW)
    return home


def runs(home: Home, *failures: Failure, minutes: int = 0) -> None:
    """What one more run says of the machinery: a failure, or that the step has succeeded."""
    succeeded = frozenset({"raw_records"} if not failures else ())
    step = record_failures(
        home.warehouse, "web", failures, succeeded, policy=POLICY, now=NOW + timedelta(minutes=minutes), run_id=f"run{home.count('writes')}"
    )
    committed(home.warehouse, "test", step)


def drain(home: Home, after: timedelta = timedelta(0)) -> None:
    catalogue = Catalogue.load(home.settings)
    drain_outbox(home.warehouse, catalogue, home.settings, now=NOW + after, run_id="outbox", environment={})


def decided(home: Home, what: Callable[[Decisions, str], object], after: timedelta = timedelta(0)) -> None:
    (name,) = home.table("incidents")["incident_id"]
    decide(
        home.warehouse,
        Catalogue.load(home.settings),
        "web",
        [name],
        lambda decisions: what(decisions, name),
        by_whom="ann",
        now=NOW + after,
        patience=timedelta(0),
    )


def snoozed(home: Home, until: timedelta) -> None:
    decided(home, lambda decisions, name: decisions.snooze(name, NOW + until))


def resolved(home: Home) -> None:
    decided(home, lambda decisions, name: decisions.resolve(name, NOW, "known"))


def told(home: Home) -> list[str]:
    return list(home.table("alert_sends", "status = 'planned' ORDER BY rowid")["event"])


def state(home: Home) -> str:
    return home.table("incidents")["state"].item()


def wake(home: Home, after: timedelta) -> int:
    return pass_time(home.warehouse, Catalogue.load(home.settings), now=NOW + after, run_id="outbox")


def test_the_sensor_wakes_what_is_snoozed_no_longer_and_whoever_was_told_hears_how_bad_it_is(failing: Home) -> None:
    snoozed(failing, 2 * HOUR)
    runs(failing, WORSE, minutes=5)
    assert (wake(failing, HOUR), state(failing), told(failing)) == (0, "suppressed", ["opened"])
    assert (wake(failing, 2 * HOUR), state(failing), told(failing)) == (1, "open", ["opened", "escalated"])
    assert wake(failing, 3 * HOUR) == 0
    drain(failing, 2 * HOUR)
    (facts,) = (json.loads(path.read_text()) for path in failing.settings.outbox.glob("*escalated*.json"))
    assert facts["subject"] == "[escalated to critical] web: raw_records failed: the file is gone"
    assert facts["next_step"].startswith("The snooze of ann is over. Run: smartflow incidents show ")


def test_a_run_wakes_what_is_snoozed_no_longer(failing: Home) -> None:
    snoozed(failing, HOUR)
    for after, found in ((timedelta(0), "suppressed"), (HOUR, "open")):
        failing.run_stages("web", NOW + after, (ingestion.raw_records, alerting.incidents), run_id=f"later {after}")
        assert state(failing) == found
    assert told(failing)[:2] == ["opened", "reminder"]


def test_the_sensor_asks_once_where_nothing_is_snoozed(failing: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, read = list[str](), Warehouse.read
    monkeypatch.setattr(Warehouse, "read", lambda self, sql, params=(): (asked.append(sql), read(self, sql, params))[1])
    wake(failing, HOUR)
    assert len(asked) == 1


def test_a_source_that_is_being_run_is_left_to_the_next_look_and_refuses_decisions_meanwhile(failing: Home) -> None:
    snoozed(failing, HOUR)
    with AdvisoryLock(failing.settings.source_lock("web")).exclusive(timedelta(0), holder="run"):
        assert wake(failing, HOUR) == 0 and state(failing) == "suppressed"
        with pytest.raises(WarehouseBusyError, match="run run"):
            decided(failing, lambda decisions, name: decisions.acknowledge(name))
    assert wake(failing, HOUR) == 1


def test_what_a_person_resolved_comes_back_worse_or_after_it_was_well_and_never_with_each_run(failing: Home) -> None:
    resolved(failing)
    for minutes in (5, 10, 15):
        runs(failing, GONE, minutes=minutes)
    assert (state(failing), told(failing)) == ("resolved", ["opened", "resolved"])
    runs(failing, minutes=20)
    assert failing.table("incidents")["recovered_at"].item() == NOW + timedelta(minutes=20) and told(failing) == ["opened", "resolved"]
    runs(failing, GONE, minutes=25)
    assert (state(failing), told(failing)) == ("open", ["opened", "resolved", "opened"])


def test_a_failure_that_is_worse_than_what_a_person_resolved_is_told(failing: Home) -> None:
    resolved(failing)
    runs(failing, WORSE, minutes=5)
    assert (state(failing), told(failing)) == ("open", ["opened", "resolved", "opened"])


def test_an_acknowledgement_costs_no_run_and_the_end_of_a_snooze_does_where_nobody_else_wakes_it(failing: Home) -> None:
    def worth(after: timedelta) -> dict[str, str]:
        return dict(look(Catalogue.load(failing.settings), ["web"], failing.warehouse, NOW + after).worth)

    decided(failing, lambda decisions, name: (decisions.acknowledge(name), decisions.comment(name, "on it")))
    assert worth(STEP) == {}
    snoozed(failing, 2 * STEP)
    assert worth(STEP) == {} and worth(2 * STEP) == {"web": "a snooze is over"}
    wake(failing, 2 * STEP)
    assert worth(2 * STEP) == {"web": "its tables have changed"}  # by somebody who is no person: what waits for an open incident is due


def test_what_a_person_resolved_is_told_by_the_next_command_though_nothing_is_new(failing: Home) -> None:
    resolved(failing)
    assert dict(look_at_all(Catalogue.load(failing.settings), failing.warehouse, NOW + STEP).worth) == {"web": "a message has not gone out"}


def test_what_a_person_resolved_stays_until_its_matter_is_over(failing: Home) -> None:
    def left() -> int:
        failing.warehouse.commit("prune", [Prune("incidents", "web", START + timedelta(days=90))])
        return failing.count("incidents")

    resolved(failing)
    assert left() == 1
    runs(failing)
    drain(failing)
    assert left() == 0


def test_the_end_of_its_source_is_the_end_of_what_a_person_resolved(failing: Home) -> None:
    resolved(failing)
    close_incidents_of(failing.warehouse, "web", now=NOW + HOUR, reason="the source was removed", policy=POLICY)
    (incident,) = failing.table("incidents").to_dict("records")
    assert (incident["recovered_at"], incident["resolved_reason"]) == (NOW + HOUR, "resolved by ann: known")
    assert told(failing) == ["opened", "resolved"]


def test_folding_the_whole_log_gives_the_table(failing: Home) -> None:
    decided(failing, lambda decisions, name: (decisions.acknowledge(name, "on it"), decisions.snooze(name, NOW + HOUR)))
    wake(failing, HOUR)
    resolved(failing)
    pd.testing.assert_frame_equal(fold(failing.table("incident_events")), failing.table("incidents"), check_dtype=False)
