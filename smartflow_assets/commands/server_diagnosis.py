"""What `smartflow doctor` says of `smartflow serve`: whether it can run, whether one runs here and answers, and who may ask it.

A running server holds `data/serve/server.lock` and says in `server.json` who and where it is; it removes that on a clean stop. So a file
without a lock is one of a server that was killed.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from smartflow_assets.commands.diagnosis import Diagnoses, Diagnosis
from smartflow_assets.core.errors import SmartflowError

if TYPE_CHECKING:
    from smartflow_assets.config.settings import Settings

EXTRA = ("fastapi", "uvicorn", "prometheus_client")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PATIENCE_SECONDS = 3.0  # a server under load still says within it that it lives
INSTALL = "pip install 'smartflow[serve]'"


def server(settings: "Settings", environ: Mapping[str, str]) -> Diagnoses:
    """All of it."""
    missing = [name for name in EXTRA if find_spec(name) is None]
    is_wanted = (settings.serve / "server.json").exists() or (settings.serve / "tokens.json").exists()
    if missing and is_wanted:
        yield Diagnosis("warn", "server", f"{', '.join(missing)} is not installed, which smartflow serve needs", INSTALL)
    elif missing:
        yield Diagnosis("ok", "server", "the extra serve is not installed: no page, no API", f"{INSTALL} brings them.")
    running = yield from _running(settings)
    yield from _tokens(settings, running)
    yield from _address(environ, running)


def _running(settings: "Settings") -> Any:
    """-> what server.json says of a server that runs; None where none does."""
    from smartflow_assets.adapters.warehouse.locks import AdvisoryLock

    file = settings.serve / "server.json"
    holder = AdvisoryLock(settings.serve / "server.lock").holder()
    said = _said(file.read_text()) if file.exists() else None
    if holder is None:
        if said is not None:
            what = f"that of PID {said.get('pid', '?')}, started {said.get('started_at', '?')}, has ended without a stop"
            yield Diagnosis("warn", "server", what, "Start it again: smartflow serve, or the service that runs it.")
        else:
            yield Diagnosis("ok", "server", "none runs here")
        return None
    if said is None or not said.get("address"):
        yield Diagnosis("warn", "server", f"{holder} holds its lock and has not said where it listens", "It may be starting: ask again.")
        return None
    who = f"PID {holder.pid}, since {said.get('started_at', holder.since)}"
    if why := _silence(str(said["address"])):
        remedy = f"kill {holder.pid} ends it; then start it again. smartflow serve -v says more."
        yield Diagnosis("fail", "server", f"{said['address']} ({who}) does not answer: {why}", remedy)
    else:
        yield Diagnosis("ok", "server", f"{said['address']} answers ({who})")
    return said


def _said(text: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _silence(address: str) -> str:
    """Why the server does not say that it lives; empty where it does."""
    import httpx

    there = urlsplit(address)
    netloc = {"0.0.0.0": f"127.0.0.1:{there.port}", "::": f"[::1]:{there.port}"}.get(there.hostname or "", there.netloc)
    try:
        answer = httpx.get(f"{there.scheme}://{netloc}/health", timeout=PATIENCE_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error) or type(error).__name__
    return "" if answer.status_code == 200 else f"/health says {answer.status_code}"


def _tokens(settings: "Settings", running: dict[str, Any] | None) -> Diagnoses:
    from smartflow_assets.serve.access.tokens import TokenFile

    try:
        tokens = TokenFile(settings.serve / "tokens.json").tokens()
    except SmartflowError as error:
        yield Diagnosis("fail", "tokens", f"{error.what} ({error.where})", error.remedy)
        return
    host = urlsplit(str(running["address"])).hostname if running else None
    if tokens:
        names = ", ".join(f"{token.name} ({token.role})" for token in tokens[:10])
        yield Diagnosis("ok", "tokens", names + (" …" if len(tokens) > 10 else ""))
    elif running and host not in LOOPBACK:
        remedy = "Make one: smartflow serve token create NAME --role admin"
        yield Diagnosis("fail", "tokens", f"the server listens on {host}, and there is no token: nobody can ask it", remedy)
    elif running:
        yield Diagnosis("ok", "tokens", "none: whoever is on this machine may read, nobody may write")


def _address(environ: Mapping[str, str], running: dict[str, Any] | None) -> Diagnoses:
    from smartflow_assets.stages.message_background import SERVE_VARIABLE

    address = environ.get(SERVE_VARIABLE, "")
    if address and (urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname):
        remedy = "Say under which address people reach the page: https://quality.example.org"
        yield Diagnosis("fail", SERVE_VARIABLE, "it is no address of http or https, so messages cannot link to the page", remedy)
    elif address:
        yield Diagnosis("ok", SERVE_VARIABLE, "messages link to the page")
    elif running:
        yield Diagnosis("ok", SERVE_VARIABLE, "not set here: messages that are sent from here do not link to the page")
