"""What vendors get, as a receiver on loopback took it, and what becomes of their answers."""

import json
import logging
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from email.header import decode_header, make_header
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.adapters.channels import CHANNELS, BaseChannel, Channel
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.messages import Message
from smartflow_assets_tests.adapters.channels.topics import published
from smartflow_assets_tests.core.incidents.formats.extremes import facts, incident, message
from smartflow_assets_tests.receivers import HookServer, free_port, hook_server

PICTURE = b"\x89PNG\r\n\x1a\nnot a picture that anybody draws"
KEY = "battery-staple-horse"


@pytest.fixture
def hooks() -> Iterator[HookServer]:
    with hook_server() as server:
        yield server


def channel(**keys: Any) -> BaseChannel:
    return TypeAdapter(Channel).validate_python({"timeout": "2s"} | keys)


def send(kind: str, hooks: HookServer, what: Message, **keys: Any) -> None:
    """Deliver by a channel of this type whose receiver is `hooks`."""
    by_kind = {
        "pagerduty": {"routing_key": "${KEY}", "api": f"http://127.0.0.1:{hooks.port}"},
        "opsgenie": {"api_key": "${KEY}", "api": f"http://127.0.0.1:{hooks.port}/"},
        "ntfy": {"topic": "alerts", "token": "${KEY}", "server": f"http://127.0.0.1:{hooks.port}"},
        "apprise": {"url": "${APPRISE}"},
    }
    settings = {"type": kind, **by_kind.get(kind, {"url": "${URL}"}), **keys}
    environment = {"KEY": KEY, "URL": f"{hooks.url}/{KEY}", "APPRISE": f"json://ops:{KEY}@127.0.0.1:{hooks.port}/hook"}
    channel(**settings).deliver(what, environment=environment, outbox=Path("unused"))


def body(hooks: HookServer) -> Any:
    return json.loads(hooks.posts[-1][1])


def test_slack_gets_blocks_and_what_notifications_show(hooks: HookServer) -> None:
    send("slack", hooks, message())
    assert body(hooks)["text"] == "🔴 [critical] shop revenue{region=eu}: 1,600 EUR, usually 430 to 560 (1,040 above)"
    assert [block["type"] for block in body(hooks)["blocks"]] == ["header", "section", "section", "section", "context", "section"]
    assert "<https://wiki.example.com/shop?a=1&amp;b=(2)%7C3|Runbook>" in body(hooks)["blocks"][-1]["text"]["text"]


def test_a_mention_in_the_data_rings_nobody(hooks: HookServer) -> None:
    nasty = message(of=incident(title="<!channel> @everyone *now*"))
    send("slack", hooks, nasty)
    assert "&lt;!channel&gt;" in body(hooks)["text"] and "<!channel>" not in body(hooks)["text"]
    send("discord", hooks, nasty)
    [embed] = body(hooks)["embeds"]
    assert embed["description"] == r"\<!channel\> \@everyone \*now\*"
    assert body(hooks)["allowed_mentions"] == {"parse": []}


def test_discord_gets_the_picture_beside_the_embed_that_shows_it(hooks: HookServer) -> None:
    send("discord", hooks, replace(message(), picture=PICTURE))
    headers, content = hooks.posts[-1]
    form = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + content)
    parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
    said = json.loads(parts["payload_json"].get_content())
    assert said["embeds"][0]["image"] == {"url": f"attachment://{parts['files[0]'].get_filename()}"}
    assert parts["files[0]"].get_content() == PICTURE


def test_teams_gets_one_card(hooks: HookServer) -> None:
    send("teams", hooks, message())
    [card] = body(hooks)["attachments"]
    assert body(hooks)["type"] == "message" and card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [action["title"] for action in card["content"]["actions"]] == ["Runbook", "Open in Dagster"]


def test_pagerduty_resolves_what_it_triggered(hooks: HookServer) -> None:
    for event in ("opened", "escalated", "acknowledged", "resolved"):
        send("pagerduty", hooks, message(event))
    bodies = [json.loads(content) for _, content in hooks.posts]
    assert hooks.paths == ["/v2/enqueue"] * 4
    assert [each["event_action"] for each in bodies] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert {(each["dedup_key"], each["routing_key"]) for each in bodies} == {("ab12", KEY)}
    assert bodies[0]["payload"]["severity"] == "critical" and bodies[0]["payload"]["custom_details"]["owner"] == "team:web"


