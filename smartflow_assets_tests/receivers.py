"""Real servers on loopback that messages are delivered to: SMTP with STARTTLS, TLS and login, and an HTTP receiver.

Each is a context manager that listens on a free port, keeps what it took, and can be told to refuse, to hang or to be gone.
"""

import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class MailServer:
    """`refuses` maps a recipient to the server's answer; `data_answer` is what it says to the message itself."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    connections: int = 0
    refuses: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 taken"

    async def handle_EHLO(self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data_answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            mail = BytesParser(policy=default).parsebytes(envelope.content)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
        return self.data_answer


@contextmanager
def mail_server(
    *,
    port: int | None = None,
    certificate: ssl.SSLContext | None = None,
    is_tls: bool = False,
    login: tuple[str, str] | None = None,
) -> Iterator[MailServer]:
    """With a certificate: STARTTLS, or TLS from the first byte (`is_tls`). With a login: nothing is taken without it."""
    taken = MailServer(port or free_port())

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        taken.logins.append(data.login.decode())
        is_right = (data.login.decode(), data.password.decode()) == login
        return AuthResult(success=is_right, handled=is_right)

    warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS", category=UserWarning)  # TLS is on already
    controller = Controller(
        taken,
        hostname="127.0.0.1",
        port=taken.port,
        ssl_context=certificate if is_tls else None,
        tls_context=None if is_tls else certificate,
        require_starttls=certificate is not None and not is_tls,
        authenticator=authenticate if login else None,
        auth_required=login is not None,
        auth_require_tls=not is_tls,
    )
    controller.start()
    try:
        yield taken
    finally:
        controller.stop()


@dataclass
class HookServer:
    """`answers` are (status, headers) in turn, then 200, each with `body`; `paths` are what was posted
    to; `hangs` never answers until the server is closed."""

    port: int
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    body: bytes = b""
    calls: list[tuple[str, str]] = field(default_factory=list)  # method and path of each
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    hangs: bool = False
    heard: Callable[[bytes], None] = lambda body: None  # called with each post, before it is answered
    is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def hook_server(*, port: int | None = None) -> Iterator[HookServer]:
    taken = HookServer(port or free_port())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.paths.append(self.path)
            taken.posts.append((dict(self.headers), body))
            taken.heard(body)
            self.answer()

        def answer(self) -> None:
            taken.calls.append((self.command, self.path))
            if taken.hangs:
                taken.is_over.wait()
                return
            status, headers = taken.answers.pop(0) if taken.answers else (200, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(taken.body)))
            self.end_headers()
            self.wfile.write(taken.body)

        do_PUT = do_POST

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", taken.port), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield taken
    finally:
        taken.is_over.set()
        server.shutdown()
        server.server_close()


def certificate_of(authority: Any, folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A server context with a certificate for the names, and the file of the trustme authority that signed it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    ca_file = folder / "authority.pem"
    authority.cert_pem.write_to_path(ca_file)
    return context, ca_file
