"""Messages by e-mail over SMTP: TLS with a verified certificate, a login when there is one.

Text, HTML and the chart in one mail. Its Message-ID comes from the idempotency key, so that mail programs show a repeat once, and all
mails of an incident refer to one thread. Which recipient the server refused decides whether another attempt can help.
"""

import base64
import hashlib
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from smartflow_assets.adapters.channels.base import BaseChannel, Preview
from smartflow_assets.adapters.secret_references import Secret, resolve
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.formats import html
from smartflow_assets.core.incidents.messages import Message

_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_ONE_LINE = default.clone(max_line_length=250)  # at 78 a subject of 70 letters is moved below an empty first line, and gains a space
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _is_address(text: str) -> str:
    address = parseaddr(text)[1]
    user, at, domain = address.rpartition("@")
    if "${" not in text and (not (user and at and domain) or any(c.isspace() for c in address) or not text.isprintable()):
        raise ValueError("this is not an e-mail address; write ops@example.com or Ops <ops@example.com>")
    return text


Address = Annotated[str, AfterValidator(_is_address)]


class EmailChannel(BaseChannel):
    """Send each message as an e-mail."""

    at_once: ClassVar[int] = 2  # a mailbox of Microsoft 365 takes three connections, and others send by it too
    type: Literal["email"] = "email"
    host: str = Field(description="The SMTP server; may be ${NAME}.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Default: 587 with starttls, 465 with tls, 25 with none.")
    security: Literal["none", "starttls", "tls"] = Field(
        default="starttls", description="starttls and tls verify the server's certificate; none is for a relay without login."
    )
    username: str | None = Field(default=None, description="The login, if the server wants one; may be ${NAME}.")
    password: Secret | None = Field(default=None, description="Its password, as ${NAME}: the variable that holds it.", repr=False)
    sender: Address = Field(description="The From address; may be ${NAME}.")
    to: tuple[Address, ...] = Field(min_length=1, description="Who gets the mail; each may be ${NAME}.")
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the system's (a company's own).")
    picture: bool = Field(default=True, description="Whether the chart of the series comes with it.")

    @model_validator(mode="after")
    def _password_travels_encrypted(self) -> "EmailChannel":
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together; set both, or neither for a relay without login")
        if self.password is not None and self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError("a password would travel in the clear; set security to starttls or tls")
        return self

    @property
    def wants_picture(self) -> bool:
        return self.picture

    def preview(self, message: Message) -> Preview:
        mail = compose(message, sender=self.sender, to=self.to, sent_at=message.happened_at)
        return mail_preview(message, mail)

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        sender = resolve(self.sender, environment)
        to = [resolve(address, environment) for address in self.to]
        mail = compose(message, sender=sender, to=to, sent_at=datetime.now(UTC))
        try:
            server = self._connected(environment)
            try:
                refused = server.send_message(mail)
            finally:
                _leave(server)
        except (OSError, smtplib.SMTPException) as error:
            raise self._explained(error) from None
        if refused:  # the others have it: another attempt would reach them twice
            error = self._explained(smtplib.SMTPRecipientsRefused(refused), is_final=True)
            error.is_partly_taken = True
            raise error

    def _connected(self, environment: Mapping[str, str]) -> smtplib.SMTP:
        """A session that is encrypted and logged in as far as the settings ask; the caller closes it."""
        host, port, timeout = resolve(self.host, environment), self.port or _PORTS[self.security], self.timeout.total_seconds()
        login = [resolve(text, environment) for text in (self.username, self.password) if text is not None]
        if not all(map(str.isascii, login)):  # smtplib has no way to say others, and its error tells where in the secret they stand
            raise DeliveryError(
                "username and password of a mail server can hold ASCII alone, and one of them has another letter, such as é",
                is_channel_down=True,
                where=f"{self.host}:{port}",
                remedy="Give the account a password of plain letters, digits and signs.",
            )
        tls = ssl.create_default_context(cafile=self.ca_file)
        if self.security == "tls":
            server = smtplib.SMTP_SSL(host, port, timeout=timeout, context=tls)
        else:
            server = smtplib.SMTP(host, port, timeout=timeout)
        try:
            if self.security == "starttls":
                server.starttls(context=tls)  # raises when it is not offered: never falls back to plain text
            if login:
                server.login(*login)
        except BaseException:
            server.close()
            raise
        return server

    def _explained(self, error: OSError | smtplib.SMTPException, *, is_final: bool = False) -> DeliveryError:
        where = f"{self.host}:{self.port or _PORTS[self.security]}"
        match error:
            case smtplib.SMTPRecipientsRefused():
                answers = ", ".join(f"{address} ({_answer(code, text)})" for address, (code, text) in error.recipients.items())
                is_final = is_final or all(_is_final(code) for code, _ in error.recipients.values())
                remedy = "Correct `to`." if is_final else ""
                return DeliveryError(f"the mail server refused {answers}", is_final=is_final, where=where, remedy=remedy)
            case smtplib.SMTPAuthenticationError():
                what = f"the mail server refused the login ({_answer(error.smtp_code, error.smtp_error)})"
                return DeliveryError(what, is_channel_down=True, where=where, remedy="Check username and password.")
            case smtplib.SMTPConnectError() | smtplib.SMTPHeloError():
                what = f"the mail server does not serve us ({_answer(error.smtp_code, error.smtp_error)})"
                return DeliveryError(what, is_channel_down=True, where=where)
            case smtplib.SMTPResponseException():
                what = f"the mail server refused the message ({_answer(error.smtp_code, error.smtp_error)})"
                return DeliveryError(what, is_final=_is_final(error.smtp_code), where=where)
            case smtplib.SMTPNotSupportedError():
                remedy = "Correct security or username: nothing is sent with less protection than they ask for."
                return DeliveryError(f"the mail server says: {error}", is_channel_down=True, where=where, remedy=remedy)
            case ssl.SSLCertVerificationError():
                what = f"the mail server's certificate is not trusted: {error.verify_message}"
                remedy = "Correct host, or name its authority in ca_file."
                return DeliveryError(what, is_channel_down=True, where=where, remedy=remedy)
            case _:
                what = f"the mail server cannot be reached: {type(error).__name__}: {error}"
                return DeliveryError(what, is_channel_down=True, where=where)


