"""What holds for every channel, and the file channel; mail and webhook have files of their own."""

import json
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import default
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.adapters.channels import BaseChannel, Channel, EmailChannel, FileChannel, WebhookChannel
from smartflow_assets.core import extensions
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.messages import Message, render

NINE = datetime(2024, 3, 4, 9, 35, tzinfo=UTC)
READ: TypeAdapter[Channel] = TypeAdapter(Channel)
MAIL = {"type": "email", "host": "mail.example.com", "sender": "a@example.com", "to": ["b@example.com"]}
HOOK = {"type": "webhook", "url": "https://hooks.example.com/x"}


def message(event: str = "opened", key: str = "k1") -> Message:
    incident = {
        "incident_id": "ab12",
        "source": "web_traffic",
        "series": "requests",
        "severity": "critical",
        "state": "open",
        "cause": "anomaly",
        "opened_at": NINE,
    }
    return render(incident, event, {"value": 1600.0, "lower": 430.0, "upper": 560.0}, idempotency_key=key, happened_at=NINE)


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({**MAIL, "username": "a", "password": "hunter2"}, "never written in a file"),
        ({**MAIL, "username": "a"}, "go together"),
        ({**MAIL, "username": "a", "password": "${P}", "security": "none"}, "in the clear"),
        ({**MAIL, "to": []}, "at least 1 item"),
        ({**MAIL, "to": ["nobody"]}, "not an e-mail address"),
        ({**MAIL, "sender": "a@example.com\nBcc: c@example.com"}, "not an e-mail address"),
        ({**HOOK, "url": "ftp://example.com"}, "not a web address"),
        ({**HOOK, "url": "https://me:hunter2@example.com"}, "never written in a file"),
        ({**HOOK, "headers": {"Authorization": "Bearer hunter2"}}, "never written in a file"),
        ({**HOOK, "secret": "hunter2"}, "never written in a file"),
        ({**HOOK, "payload": {"a": {"b": ["{vaule}"]}}}, "did you mean {value}?"),
        ({**HOOK, "payload": {"a": "{zzz}"}}, "known are version, "),
        ({**HOOK, "payload": {"a": "{value:.2f}"}}, "unknown placeholder {value:.2f}"),
        ({**HOOK, "payload": {"a": "{subject.__class__}"}}, "unknown placeholder"),
        ({**HOOK, "payload": {"a": "50 { percent"}}, "a lone {"),
        ({"type": "file", "folders": "x"}, "Extra inputs"),
        ({"type": "pigeon"}, "pigeon"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(settings: dict, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        READ.validate_python(settings)
    assert reason in str(refused.value)


def test_a_secret_in_the_file_does_not_come_back_in_the_error() -> None:
    wrong = (EmailChannel, {**MAIL, "username": "a", "password": "hunter2"}), (WebhookChannel, {**HOOK, "secret": "hunter2"})
    for channel, settings in wrong:
        with pytest.raises(ValidationError) as refused:
            channel.model_validate(settings)
        assert "hunter2" not in str(refused.value)


def test_a_channel_names_the_variables_it_needs_and_misses() -> None:
    payload = {"k": "${ROUTE} {value}"}
    channel = READ.validate_python({"type": "webhook", "url": "${HOOK_URL}", "secret": "${HOOK_SECRET}", "payload": payload})
    assert channel.references == ["HOOK_SECRET", "HOOK_URL", "ROUTE"]
    assert channel.missing({"HOOK_URL": "https://x", "ROUTE": ""}) == ["HOOK_SECRET", "ROUTE"]
    assert channel.redact("posted to https://x", {"HOOK_URL": "https://x"}) == "posted to ${HOOK_URL}"


def test_file_channel_writes_a_mail_and_its_facts(tmp_path: Path) -> None:
    FileChannel().deliver(message(), environment={}, outbox=tmp_path / "outbox")
    eml, facts = sorted((tmp_path / "outbox").iterdir())
    assert [eml.name, facts.name] == [f"20240304T093500Z-web_traffic-opened-k1{suffix}" for suffix in (".eml", ".json")]
    mail = BytesParser(policy=default).parsebytes(eml.read_bytes())
    assert mail["Subject"] == "[critical] web_traffic requests: 1,600, usually 430 to 560 (1,040 above)"
    assert json.loads(facts.read_bytes())["value"] == 1600.0


def test_file_channel_writes_a_repeat_into_the_same_files(tmp_path: Path) -> None:
    FileChannel().deliver(message(), environment={}, outbox=tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    FileChannel().deliver(message(), environment={}, outbox=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_file_channel_takes_a_folder_beside_the_outbox(tmp_path: Path) -> None:
    FileChannel(folder=Path("reports/alerts")).deliver(message(), environment={}, outbox=tmp_path / "outbox")
    assert len(list((tmp_path / "reports/alerts").iterdir())) == 2


def test_file_channel_says_why_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file where the folder should be")
    with pytest.raises(DeliveryError, match=r"cannot write to .*outbox: File exists"):
        FileChannel().deliver(message(), environment={}, outbox=tmp_path / "outbox")


def test_a_channel_of_another_package_joins_and_a_broken_one_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "smartflow.channels"
    points = [
        EntryPoint("file", "smartflow_assets.adapters.channels.file:FileChannel", group),
        EntryPoint("gone", "no_such_package:Pager", group),
        EntryPoint("odd", "json:loads", group),
    ]
    monkeypatch.setattr(extensions, "entry_points", lambda group: points)
    with pytest.warns(RuntimeWarning) as told:
        assert extensions.registry(group, BaseChannel, ()) == {"file": FileChannel}
    assert [str(warning.message).split(":")[1].strip() for warning in told] == ["no_such_package", "json"]
