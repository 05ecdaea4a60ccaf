"""`smartflow channels`: how they stand, a test that gets through or says why not, and what each would get."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import pytest

from smartflow_assets.adapters.warehouse.writes import Append, Delete
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets_tests.commands.conftest import Smartflow, make_home
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows
from smartflow_assets_tests.receivers import HookServer, free_port, hook_server

CHANNELS = """
slack: {type: slack, url: "${SLACK_URL}"}
pager: {type: pagerduty, routing_key: "${PAGER_KEY}", api: "http://127.0.0.1:%d"}
cards: {type: teams, url: "${TEAMS_URL}"}
odd: {type: slack, url: https://hooks.slack.com/battery-staple}
"""


@pytest.fixture
def hooks() -> Iterator[HookServer]:
    with hook_server() as server:
        yield server


@pytest.fixture(scope="module")
def one_spike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose only source had one spike; slack has failed, and the file channel has taken the message."""
    home = Home(make_home(tmp_path_factory.mktemp("told")))
    rows = daily_series(1)
    rows.loc[200, "value"] = 1600
    write_rows(home.folder / "data" / "examples" / "web.csv", rows)
    home.write_channels(CHANNELS % free_port())
    home.write_source("web", WEB.replace("to: [file]", "to: [file, slack]") + "owner: team:web\ndetectors: [{type: zscore}]\n")
    home.run_stages("web", START + timedelta(days=1))
    catalogue = Catalogue.load(home.settings)
    drain_outbox(home.warehouse, catalogue, home.settings, now=START + timedelta(days=1), run_id="r", environment={})
    home.warehouse.publish("test", is_forced=True)
    return home.folder


@pytest.fixture
def told(one_spike: Path, copied: Callable[[Path], Path]) -> Path:
    return copied(one_spike)


def incident_id(home: Path) -> str:
    rows = Home(home).warehouse.read("SELECT incident_id FROM incidents WHERE cause = 'anomaly'")
    return str(rows["incident_id"].iloc[0])


def test_list_says_who_uses_them_what_is_missing_and_how_they_did(told: Path, smartflow: Smartflow) -> None:
    done = smartflow("channels", "list")
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert done.code == 1  # slack misses its variable, and odd cannot be used
    assert lines["file"].split()[1:4] == ["file", "web", "2026-03-03"]
    assert lines["slack"].split()[1:4] == ["slack", "web", "SLACK_URL"] and "not tried: SLACK_URL is not set" in lines["slack"]
    assert lines["cards"].split()[1:] == ["teams", "TEAMS_URL"]
    assert "cannot be used" in lines["odd"] and "never written in a file" in done.err
    assert "battery-staple" not in done.out + done.err


def test_a_test_is_taken_and_is_no_row_of_the_outbox(
    told: Path, smartflow: Smartflow, hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_URL", hooks.url)
    before = Home(told).count("alert_sends")
    done = smartflow("channels", "test", "slack")
    assert (done.code, done.out) == (0, "slack: the test was taken\n")
    assert json.loads(hooks.posts[0][1])["text"] == "🔵 [test] smartflow: a test of the channel slack; nothing is wrong"
    assert Home(told).count("alert_sends") == before


def test_a_test_of_the_file_channel_shows_where_the_chart_will_stand(told: Path, smartflow: Smartflow) -> None:
    assert smartflow("channels", "test", "file").code == 0
    [mail] = (told / "data" / "outbox").glob("*-smartflow-test-*.eml")
    [chart] = BytesParser(policy=default).parsebytes(mail.read_bytes()).iter_attachments()
    assert chart.get_content_type() == "image/png"


def test_a_test_that_fails_says_why_without_the_secret(
    told: Path, smartflow: Smartflow, hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = smartflow("channels", "test", "slack")
    assert missing.code == 1 and "channel slack: SLACK_URL is not set in the environment" in missing.err
    monkeypatch.setenv("SLACK_URL", f"{hooks.url}/battery-staple")
    hooks.answers, hooks.body = [(404, {})], b"no_service /hook/battery-staple"
    refused = smartflow("channels", "test", "slack")
    assert refused.code == 1 and "the receiver answered 404: no_service" in refused.err
    monkeypatch.setenv("PAGER_KEY", "battery-staple")
    gone = smartflow("channels", "test", "pager")
    assert gone.code == 1 and "cannot be reached" in gone.err
    assert "battery-staple" not in missing.err + refused.err + gone.err


def test_a_stranger_is_told_the_nearest_channel(told: Path, smartflow: Smartflow) -> None:
    done = smartflow("channels", "test", "slak")
    assert done.code == 2 and "there is no channel slak" in done.err and "slack" in done.err


def test_a_preview_prints_what_each_would_get_and_sends_nothing(
    told: Path, smartflow: Smartflow, hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_URL", hooks.url)
    found = incident_id(told)
    before = Home(told).count("alert_sends")
    done = smartflow("channels", "preview", found[:6], "--event", "opened")
    assert done.code == 0
    mail, _, slack = done.out.partition("── slack (slack) opened\n")
    assert mail.startswith("── file (file) opened\n[warning] web requests: ") and "Owner:          team:web" in mail
    assert json.loads(slack)["blocks"][0]["text"]["text"] == "🟠 warning · web requests"
    written = [Path(line.removeprefix("written: ")) for line in mail.splitlines() if line.startswith("written: ")]
    assert [path.suffix for path in written] == [".eml", ".html"] and "data:image/png" in written[1].read_text()
    assert hooks.posts == [] and Home(told).count("alert_sends") == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in written)


def test_a_preview_is_of_any_channel_and_event(told: Path, smartflow: Smartflow) -> None:
    found = incident_id(told)
    over = smartflow("channels", "preview", found, "--channel", "pager")  # it is over by now
    event = json.loads(over.out.partition("\n")[2])
    assert (event["event_action"], event["dedup_key"], event["routing_key"]) == ("resolve", found, "${PAGER_KEY}")
    card = smartflow("channels", "preview", found, "--channel", "cards", "--event", "reminder")
    assert "[still warning] web requests" in card.out and ".card.json" in card.out


def test_a_preview_of_nothing_says_what_there_is(told: Path, smartflow: Smartflow) -> None:
    done = smartflow("channels", "preview", "zzz")
    assert done.code == 2 and "there is no incident zzz" in done.err and "smartflow sql" in done.err


@pytest.mark.soak
def test_a_digest_and_a_limit_are_named_wherever_messages_are(told: Path, smartflow: Smartflow) -> None:
    home = Home(told)
    home.write_channels('ops: {type: file, folder: reports/ops, digest: {every: week, on: mon, at: "08:00", timezone: Europe/Berlin}}\n')
    home.write_source("web", WEB.replace("to: [file]", "to: [ops]") + "detectors: [{type: zscore}]\n")
    rows = daily_series(1)
    rows.loc[240:, "value"] = 1600
    write_rows(home.folder / "data" / "examples" / "web.csv", rows)
    home.warehouse.commit("test", [Delete("incidents", "web"), Delete("incident_events", "web"), Delete("alert_sends", "web")])
    done = smartflow("run", "web", "--as-of", "2026-03-03T00:00Z")
    assert "messages to ops: 1 waits for the digest of Mon 08:00" in done.out + done.err, done
    [incident] = home.table("incidents")["incident_id"]
    assert "[digest] 1 incident of web: 1 warning; 1 began" in smartflow("channels", "preview", incident).out
    listed = smartflow("channels", "list").out
    assert "digest each mon at 08:00 (Europe/Berlin); next " in listed
    today = home.table("alert_sends").assign(happened_at=datetime.now(UTC), due_at=datetime.now(UTC))
    home.warehouse.commit("test", [Delete("alert_sends", "web"), Append("alert_sends", today)])
    home.warehouse.publish("test", is_forced=True)
    doctor = smartflow("doctor").out
    assert "to ops, 1 waits for the digest" in doctor and "wait to be sent" not in doctor
    assert not (told / "data" / "reports" / "ops").exists()


@pytest.mark.parametrize("key", ["digest: {at: '08:00'}", "limit: {messages: 5, per: 1h}"])
def test_who_opens_and_closes_each_incident_takes_no_bundles(told: Path, smartflow: Smartflow, key: str) -> None:
    Home(told).write_channels(f"pager: {{type: pagerduty, routing_key: '${{K}}', {key}}}\n")
    refused = smartflow("validate")
    assert refused.code == 1
    assert "pagerduty opens and closes each incident under its own id, so several cannot be one message: leave" in refused.err + refused.out


def lost_line(smartflow: Smartflow) -> str:
    """What the doctor says of messages to slack."""
    return next(line for line in smartflow("doctor").out.splitlines() if " to slack " in line)


@pytest.mark.parametrize("way", ["test", "message"])
def test_what_was_given_up_is_a_failure_until_the_channel_works(
    told: Path, smartflow: Smartflow, hooks: HookServer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("SLACK_URL", hooks.url)
    home, hooks.answers, now = Home(told), [(400, {})], datetime.now(UTC)
    catalogue = Catalogue.load(home.settings)

    def deliver(at: datetime) -> None:
        environment = {"SLACK_URL": hooks.url}
        drain_outbox(home.warehouse, catalogue, home.settings, now=at, run_id="r", environment=environment)
        home.warehouse.publish("test", is_forced=True)

    assert "wait: not tried: SLACK_URL is not set" in lost_line(smartflow), "it is tried again"
    assert "They are tried again by `smartflow run` or `smartflow ui`, the first from 2026-03-03 00:0" in lost_line(smartflow)
    deliver(now - timedelta(minutes=2))
    lost = lost_line(smartflow)
    assert lost.startswith("fail  messages: 1 to slack given up, the last at ") and "answered 400" in lost
    assert "They are not sent again" in lost and "`smartflow channels test slack`" in lost and "sent again by the next run" not in lost
    assert list(home.table("incidents", "cause = 'delivery:slack'")["state"]) == ["open"]
    messages = [json.loads(path.read_text()) for path in (told / "data" / "outbox").glob("*.json")]
    [step] = [message["next_step"] for message in messages if message["cause"] == "delivery:slack"]
    assert step.endswith("or a test: smartflow channels test slack")

    if way == "test":
        assert smartflow("channels", "test", "slack").code == 0
    else:
        incident = home.warehouse.read("SELECT * FROM alert_sends WHERE channel = 'slack' AND status = 'planned'")
        later = incident.head(1).assign(idempotency_key="another", happened_at=now, due_at=now)
        home.warehouse.commit("test", [Append("alert_sends", later)])
        deliver(now)
    [ended] = home.table("incidents", "cause = 'delivery:slack'").to_dict("records")
    why = {"test": "a test of the channel was taken", "message": "delivery:slack succeeded again"}[way]
    assert (ended["state"], ended["resolved_reason"]) == ("resolved", why)
    assert lost_line(smartflow).startswith("ok    messages: 1 to slack given up") and "the channel has worked since" in lost_line(smartflow)
