"""Real servers on loopback that sources are read from: HTTP that pages and fails as told, and a PostgreSQL of one's own."""

import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import parse_qsl, urlsplit

from smartflow_assets_tests.receivers import free_port

Headers = dict[str, str]
Body = bytes | str | dict | list


@dataclass
class Asked:
    """One request as the server saw it."""

    path: str
    parameters: dict[str, str]
    headers: Headers
    method: str = "GET"


@dataclass
class Shop:
    """`rows` are served at any path: from `from` on (ISO, `is_exclusive`: after it), `size` to a page, by page, offset, cursor and
    link alike. `answers` are given instead, one for each request, until they are used up; a HEAD leaves its answer to the next GET: a
    status, (status, headers, body), "drop" (the connection is cut within the body) or a callable."""

    url: str = ""
    rows: list[dict] = field(default_factory=list)
    size: int = 3
    is_descending: bool = False
    answers: list = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    hold: dict[str, threading.Event] = field(default_factory=dict)  # a page that waits until its event is set
    is_waiting: threading.Event = field(default_factory=threading.Event)

    def page(self, asked: Asked) -> tuple[int, Headers, Body]:
        given = asked.parameters
        rows = sorted(
            (row for row in self.rows if row["at"] >= given.get("from", "").replace("Z", "")),
            key=lambda row: row["at"],
            reverse=self.is_descending,
        )
        first = int(given.get("offset") or given.get("cursor") or (int(given.get("page", 1)) - 1) * self.size)
        number = str(first // self.size + 1)
        if number in self.hold:
            self.is_waiting.set()
            self.hold[number].wait(30)
        shown, after = rows[first : first + self.size], first + self.size
        more = after < len(rows)
        query = "&".join(f"{name}={value}" for name, value in (given | {"cursor": str(after)}).items() if name != "api_key")
        link = f"{asked.path}?{query}"
        body = {"data": {"items": shown}, "meta": {"next": str(after) if more else None, "link": link if more else None}}
        return 200, {"Content-Type": "application/json"} | ({"Link": f'<{link}>; rel="next"'} if more else {}), body


@contextmanager
def http_shop(certificate=None) -> Iterator[Shop]:
    """The server; over TLS with a certificate of trustme."""
    shop = Shop()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(parts.path, dict(parse_qsl(parts.query)), dict(self.headers), self.command)
            shop.asked.append(asked)
            answer = shop.page
            if shop.answers:
                answer = shop.answers[0] if self.command == "HEAD" else shop.answers.pop(0)
            if callable(answer):
                answer = answer(asked)
            is_dropped = answer == "drop"
            status, headers, body = shop.page(asked) if is_dropped else (answer, {}, "") if isinstance(answer, int) else answer
            content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[: len(content) // 2] if is_dropped else content)
            self.close_connection = True

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    shop.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}/orders"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        for event in shop.hold.values():
            event.set()
        server.shutdown()
        server.server_close()
        thread.join()


def shop_rows(*minutes: int, day: str = "2026-03-01") -> list[dict]:
    """One row for each minute of the day: `at`, `id` and `value`."""
    return [{"at": f"{day}T{minute // 60:02d}:{minute % 60:02d}:00", "id": minute, "value": float(minute)} for minute in minutes]


# --- PostgreSQL ---


def postgres_programs() -> Path | None:
    """The folder with initdb and pg_ctl; Debian keeps them off the path."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


@dataclass(frozen=True)
class Postgres:
    """A cluster that listens on loopback and asks for a password."""

    port: int
    password: str = "s3cret/of us"

    @property
    def url(self) -> str:
        return f"postgresql://shop:${{SHOP_PASSWORD}}@127.0.0.1:{self.port}/shop"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A private cluster. PostgreSQL refuses to run as root: then it runs as the user `postgres` of Debian's package, who may not
    look into the folders of pytest."""
    programs = postgres_programs()
    assert programs is not None
    server = Postgres(free_port())
    folder = Path(mkdtemp(prefix="smartflow-postgres-"))
    cluster, words = folder / "cluster", folder / "password"
    words.write_text(server.password)
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        for path in (folder, words):
            shutil.chown(path, "postgres")

    def run(*command: str) -> None:
        done = subprocess.run([*as_user, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run(
        str(programs / "initdb"),
        "-D",
        str(cluster),
        "-U",
        "shop",
        "--pwfile",
        str(words),
        "-A",
        "scram-sha-256",
        "-E",
        "UTF8",
        "--no-sync",
        "--no-instructions",
    )
    options = f"-p {server.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=20"
    run(str(programs / "pg_ctl"), "-D", str(cluster), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=server.port, user="shop", password=server.password, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute("CREATE DATABASE shop")
        yield server
    finally:
        run(str(programs / "pg_ctl"), "-D", str(cluster), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
