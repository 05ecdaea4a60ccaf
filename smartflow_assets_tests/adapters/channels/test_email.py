"""E-mail against a real SMTP server on loopback: encryption, login, refusals, threads."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from smartflow_assets.adapters.channels.email import EmailChannel, compose
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets_tests.adapters.channels.test_channels import message
from smartflow_assets_tests.receivers import certificate_of, free_port, mail_server

LOGIN = ("ops", "correct horse")
ACCOUNT = {"username": "ops", "password": "${OPS_PASSWORD}"}
SECRETS = {"OPS_PASSWORD": "correct horse"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def channel(port: int, **settings: object) -> EmailChannel:
    return EmailChannel.model_validate(
        {
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "sender": "SmartFlow <smartflow@example.com>",
            "to": ["ops@example.com", "owner@example.com"],
            "timeout": "5s",
            **settings,
        }
    )


def send(mail: EmailChannel, event: str = "opened", key: str = "k1", environment: dict[str, str] | None = None) -> None:
    mail.deliver(message(event, key), environment=environment or {}, outbox=Path("unused"))


def test_relay_without_login_takes_text_and_html() -> None:
    with mail_server() as server:
        send(channel(server.port))
    [mail] = server.mails
    assert mail["Subject"] == "[critical] web_traffic requests: 1,600, usually 430 to 560 (1,040 above)"
    assert mail["To"] == "ops@example.com, owner@example.com"
    assert mail["X-SmartFlow-Incident"] == "ab12"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    plain = mail.get_body(("plain",))
    assert plain is not None and "Usual then:     430 to 560" in plain.get_content()


def test_opened_and_resolved_share_a_thread_and_a_repeat_shares_its_id() -> None:
    with mail_server() as server:
        send(channel(server.port))
        send(channel(server.port))
        send(channel(server.port), "resolved", "k2")
    opened, repeat, resolved = server.mails
    assert opened["Message-ID"] == repeat["Message-ID"] != resolved["Message-ID"]
    assert opened["References"] == resolved["References"] != opened["Message-ID"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_login_over_a_verified_connection(security: str, authority: trustme.CA, tmp_path: Path) -> None:
    certificate, ca_file = certificate_of(authority, tmp_path, "localhost")
    with mail_server(certificate=certificate, is_tls=security == "tls", login=LOGIN) as server:
        secure = channel(server.port, host="localhost", security=security, ca_file=ca_file, **ACCOUNT)
        send(secure, environment=SECRETS)
    assert server.logins == ["ops"]
    assert len(server.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("is_trusted, name", [(False, "localhost"), (True, "other.example.com")])
def test_wrong_certificate_is_refused(security: str, is_trusted: bool, name: str, authority: trustme.CA, tmp_path: Path) -> None:
    certificate, ca_file = certificate_of(authority, tmp_path, name)
    with mail_server(certificate=certificate, is_tls=security == "tls", login=LOGIN) as server:
        wrong = channel(server.port, host="localhost", security=security, ca_file=ca_file if is_trusted else None, **ACCOUNT)
        with pytest.raises(DeliveryError, match="certificate is not trusted") as refused:
            send(wrong, environment=SECRETS)
    assert refused.value.is_channel_down and not refused.value.is_final
    assert server.logins == [] and server.mails == []


def test_starttls_never_falls_back_to_plain_text() -> None:
    with mail_server() as server, pytest.raises(DeliveryError, match="STARTTLS extension not supported"):
        send(channel(server.port, security="starttls"))
    assert server.mails == []


def test_wrong_password_is_said_without_it(authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    certificate, ca_file = certificate_of(authority, tmp_path, "localhost")
    with mail_server(certificate=certificate, login=LOGIN) as server:
        mail = channel(server.port, host="localhost", security="starttls", ca_file=ca_file, **ACCOUNT)
        with pytest.raises(DeliveryError, match="refused the login") as refused:
            send(mail, environment={"OPS_PASSWORD": "hunter2"})
    assert refused.value.is_channel_down and not refused.value.is_final
    own_log = "".join(record.getMessage() for record in caplog.records if record.name != "mail.log")
    assert "hunter2" not in str(refused.value) + repr(refused.value) + repr(mail) + own_log


def test_unset_password_is_named_before_the_wire_is_touched() -> None:
    mail = channel(free_port(), **ACCOUNT)
    with pytest.raises(DeliveryError, match="OPS_PASSWORD is not set"):
        send(mail)


@pytest.mark.parametrize(("username", "password"), [("ops", "geh\u00e9im"), ("\u00f6ps", "hunter2")])
def test_a_login_beyond_ascii_is_said_without_it_or_its_place(username: str, password: str) -> None:
    mail = channel(free_port(), username=username, password="${OPS_PASSWORD}")
    with pytest.raises(DeliveryError, match="can hold ASCII alone") as refused:
        send(mail, environment={"OPS_PASSWORD": password})
    assert refused.value.is_channel_down and refused.value.remedy
    assert "position" not in str(refused.value) and password not in str(refused.value)


def test_server_that_is_gone_or_silent_is_down() -> None:
    with pytest.raises(DeliveryError, match=r"cannot be reached: ConnectionRefusedError.*\(127.0.0.1:") as refused:
        send(channel(free_port()))
    assert refused.value.is_channel_down and not refused.value.is_final


def test_recipient_that_does_not_exist_is_final_and_a_busy_one_is_not() -> None:
    with mail_server() as server:
        one = channel(server.port, to=["ops@example.com"])
        server.refuses = {"ops@example.com": "550 no such user"}
        with pytest.raises(DeliveryError, match=r"ops@example.com \(550 no such user\)") as unknown:
            send(one)
        server.refuses = {"ops@example.com": "451 greylisted"}
        with pytest.raises(DeliveryError) as busy:
            send(one)
    assert unknown.value.is_final and not busy.value.is_final
    assert not busy.value.is_channel_down


def test_one_refused_of_two_recipients_is_said_and_the_other_is_not_mailed_twice() -> None:
    with mail_server() as server:
        server.refuses = {"owner@example.com": "451 greylisted"}
        with pytest.raises(DeliveryError, match=r"owner@example\.com \(451") as refused:
            send(channel(server.port))
    assert refused.value.is_final
    assert len(server.mails) == 1


@pytest.mark.parametrize("answer, is_final", [("554 spam", True), ("452 try later", False)])
def test_refused_message_follows_the_code_of_the_server(answer: str, is_final: bool) -> None:
    with mail_server() as server:
        server.data_answer = answer
        with pytest.raises(DeliveryError, match=answer) as refused:
            send(channel(server.port))
    assert refused.value.is_final is is_final


def test_the_chart_is_shown_in_the_page_and_attached_and_a_repeat_is_the_same_mail() -> None:
    charted = replace(message(), picture=b"\x89PNG\r\n\x1a\nnot a picture")
    mails = [compose(charted, sender="a@example.com", to=["b@example.com"], sent_at=charted.happened_at) for _ in range(2)]
    assert bytes(mails[0]) == bytes(mails[1])
    with mail_server() as server:
        channel(server.port).deliver(charted, environment={}, outbox=Path("unused"))
    [read] = server.mails
    [chart] = read.iter_attachments()
    page = read.get_body(("html",))
    assert chart.get_content() == charted.picture and chart.get_filename() == "chart.png"
    assert page is not None and f'src="cid:{chart["Content-ID"].strip("<>")}"' in page.get_content()
    plain = read.get_body(("plain",))
    assert plain is not None and plain.get_content().splitlines() == charted.text.splitlines()
