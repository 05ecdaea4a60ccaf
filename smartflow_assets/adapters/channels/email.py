"""Messages by e-mail over SMTP: TLS with a verified certificate, a login when there is one.

Text and HTML in one mail. Its Message-ID comes from the idempotency key, so that mail programs show a repeat once, and all
mails of an incident refer to one thread. Which recipient the server refused decides whether another attempt can help.
"""
import hashlib
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from smartflow_assets.adapters.channels.base import ChannelBase
from smartflow_assets.adapters.channels.environment import Secret, resolve
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.messages import Message

_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _is_address(text: str) -> str:
    address = parseaddr(text)[1]
    user, at, domain = address.rpartition("@")
    if "${" not in text and (not (user and at and domain) or any(c.isspace() for c in address) or not text.isprintable()):
        raise ValueError("this is not an e-mail address; write ops@example.com or Ops <ops@example.com>")
    return text


Address = Annotated[str, AfterValidator(_is_address)]


class EmailChannel(ChannelBase):
    """Send each message as an e-mail."""

    type: Literal["email"] = "email"
    host: str = Field(description="The SMTP server; may be ${NAME}.")
    port: int | None = Field(None, ge=1, le=65535, description="Default: 587 with starttls, 465 with tls, 25 with none.")
    security: Literal["none", "starttls", "tls"] = Field(
        "starttls", description="starttls and tls verify the server's certificate; none is for a relay that needs no login."
    )
    username: str | None = Field(None, description="The login, if the server wants one; may be ${NAME}.")
    password: Secret | None = Field(None, description="Its password, as ${NAME}: the variable that holds it.", repr=False)
    sender: Address = Field(description="The From address; may be ${NAME}.")
    to: tuple[Address, ...] = Field(min_length=1, description="Who gets the mail; each may be ${NAME}.")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the system's (a company's own).")

    @model_validator(mode="after")
    def _password_travels_encrypted(self) -> "EmailChannel":
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together; set both, or neither for a relay without login")
        if self.password is not None and self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError("a password would travel in the clear; set security to starttls or tls")
        return self

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        raise NotImplementedError


def compose(message: Message, *, sender: str, to: Sequence[str], sent_at: datetime) -> EmailMessage:
    """The mail of a message: plain text, HTML, and the headers that thread it and mark a repeat."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    thread = f"<incident-{_hash(message.incident_id)}@{domain}>"
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Date"] = format_datetime(sent_at)
    mail["Message-ID"] = f"<{_hash(message.idempotency_key)}@{domain}>"
    mail["In-Reply-To"] = thread
    mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"  # so that absence notes do not answer (RFC 3834)
    mail["X-SmartFlow-Incident"] = message.incident_id
    mail["X-SmartFlow-Event"] = message.event
    mail["X-SmartFlow-Severity"] = message.severity
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    mail.set_boundary(f"smartflow-{_hash(message.idempotency_key)}")
    return mail


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
