"""Webhooks against a real HTTP server on loopback: body, signature, template, refusals."""

import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smartflow_assets.adapters.channels.webhook import WebhookChannel
from smartflow_assets.adapters.web import retry_after
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.messages import FACTS
from smartflow_assets_tests.adapters.channels.test_channels import message
from smartflow_assets_tests.receivers import HookServer, free_port, hook_server


def send(url: str, environment: dict[str, str] | None = None, **settings: object) -> None:
    channel = WebhookChannel.model_validate({"url": url, "timeout": "5s", **settings})
    channel.deliver(message(), environment=environment or {}, outbox=Path("unused"))


def body(server: HookServer) -> dict:
    return json.loads(server.posts[-1][1])


def test_body_is_the_facts_and_carries_the_idempotency_key() -> None:
    with hook_server() as server:
        send(server.url)
    assert list(body(server)) == list(FACTS)
    assert body(server)["value"] == 1600.0
    assert server.posts[0][0]["Idempotency-Key"] == "k1"
    assert "X-SmartFlow-Signature" not in server.posts[0][0]


def test_receiver_can_verify_the_signature_as_the_guide_says() -> None:
    with hook_server() as server:
        send(server.url, {"HOOK_SECRET": "s3cret"}, secret="${HOOK_SECRET}")
    [(headers, raw)] = server.posts
    parts = dict(part.split("=") for part in headers["X-SmartFlow-Signature"].split(","))
    assert parts["v1"] == hmac.new(b"s3cret", parts["t"].encode() + b"." + raw, hashlib.sha256).hexdigest()
    assert abs(int(parts["t"]) - datetime.now(UTC).timestamp()) < 60


def test_template_shapes_the_body_and_keeps_types() -> None:
    template = {
        "text": "{severity}: {subject}",
        "row": ["{source}", "{value}", "{expected}"],
        "fixed": 3,
        "{source}": {"key": "${ROUTE}"},
        "braces": "{{literal}}",
        "facts": "{detectors}",
        "said": "by {detectors}",
    }
    with hook_server() as server:
        send(server.url, {"ROUTE": "r1"}, payload=template)
    assert body(server) == {
        "text": "critical: [critical] web_traffic requests: 1,600, usually 430 to 560 (1,040 above)",
        "row": ["web_traffic", 1600.0, None],
        "fixed": 3,
        "web_traffic": {"key": "r1"},
        "braces": "{literal}",
        "facts": [],
        "said": "by ",
    }


def test_address_and_headers_may_come_from_the_environment() -> None:
    with hook_server() as server:
        send("${HOOK}", {"HOOK": server.url, "TOKEN": "t0"}, headers={"Authorization": "Bearer ${TOKEN}", "X-Team": "web"})
    headers, _ = server.posts[0]
    assert (headers["Authorization"], headers["X-Team"]) == ("Bearer t0", "web")


@pytest.mark.parametrize(
    "status, is_final, is_down",
    [
        (400, True, False),
        (404, True, False),
        (410, True, False),
        (408, False, False),
        (425, False, False),
        (429, False, True),
        (500, False, False),
        (502, False, True),
        (503, False, True),
        (301, True, False),
        (302, True, False),
    ],
)
def test_status_says_whether_another_attempt_helps(status: int, is_final: bool, is_down: bool) -> None:
    with hook_server() as server:
        server.answers = [(status, {"Location": "https://accounts.example.com/login"} if status < 400 else {})]
        with pytest.raises(DeliveryError, match=f"answered {status}") as refused:
            send(server.url)
    assert (refused.value.is_final, refused.value.is_channel_down) == (is_final, is_down)
    assert len(server.posts) == 1


def test_redirect_of_a_google_sheet_means_taken() -> None:
    with hook_server() as server:
        server.answers = [(302, {"Location": "https://script.googleusercontent.com/macros/echo?user_content_key=x"})]
        send(server.url)
    assert len(server.posts) == 1


def test_receiver_says_how_long_to_wait() -> None:
    with hook_server() as server:
        server.answers = [(429, {"Retry-After": "120"})]
        with pytest.raises(DeliveryError) as refused:
            send(server.url)
    assert refused.value.retry_after == timedelta(minutes=2)


def test_waiting_time_may_be_a_date() -> None:
    now = datetime(2024, 3, 4, 9, 0, tzinfo=UTC)
    assert retry_after("Mon, 04 Mar 2024 09:30:00 GMT", now) == timedelta(minutes=30)
    assert retry_after("Mon, 04 Mar 2024 08:30:00 GMT", now) == timedelta(0)
    assert retry_after("Mon, 04 Mar 2024 09:30:00", now) is None
    for long in ("99999999999999999999", "9" * 5000, "86401", "Mon, 04 Mar 2124 09:30:00 GMT"):
        assert retry_after(long, now) == timedelta(days=1)
    assert [retry_after(garbage, now) for garbage in ("", "-1", "1e3", "²", "soon", "Mon, 04 Mar 99999 09:30:00 GMT")] == [None] * 6


def test_hanging_receiver_is_given_up_within_the_timeout() -> None:
    with hook_server() as server:
        server.hangs = True
        with pytest.raises(DeliveryError, match=r"did not answer within 0\.2 s") as refused:
            send(server.url, timeout="0.2s")
    assert refused.value.is_channel_down and not refused.value.is_final


def test_dead_receiver_is_down() -> None:
    with pytest.raises(DeliveryError, match=r"cannot be reached: .*Connection refused \(127.0.0.1\)") as refused:
        send(f"http://127.0.0.1:{free_port()}/")
    assert refused.value.is_channel_down


@pytest.mark.parametrize(
    "environment",
    [
        {"HOOK": "not an address s3cret", "TOKEN": "t"},
        {"HOOK": "http://127.0.0.1:1/", "TOKEN": "s3cret\nX: y"},
        {"HOOK": "http://127.0.0.1:1/s3cret", "TOKEN": "t"},
        {"HOOK": "http://[s3cret/", "TOKEN": "t"},
    ],
)
def test_secrets_stay_out_of_errors_and_logs(environment: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DeliveryError) as refused:
        send("${HOOK}", environment, headers={"Authorization": "${TOKEN}"})
    assert "s3cret" not in str(refused.value) + repr(refused.value) + caplog.text


def test_a_delivered_address_stays_out_of_logs_and_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with hook_server() as server:
        send("${HOOK}", {"HOOK": f"{server.url}/s3cret"})
        logged = caplog.text
    assert len(server.posts) == 1
    assert "s3cret" not in logged
    assert "s3cret" not in repr(WebhookChannel(url="https://hooks.example.com/s3cret"))