def test_opsgenie_closes_what_it_created(hooks: HookServer) -> None:
    for event in ("opened", "acknowledged", "resolved"):
        send("opsgenie", hooks, message(event))
    by_alias = "?identifierType=alias"
    assert hooks.paths == ["/v2/alerts", f"/v2/alerts/ab12/acknowledge{by_alias}", f"/v2/alerts/ab12/close{by_alias}"]
    assert {headers["Authorization"] for headers, _ in hooks.posts} == {f"GenieKey {KEY}"}
    created = json.loads(hooks.posts[0][1])
    assert (created["alias"], created["priority"]) == ("ab12", "P1")


def test_ntfy_says_the_same_with_and_without_a_picture(hooks: HookServer) -> None:
    arabic = message(of=incident(title="ارتفاع 🔴"))
    send("ntfy", hooks, arabic)
    said = body(hooks)
    send("ntfy", hooks, replace(arabic, picture=PICTURE))
    headers, content = hooks.posts[-1]
    assert hooks.paths == ["/", "/alerts"] and content == PICTURE
    told = {name: str(make_header(decode_header(headers[f"X-{name}"]))) for name in ("Title", "Message", "Priority", "Tags", "Click")}
    assert told["Title"] == said["title"] and told["Message"] == said["message"] and "ارتفاع 🔴" in told["Message"]
    assert (told["Priority"], told["Tags"], told["Click"]) == ("5", "rotating_light", said["click"])
    assert json.loads(headers["X-Actions"]) == said["actions"]
    assert {headers["Authorization"] for headers, _ in hooks.posts} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("kind", ["slack", "discord", "teams", "pagerduty", "opsgenie", "ntfy", "apprise"])
def test_a_refusal_tells_the_reason_and_no_secret(kind: str, hooks: HookServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hooks.answers, hooks.body = [(400, {})], f"invalid_blocks at {hooks.url}/{KEY}, /hook/{KEY} and {KEY}".encode()
    with pytest.raises(DeliveryError) as refused:
        send(kind, hooks, message())
    assert kind == "apprise" or (refused.value.is_final and "400: invalid_blocks" in str(refused.value))
    log = "".join(record.getMessage() for record in caplog.records if record.name.split(".")[0] not in ("urllib3", "httpcore"))
    assert KEY not in str(refused.value) + repr(refused.value) + log


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "ntfy"])
def test_a_vendor_that_asks_to_wait_is_waited_for(kind: str, hooks: HookServer) -> None:
    hooks.answers = [(429, {"Retry-After": "30"})]
    with pytest.raises(DeliveryError) as refused:
        send(kind, hooks, message())
    assert refused.value.is_channel_down and not refused.value.is_final
    assert refused.value.retry_after is not None and refused.value.retry_after.total_seconds() == 30


@pytest.fixture
def topic() -> Iterator[str]:
    with mock_aws():
        yield boto3.client("sns", region_name="eu-central-1").create_topic(Name="alerts")["TopicArn"]


def test_sns_says_it_in_two_lengths_with_attributes_to_filter_by(topic: str) -> None:
    channel(type="sns", topic=topic).deliver(message(), environment={}, outbox=Path("unused"))
    [(_, said, subject, attributes, *_)] = published(topic)
    said = json.loads(said)
    assert subject == "[critical] shop revenue{region=eu}: 1,600 EUR, usually 430 to 560 (1,040 above)"
    assert "Owner:          team:web" in said["default"] and len(said["sms"]) <= 459
    assert {name: attribute["Value"] for name, attribute in attributes.items()} == {
        "source": "shop",
        "severity": "critical",
        "event": "opened",
        "cause": "anomaly",
        "incident_id": "ab12",
    }


def test_sns_gives_programs_the_fields(topic: str) -> None:
    channel(type="sns", topic=topic, format="facts").deliver(message(), environment={}, outbox=Path("unused"))
    [(_, said, *_)] = published(topic)
    said = json.loads(said)
    assert json.loads(said["default"])["value"] == 1600.0 and said["email"].startswith("[critical] shop")


