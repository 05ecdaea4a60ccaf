"""Who hears of what and how often, in a home: routes of the defaults, reminders, and what was told of a series before."""

from datetime import timedelta

import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages.alerting import Failure, drain_outbox, record_failures, writes_of
from smartflow_assets.stages.decisions import decide, pass_time
from smartflow_assets_tests.homes import START, WEB, Home

DAY = timedelta(days=1)


@pytest.fixture
def shared(home: Home) -> Home:
    """Two sources under one roof, whose defaults say who hears of what."""
    home.write_channels("pager: {type: file}\nmail: {type: file}\nweb_team: {type: file}\n")
    (home.settings.defaults_file).write_text(
        "alerts:\n"
        "  to: [mail]\n"
        "  remind_every: 1 day\n"
        "  routes:\n"
        "    - {tags: {domain: web}, severity: [warning, critical], to: [web_team], go_on: true}\n"
        "    - {severity: critical, cause: run, to: pager}\n"
    )
    plain = WEB.replace("to: [file], ", "")
    home.write_source("web", plain + "\ntags: {domain: web}\n")
    home.write_source("shop", plain.replace("name: web", "name: shop"))
    return home


def fail(home: Home, source: str, at, cause: str, severity: str = "critical", succeeded: frozenset[str] = frozenset()) -> None:
    policy = Catalogue.load(home.settings).alert_policy(source)
    failures = [] if succeeded else [Failure(cause, "no such file", severity=severity)]
    step = record_failures(home.warehouse, source, failures, succeeded, policy=policy, now=at, run_id=f"{source} {at}")
    home.warehouse.commit("test", writes_of(step))


def deliver(home: Home, at) -> None:
    drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=at, run_id="outbox", environment={})


def told(home: Home, source: str) -> list[tuple[str, str]]:
    """Event and channel of what went out, in order."""
    rows = home.warehouse.read(
        "SELECT event, channel FROM alert_sends WHERE source = ? AND status = 'sent' ORDER BY happened_at, channel", [source]
    )
    return list(rows.itertuples(index=False, name=None))


def test_routes_of_the_defaults_hold_for_each_source_by_its_tags(shared: Home):
    for source in ("web", "shop"):
        fail(shared, source, START, "run")
        fail(shared, source, START, "raw_records", "warning")
    deliver(shared, START)
    assert told(shared, "web") == [("opened", "pager"), ("opened", "web_team"), ("opened", "web_team")]
    assert told(shared, "shop") == [("opened", "mail"), ("opened", "pager")]
    fail(shared, "web", START + DAY / 24, "run", succeeded=frozenset({"run"}))
    deliver(shared, START + DAY / 24)
    assert told(shared, "web")[3:] == [("resolved", "pager"), ("resolved", "web_team")]


def test_people_are_reminded_each_day_until_somebody_takes_it_on(shared: Home):
    fail(shared, "shop", START, "raw_records", "warning")
    deliver(shared, START)
    catalogue = Catalogue.load(shared.settings)
    for hours in range(1, 61):
        at = START + hours * DAY / 24
        pass_time(shared.warehouse, catalogue, now=at, run_id="outbox")
        deliver(shared, at)
    assert told(shared, "shop") == [("opened", "mail"), ("reminder", "mail"), ("reminder", "mail")]
    [incident] = shared.table("incidents", "source = 'shop'").to_dict("records")
    decide(
        shared.warehouse,
        catalogue,
        "shop",
        [incident["incident_id"]],
        lambda decisions: decisions.acknowledge(incident["incident_id"]),
        by_whom="ann",
        now=START + 61 * DAY / 24,
        patience=timedelta(0),
    )
    assert pass_time(shared.warehouse, catalogue, now=START + 9 * DAY, run_id="outbox") == 0
    texts = [path.read_text() for path in shared.settings.outbox.glob("*-reminder-*.json")]
    assert len(texts) == 2 and all("Nobody has acknowledged it" in text and "still warning" in text for text in texts)


def test_a_channel_that_a_route_names_and_nobody_has_is_a_problem_of_each_source(shared: Home):
    file = shared.settings.defaults_file
    file.write_text(file.read_text().replace("to: pager", "to: pagr"))
    catalogue = Catalogue.load(shared.settings)
    assert set(catalogue.broken) == {"web", "shop"}
    said = str(catalogue.broken["web"])
    assert "`alerts.routes[2].to`: there is no channel pagr" in said and "pager" in said and "line 6" in said


def test_a_channel_that_is_down_gets_no_further_reminder_at_each_look(shared: Home):
    fail(shared, "shop", START, "raw_records", "warning")
    deliver(shared, START)
    catalogue = Catalogue.load(shared.settings)
    looks = [START + DAY + minutes * DAY / 1440 for minutes in range(0, 120, 10)]  # nothing goes out meanwhile
    assert [pass_time(shared.warehouse, catalogue, now=at, run_id="outbox") for at in looks] == [1] + [0] * 11
    assert shared.count("incident_events", "event = 'reminded'") == 1


def test_what_wakes_from_a_snooze_is_told_once_though_a_reminder_is_due(shared: Home):
    fail(shared, "shop", START, "raw_records", "warning")
    deliver(shared, START)
    catalogue, [incident] = Catalogue.load(shared.settings), shared.table("incidents", "source = 'shop'")["incident_id"]
    at, until = START + DAY / 24, START + 2 * DAY
    decide(
        shared.warehouse,
        catalogue,
        "shop",
        [incident],
        lambda decisions: decisions.snooze(incident, until),
        by_whom="ann",
        now=at,
        patience=timedelta(0),
    )
    assert pass_time(shared.warehouse, catalogue, now=until, run_id="outbox") == 1
    deliver(shared, until)
    assert pass_time(shared.warehouse, catalogue, now=until + DAY / 24, run_id="outbox") == 0
    assert told(shared, "shop") == [("opened", "mail"), ("reminder", "mail")]
