"""Who is told: of a message that was given up, and of a recovery after the configuration has changed."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from smartflow_assets.adapters.send_ledger import MOST_DEATHS
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages.alerting import Failure, close_incidents_of, drain_outbox, record_failures, writes_of
from smartflow_assets_tests.homes import START, STEP, WEB, Home, daily_series, write_rows
from smartflow_assets_tests.receivers import MailServer, free_port, hook_server, mail_server

HOUR = timedelta(hours=1)


@pytest.fixture
def told(home: Home) -> Home:
    """A source that tells two channels."""
    home.write_channels("pager: {type: file}\nmail: {type: file}\n")
    home.write_source("web", WEB.replace("to: [file]", "to: [pager, mail]"))
    return home


def record(home: Home, at, *failures: Failure, succeeded: frozenset[str] = frozenset()) -> None:
    policy = Catalogue.load(home.settings).alert_policy("web")
    step = record_failures(home.warehouse, "web", failures, succeeded, policy=policy, now=at, run_id=str(at))
    home.warehouse.commit("test", writes_of(step))


def deliver(home: Home, at):
    return drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=at, run_id="outbox", environment={})


def die_in(home: Home, channel: str) -> None:
    """What the ledger holds after five processes died in the planned message of a channel."""
    [planned] = [row for _, row in home.table("alert_sends", f"channel = '{channel}' AND status = 'planned'").iterrows()]
    claims = planned.to_frame().T.loc[[planned.name] * MOST_DEATHS].assign(status="claimed", attempt=range(1, MOST_DEATHS + 1))
    home.warehouse.commit("test", [Append("alert_sends", claims.astype({"attempt": int, "is_possible_repeat": bool}))])


def sent(home: Home, channel: str) -> list[tuple[str, str]]:
    """cause and event of the messages that went out on a channel, in order."""
    rows = home.warehouse.read(
        "SELECT incident.cause, send.event FROM alert_sends AS send JOIN incidents AS incident USING (incident_id) "
        "WHERE send.channel = ? AND send.status = 'sent' ORDER BY send.happened_at, incident.opened_at",
        [channel],
    )
    return list(rows.itertuples(index=False, name=None))


@pytest.mark.soak
def test_a_message_that_was_given_up_is_told_on_the_other_channels_until_the_channel_takes_messages_again(told: Home) -> None:
    record(told, START, Failure("raw_records", "no such file"))
    die_in(told, "pager")
    drained = deliver(told, START)
    assert (drained.sent, drained.failed) == (2, 1)
    assert sent(told, "mail") == [("raw_records", "opened"), ("delivery:pager", "opened")]
    [lost] = told.table("incidents", "cause = 'delivery:pager'").to_dict("records")
    assert lost["state"] == "open" and lost["title"] == f"delivery:pager failed: {MOST_DEATHS} processes died while they sent it: given up."
    assert sent(told, "pager") == []

    assert deliver(told, START + HOUR).sent == 0, "nothing is told twice"
    record(told, START + 2 * HOUR, succeeded=frozenset({"raw_records"}))
    deliver(told, START + 2 * HOUR)
    assert told.table("incidents", "state <> 'resolved'").empty
    assert sent(told, "mail")[2:] == [("raw_records", "resolved"), ("delivery:pager", "resolved")]


def test_a_recovery_goes_where_the_opening_went_whatever_the_yaml_says_by_then(told: Home) -> None:
    record(told, START, Failure("raw_records", "no such file"))
    deliver(told, START)
    told.write_source("web", WEB.replace("to: [file]", "to: [mail]"))
    record(told, START + HOUR, succeeded=frozenset({"raw_records"}))
    deliver(told, START + HOUR)
    assert sent(told, "pager") == sent(told, "mail") == [("raw_records", "opened"), ("raw_records", "resolved")]


@pytest.mark.parametrize("is_broken", [True, False], ids=["broken", "removed"])
def test_a_source_that_is_gone_or_broken_ends_its_incidents_where_they_were_told(told: Home, is_broken: bool) -> None:
    record(told, START, Failure("raw_records", "no such file"))
    deliver(told, START)
    yaml = told.settings.sources / "web.yaml"
    yaml.write_text("name: [") if is_broken else yaml.unlink()
    policy = Catalogue.load(told.settings).alert_policy("web")
    assert policy.to == ("file",), "what a source without a readable file falls back to"
    close_incidents_of(told.warehouse, "web", now=START + HOUR, reason="its file was removed", policy=policy)
    deliver(told, START + HOUR)
    assert sent(told, "pager") == sent(told, "mail") == [("raw_records", "opened"), ("raw_records", "resolved")]


@pytest.fixture
def wired(home: Home) -> Iterator[tuple[Home, MailServer, int]]:
    """A source that tells a mail server and an HTTP receiver that is down; -> the port on which that may come."""
    port = free_port()
    with mail_server() as smtp:
        mail = f"mail: {{type: email, host: 127.0.0.1, port: {smtp.port}, security: none, sender: a@example.com, to: [b@example.com]}}"
        home.write_channels(f"hook: {{type: webhook, url: 'http://127.0.0.1:{port}/hook', timeout: 2s}}\n{mail}\n")
        home.write_source("web", WEB.replace("to: [file]", "to: [hook, mail]"))
        yield home, smtp, port


@pytest.mark.soak
def test_a_channel_that_is_down_for_an_hour_gets_all_in_order_once_it_is_back_and_the_other_at_once(
    wired: tuple[Home, MailServer, int],
) -> None:
    home, smtp, port = wired
    news = {
        0: lambda at: record(home, at, Failure("raw_records", "no such file")),
        20: lambda at: record(home, at, Failure("incidents", "no such column"), succeeded=frozenset({"raw_records"})),
        40: lambda at: record(home, at, succeeded=frozenset({"incidents"})),
    }
    for minute in range(60):
        at = START + minute * HOUR / 60
        if minute in news:
            before = len(smtp.mails)
            news[minute](at)
            deliver(home, at)
            assert len(smtp.mails) == before + (2 if minute == 20 else 1), "the other channel is told at once"
        else:
            deliver(home, at)
    with hook_server(port=port) as hooks:
        for minute in range(60, 60 * 6, 5):
            deliver(home, START + minute * HOUR / 60)
        told = [(json.loads(body)["cause"], json.loads(body)["event"]) for _, body in hooks.posts]
    assert sorted(told) == sorted(sent(home, "mail")) and len(told) == len(smtp.mails) == 4
    for cause in ("raw_records", "incidents"):
        assert [event for one, event in told if one == cause] == ["opened", "resolved"]
    assert home.table("incidents", "starts_with(cause, 'delivery:')").empty


@pytest.mark.soak
def test_a_channel_that_is_down_for_good_is_one_incident_on_the_other(wired: tuple[Home, MailServer, int]) -> None:
    home, smtp, _ = wired
    for number, cause in enumerate(("raw_records", "incidents", "anomalies")):
        record(home, START + number * HOUR, Failure(cause, "broken"))
    for hours in range(0, 24 * 5, 4):
        deliver(home, START + hours * HOUR)
    [lost] = home.table("incidents", "starts_with(cause, 'delivery:')").to_dict("records")
    assert (lost["cause"], lost["state"]) == ("delivery:hook", "open") and "Given up after 24 attempts." in lost["title"]
    subjects = [mail["Subject"] for mail in smtp.mails]
    assert len(subjects) == 4 and sum("delivery:hook" in subject for subject in subjects) == 1


@pytest.mark.parametrize("back_at", [140, 158], ids=["the same incident", "another"])
def test_whoever_was_told_of_a_series_hears_of_it_again_only_after_suppress_for(home: Home, back_at: int) -> None:
    def heard(until: int) -> list[str]:
        write_rows(home.settings.data / "examples" / "web.csv", rows[:until])
        home.run_stages("web", START + until * STEP)
        deliver(home, START + until * STEP)
        return list(home.sent()["event"])

    rows = daily_series(1)
    rows.loc[100:123, "value"] = rows.loc[back_at : back_at + 1, "value"] = 1600
    quiet = "alerts: {to: [file], max_age: 3650 days, suppress_for: 6h, reopen_within: 2h}"
    home.write_source(
        "web", WEB.replace("alerts: {to: [file], max_age: 3650 days}", quiet) + "detectors: [{type: missing}]\nprofile: off\n"
    )
    assert heard(103) == ["opened"] and heard(130) == ["opened", "resolved"]
    for until in (back_at + 1, back_at + 3, back_at + 15, 280):
        assert heard(until) == ["opened", "resolved"], "it came and went within six hours"
    assert home.count("incidents") == 1 + (back_at == 158)
    assert home.count("alert_sends", "status = 'skipped' AND contains(error, 'suppress_for 6h')") == 1