def test_a_topic_in_order_keeps_the_messages_of_an_incident_together() -> None:
    with mock_aws():
        client = boto3.client("sns", region_name="eu-central-1")
        arn = client.create_topic(Name="alerts.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
        channel(type="sns", topic=arn).deliver(message(), environment={}, outbox=Path("unused"))
        assert published(arn)[0][-1] == "ab12"  # the group, within which the order is kept


def test_a_topic_that_is_not_there_is_told_and_tried_again(topic: str) -> None:
    with pytest.raises(DeliveryError, match="SNS refused it: NotFound") as refused:
        channel(type="sns", topic=f"{topic}2").deliver(message(), environment={}, outbox=Path("unused"))
    assert refused.value.is_channel_down and not refused.value.is_final


def test_apprise_sends_the_text_or_one_short_line(hooks: HookServer) -> None:
    send("apprise", hooks, message())
    assert body(hooks)["title"] == message().subject and "Owner:          team:web" in body(hooks)["message"]
    send("apprise", hooks, message(), format="short")
    assert body(hooks)["title"] == "" and len(body(hooks)["message"]) <= 459 and "\n" not in body(hooks)["message"]


def test_apprise_sends_the_chart_where_the_service_takes_files(hooks: HookServer) -> None:
    send("apprise", hooks, replace(message(), picture=PICTURE))
    [attached] = body(hooks)["attachments"]
    assert attached["filename"] == "chart.png" and b64decode(attached["base64"]) == PICTURE
    twilio = channel(type="apprise", url="${X}", format="short")
    assert not twilio.wants_picture and channel(type="apprise", url="${X}").wants_picture


def test_apprise_that_hangs_is_left_behind(hooks: HookServer) -> None:
    hooks.hangs = True
    with pytest.raises(DeliveryError, match="did not") as late:
        send("apprise", hooks, message(), timeout="0.2s")
    assert late.value.is_channel_down


def test_an_address_that_apprise_does_not_know_names_its_variable() -> None:
    with pytest.raises(DeliveryError, match=r"does not know this address\. Correct the variable of \$\{X\}"):
        channel(type="apprise", url="${X}").deliver(message(), environment={"X": "nothing at all"}, outbox=Path("unused"))


@pytest.mark.parametrize("kind, library", [("sns", "boto3"), ("apprise", "apprise")])
def test_a_missing_library_is_named_with_its_extra(kind: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    keys = {"sns": {"topic": "arn:aws:sns:eu-central-1:123456789012:alerts"}, "apprise": {"url": "${X}"}}[kind]
    with pytest.raises(DeliveryError, match=rf"needs {library}, which is not installed\. Run pip install 'smartflow\[channels\]'") as told:
        channel(type=kind, **keys).deliver(message(), environment={"X": "json://localhost"}, outbox=Path("unused"))
    assert told.value.is_channel_down


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"type": "slack", "url": "https://hooks.slack.com/services/T/B/X"}, "never written in a file"),
        ({"type": "pagerduty", "routing_key": KEY}, "never written in a file"),
        ({"type": "opsgenie", "api_key": "${K}", "api": "api.opsgenie.com"}, "not a web address"),
        ({"type": "sns", "topic": "alerts"}, "write the ARN"),
        ({"type": "sns", "topic": "${T}", "access_key_id": "${K}"}, "go together"),
        ({"type": "apprise", "url": "twilio://a:b@c/d"}, "never written in a file"),
        ({"type": "ntfy", "topic": ""}, "at least 1 character"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(settings: dict, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        CHANNELS[settings["type"]].model_validate(settings)
    assert reason in str(refused.value) and KEY not in str(refused.value)


def test_a_preview_is_what_is_sent_and_names_no_secret(hooks: HookServer) -> None:
    assert facts()["owner"] == "team:web"
    shown = channel(type="pagerduty", routing_key="${KEY}", api=f"http://127.0.0.1:{free_port()}").preview(message())
    send("pagerduty", hooks, message())
    assert json.loads(shown.text) == body(hooks) | {"routing_key": "${KEY}"}
    hook = channel(type="webhook", url="${URL}", payload={"a": "${KEY} {subject}"})
    assert json.loads(hook.preview(message()).text) == {"a": "${KEY} " + message().subject}