def compose(message: Message, *, sender: str, to: Sequence[str], sent_at: datetime) -> EmailMessage:
    """The mail of a message: plain text, HTML, its picture, and the headers that thread it and mark a repeat."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    thread = f"<incident-{_hash(message.incident_id)}@{domain}>"
    mail = EmailMessage(policy=_ONE_LINE)
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
    chart = f"chart-{_hash(message.idempotency_key)}@{domain}"
    page = html.render(message.content, picture=f"cid:{chart}") if message.picture else message.html
    mail.add_alternative(page, subtype="html")
    if message.picture:  # one copy: shown where the page has its place, listed as an attachment by programs that show no HTML
        mail.add_attachment(message.picture, "image", "png", filename="chart.png", disposition="inline", cid=f"<{chart}>")
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):  # random ones would make a repeat another mail
        part.set_boundary(f"smartflow-{_hash(f'{number or str()}{message.idempotency_key}')}")
    return mail


def mail_preview(message: Message, mail: EmailMessage) -> Preview:
    """The text, the mail as a file, and its page with the picture in it, for a browser."""
    picture = f"data:image/png;base64,{base64.b64encode(message.picture).decode()}" if message.picture else ""
    page = html.render(message.content, picture=picture)
    return Preview(message.text, {".eml": bytes(mail), ".html": page.encode(errors="replace")})


def _is_final(code: int) -> bool:
    return 500 <= code < 600


def _answer(code: int, text: bytes | str) -> str:
    return f"{code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"


def _leave(server: smtplib.SMTP) -> None:
    """Say goodbye; whatever answers now, the mail is taken or refused already."""
    with suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
