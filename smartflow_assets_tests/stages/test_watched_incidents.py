"""Incidents of no source are sane everywhere: told once, ended with a reason, pruned by the clock, and no source of their own."""

from datetime import UTC, datetime, timedelta

import pytest

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.core.incidents.watched import Matter
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.configuration_log import note_files
from smartflow_assets.stages.maintenance.retention import prune_by_settings
from smartflow_assets.stages.watched_incidents import open_matters, record, recorded_up_to
from smartflow_assets_tests.homes import Home

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHECK, NIGHTLY = Matter("check", "shop/orders", "not_null"), Matter("run", "nightly")


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def told(home: Home, failed: tuple[Matter, ...] = (), ended: dict[str, str] | None = None, *, at: datetime = NOW, run_id: str) -> bool:
    failures = [Failure(matter.cause, "3 nulls", title=f"{matter} failed: 3 nulls") for matter in failed]
    return record(home.warehouse, Catalogue.load(home.settings), failures, ended or {}, now=at, run_id=run_id)


def test_what_fails_and_passes_between_two_looks_is_opened_and_ended_in_one_commit(home):
    assert told(home, (CHECK, NIGHTLY), {CHECK.cause: "its newest evaluation passed"}, run_id="watch 1 7")
    assert open_matters(home.warehouse) == {NIGHTLY.cause: NIGHTLY}
    assert home.count("writes", "table_name = 'incident_events'") <= 2
    assert home.table("alert_sends")["event"].value_counts().to_dict() == {"opened": 2, "resolved": 1}
    assert not told(home, (CHECK, NIGHTLY), {CHECK.cause: "its newest evaluation passed"}, run_id="watch 1 7")
    assert (recorded_up_to(home.warehouse, "1"), recorded_up_to(home.warehouse, "2")) == (7, -1)


def test_what_comes_back_within_an_hour_is_the_same_incident_and_after_two_more_a_new_one(home):
    told(home, (CHECK,), run_id="a")
    told(home, (), {CHECK.cause: "passed"}, at=NOW + timedelta(minutes=1), run_id="b")
    told(home, (CHECK,), at=NOW + timedelta(minutes=30), run_id="c")
    assert home.count("incidents") == 1
    told(home, (), {CHECK.cause: "passed"}, at=NOW + timedelta(minutes=31), run_id="d")
    told(home, (CHECK,), at=NOW + timedelta(hours=3), run_id="e")
    assert home.count("incidents") == 2


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("", ["file"]),
        ("alerts: {min_severity: critical}", ["file"]),
        ("alerts: {to: [duty]}", ["duty"]),
        ("alerts: {to: []}", []),
    ],
)
def test_the_home_says_who_is_told_and_the_defaults_where_it_does_not(home, text, channels):
    home.write_channels("file: {type: file}\nduty: {type: file}\n")
    home.settings.defaults_file.write_text("alerts: {to: [file]}\n")
    home.settings.home_file.write_text(f"{text}\n")
    told(home, (CHECK,), run_id="a")
    assert home.table("alert_sends")["channel"].tolist() == channels
    drained = drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=NOW, run_id="outbox", environment={})
    assert drained.sent == len(channels)
    assert all("*" not in path.name for path in home.settings.outbox.rglob("*"))


def test_they_are_pruned_by_the_clock_and_open_ones_stay(home):
    told(home, (CHECK, NIGHTLY), run_id="a")
    told(home, (), {CHECK.cause: "passed"}, run_id="b")
    drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=NOW, run_id="outbox", environment={})
    models = ModelStore(home.settings.models)

    def left(at: datetime) -> list[str]:
        catalogue = Catalogue.load(home.settings)
        problems = [each.problem for each in prune_by_settings(home.warehouse, models, catalogue, now=at, run_id="p", is_at_once=True)]
        assert not any(problems)
        return sorted(home.table("incidents")["cause"])

    assert left(NOW + timedelta(days=700)) == [CHECK.cause, NIGHTLY.cause]
    assert left(NOW + timedelta(days=800)) == [NIGHTLY.cause]
    assert set(home.table("incident_events")["cause"]) == {NIGHTLY.cause}


def test_they_are_no_source_and_no_removed_one(home):
    told(home, (CHECK,), run_id="a")
    note_files(home.warehouse, (), now=NOW, run_id="catalogue")
    assert home.count("marts.source_health") == 0
    assert home.table("marts.open_incidents")[["source", "cause"]].values.tolist() == [["*", CHECK.cause]]
