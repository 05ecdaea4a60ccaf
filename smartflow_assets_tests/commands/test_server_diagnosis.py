"""`smartflow doctor` on a server: whether it can run, runs, answers, and who may ask it."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.commands import server_diagnosis
from smartflow_assets.config.settings import Settings
from smartflow_assets.serve.access.tokens import Role, TokenFile

Said = list[tuple[str, str, str]]


@pytest.fixture
def said(tmp_path: Path) -> Callable[..., Said]:
    """What doctor says of the server of a home."""

    def look(**environ: str) -> Said:
        return [(each.level, each.about, each.what) for each in server_diagnosis.server(Settings(tmp_path), environ)]

    return look


@contextmanager
def running(home: Path, address: str, *, is_held: bool = True) -> Iterator[None]:
    """What a server leaves in the home while it runs; not held: after it was killed."""
    serve = Settings(home).serve
    serve.mkdir(parents=True, exist_ok=True)
    (serve / "server.json").write_text(json.dumps({"pid": 4711, "address": address, "started_at": "2026-03-01T08:00:00Z"}))
    if is_held:
        with AdvisoryLock(serve / "server.lock").exclusive(timedelta(seconds=1)):
            yield
    else:
        yield


@contextmanager
def answering(status: int = 200) -> Iterator[int]:
    """Something that answers on a port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_home_without_a_server_is_well_and_stays_as_it_was(said: Callable[..., Said], tmp_path: Path) -> None:
    assert said() == [("ok", "server", "none runs here")]
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_answers_is_named_with_who_may_ask_it(said: Callable[..., Said], tmp_path: Path) -> None:
    with answering() as port, running(tmp_path, f"http://127.0.0.1:{port}/"):
        address, tokens, links = said()
        assert address == ("ok", "server", f"http://127.0.0.1:{port}/ answers (PID {os.getpid()}, since 2026-03-01T08:00:00Z)")
        assert tokens == ("ok", "tokens", "none: whoever is on this machine may read, nobody may write")
        assert links[:2] == ("ok", "SMARTFLOW_SERVE_URL") and "not set here" in links[2]
        TokenFile(Settings(tmp_path).serve / "tokens.json").create("anna", Role.admin, datetime.now(UTC))
        assert ("ok", "tokens", "anna (admin)") in said()


def test_a_server_that_lives_and_does_not_answer_fails(said: Callable[..., Said], tmp_path: Path) -> None:
    with answering(500) as port, running(tmp_path, f"http://127.0.0.1:{port}"):
        level, _, what = said()[0]
        assert level == "fail" and what.endswith("does not answer: /health says 500")
    with running(tmp_path, f"http://127.0.0.1:{port}"):
        level, _, what = said()[0]
        assert level == "fail" and "does not answer: " in what and "refused" in what


def test_a_server_that_was_killed_is_told_and_one_that_starts_is_waited_for(said: Callable[..., Said], tmp_path: Path) -> None:
    with running(tmp_path, "http://127.0.0.1:1", is_held=False):
        assert said() == [("warn", "server", "that of PID 4711, started 2026-03-01T08:00:00Z, has ended without a stop")]
    with running(tmp_path, ""):
        assert said()[0][0] == "warn" and "has not said where it listens" in said()[0][2]
    (Settings(tmp_path).serve / "server.json").write_text("half of")
    assert said()[0] == ("ok", "server", "none runs here")


def test_a_server_of_the_network_without_a_token_fails(said: Callable[..., Said], tmp_path: Path) -> None:
    with answering() as port, running(tmp_path, f"http://0.0.0.0:{port}"):
        assert said()[0][0] == "ok", "it is asked on loopback"
        assert ("fail", "tokens", "the server listens on 0.0.0.0, and there is no token: nobody can ask it") in said()


def test_tokens_that_others_may_read_fail(said: Callable[..., Said], tmp_path: Path) -> None:
    file = Settings(tmp_path).serve / "tokens.json"
    TokenFile(file).create("anna", Role.reader, datetime.now(UTC))
    assert ("ok", "tokens", "anna (reader)") in said()
    file.chmod(0o644)
    assert any(level == "fail" and "others may read the file of tokens (mode 644)" in what for level, _, what in said())
    file.chmod(0o600)
    file.write_text("{")
    assert any(level == "fail" and "the file of tokens cannot be read" in what for level, _, what in said())


def test_an_extra_that_is_wanted_and_missing_is_named(said: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_diagnosis, "find_spec", lambda name: None if name == "uvicorn" else name)
    assert said()[0] == ("ok", "server", "the extra serve is not installed: no page, no API")
    with running(tmp_path, "http://127.0.0.1:1", is_held=False):
        assert said()[0] == ("warn", "server", "uvicorn is not installed, which smartflow serve needs")


def test_an_address_for_links_that_is_none_fails(said: Callable[..., Said]) -> None:
    assert said(SMARTFLOW_SERVE_URL="https://quality.example.org")[-1] == ("ok", "SMARTFLOW_SERVE_URL", "messages link to the page")
    for wrong in ("quality.example.org", "ftp://quality.example.org", "https://"):
        assert said(SMARTFLOW_SERVE_URL=wrong)[-1][:2] == ("fail", "SMARTFLOW_SERVE_URL")
