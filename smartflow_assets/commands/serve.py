"""`smartflow serve`: the HTTP API and the live page; and the tokens that it is asked with."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smartflow_assets.commands import home, process, terminal
from smartflow_assets.commands.run import run_one
from smartflow_assets.core.errors import SmartflowError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.serve.access.tokens import TokenFile

START_EXAMPLES = """
smartflow serve
smartflow serve --port 8081
smartflow serve --host 0.0.0.0 --allow-host quality.example.org
smartflow serve --root-path /quality --trust-proxy 127.0.0.1
"""
CREATE_EXAMPLES = """
smartflow serve token create anna --role operator
smartflow serve token create prometheus --role reader --for 365d
"""
LIST_EXAMPLES = """
smartflow serve token list
"""
REVOKE_EXAMPLES = """
smartflow serve token revoke anna
"""
_BACKLOG = 512
_PATIENCE = timedelta(seconds=8)
"""So long whoever pressed a button waits for others to let go of the warehouse; a run waits for a minute."""
_ACCESS = "SMARTFLOW_SERVE_ACCESS"  # what processes that answer are told by the one that started them
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def start(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 opens it to the network, and needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="Port to listen on.")] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", metavar="NAME", help="Another name that it is asked by; may be repeated.")
    ] = None,
    root_path: Annotated[str, typer.Option("--root-path", metavar="PATH", help="Where a proxy shows it, as /quality.")] = "",
    trust_proxy: Annotated[
        str, typer.Option("--trust-proxy", metavar="ADDRESS", help="Of this proxy alone forwarded headers are believed.")
    ] = "",
    rate: Annotated[
        float, typer.Option("--rate", min=0, help="Requests a second for each caller, twice as many at once; 0: no limit.")
    ] = 100.0,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, help="So many processes answer, and nothing can be changed by any of them.")
    ] = 1,
) -> None:
    """Open the live page and the API, at http://127.0.0.1:8000.

    It reads the copy that runs publish, and writes only what people decide. On this machine reading is open until the first token is
    made; whatever changes something needs one. Ctrl-C ends it.
    """
    settings = home.open_home()
    with process.loading():
        uvicorn = _uvicorn()
        from smartflow_assets.adapters.files.access import private
        from smartflow_assets.serve.access.tokens import TokenFile
        from smartflow_assets.serve.service import Access

    names = {each.strip().lower() for each in (host, *(allow_host or ())) if each.strip() not in ("0.0.0.0", "::", "")}
    is_loopback = host in ("127.0.0.1", "localhost", "::1") and not allow_host and not trust_proxy
    tokens = TokenFile(settings.serve / "tokens.json")
    if not is_loopback and not tokens.tokens():
        raise SmartflowError(
            "whoever reaches this address could read everything: there is no token yet",
            remedy="Make one first: smartflow serve token create NAME --role admin. Or leave --host out.",
        )
    access = Access(frozenset({*names, *LOOPBACK}), is_loopback, root_path.rstrip("/"), rate, is_reading_only=workers > 1)
    os.environ[_ACCESS] = json.dumps(asdict(access) | {"hosts": sorted(access.hosts)})
    app = None if workers > 1 else served_app()
    _publish_anew(settings)
    shown = f"http://{host if host not in ('0.0.0.0', '::') else '127.0.0.1'}:{port}{access.root_path}/"
    config = uvicorn.Config(
        app or f"{__name__}:{served_app.__name__}",
        factory=app is None,
        workers=workers,
        host=host,
        port=port,
        log_level="info" if terminal.is_verbose() else "warning",
        access_log=False,  # addresses hold what people look for
        server_header=False,
        root_path=access.root_path,
        proxy_headers=bool(trust_proxy),
        forwarded_allow_ips=trust_proxy or None,
        timeout_graceful_shutdown=5,
        http="h11",  # which limits headers, as httptools does not
        h11_max_incomplete_event_size=64 * 1024,
        ws="none",
        backlog=_BACKLOG,
    )
    with private():
        said = f"{shown}  (sources of {settings.home}; {_told_of(tokens)}; Ctrl-C ends it)"
        if app is None:
            from uvicorn.supervisors import Multiprocess

            listening = _listening(host, port)
            terminal.say(said)
            Multiprocess(config, [listening]).run()
            return
        with _alone(settings):
            listening = _listening(host, port)
            terminal.say(said)
            _served(uvicorn, config, listening, app.state.service, shown)


def served_app() -> "FastAPI":
    """The app of the home and the access that the environment names: a process that answers makes it for itself."""
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.serve.app import create_app
    from smartflow_assets.serve.service import Access, Service

    settings, told = Settings.from_environment(os.environ), json.loads(os.environ[_ACCESS])
    access = Access(**told | {"hosts": frozenset(told["hosts"])})
    return create_app(Service(settings, _warehouse(settings), access, _run_source))


def _warehouse(settings: "Settings") -> "Warehouse":
    """As `defs` opens it, without the thousand modules of Dagster and with less patience."""
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.home import share_of

    return Warehouse(settings.warehouse_file, settings.published_file, lock_timeout=_PATIENCE, share=share_of(settings))


def _publish_anew(settings: "Settings") -> None:
    """Publish once more what an older SmartFlow has published: the server asks for what only a copy of today has."""
    from smartflow_assets.adapters.warehouse.tables import SCHEMA_VERSION

    warehouse = _warehouse(settings)
    try:
        if (info := warehouse.snapshot_info()) is not None and info.schema_version < SCHEMA_VERSION:
            warehouse.publish("serve", is_forced=True)
    except SmartflowError as error:  # the copy from before is better than none
        terminal.note(f"the copy of an older SmartFlow could not be published anew: {error}")


@contextmanager
def _alone(settings: "Settings") -> Iterator[None]:
    """The one server of this home: what is sent to two would be filed by both."""
    from smartflow_assets.adapters.files.access import make_private_folder
    from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
    from smartflow_assets.core.errors import WarehouseBusyError

    make_private_folder(settings.serve)
    try:
        with AdvisoryLock(settings.serve / "server.lock").exclusive(timedelta(0), holder=f"smartflow serve, process {os.getpid()}"):
            yield
    except WarehouseBusyError as error:
        raise SmartflowError(
            "a server of this home is running", where=_address_of(settings), remedy="End it first, or open its address."
        ) from error


def _address_of(settings: "Settings") -> str:
    """Where the running server says that it is."""
    try:
        return str(json.loads((settings.serve / "server.json").read_text())["address"])
    except (OSError, ValueError, KeyError):
        return str(settings.serve)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens: an address that is said is one that answers. SmartflowError where it cannot be had."""
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise SmartflowError(
            f"port {port} of {host} cannot be used: {(error.strerror or str(error)).lower()}",
            remedy="End what listens there, or choose another port: --port.",
        ) from error
    found.set_inheritable(True)  # for --workers
    return found


def _served(uvicorn: Any, config: Any, listening: socket.socket, service: Any, address: str) -> None:
    """Run the server until it is told to end; listeners are let go first, since they would wait for ever. While it runs, a file says where
    it is."""
    file = service.settings.serve / "server.json"

    ended_by = list[int]()

    class Server(uvicorn.Server):
        async def startup(self, *arguments: Any, **options: Any) -> None:
            await super().startup(*arguments, **options)
            if self.started:
                told = {"pid": os.getpid(), "address": address, "started_at": datetime.now(UTC).isoformat()}
                file.write_text(json.dumps(told) + "\n")

        def handle_exit(self, sig: int, frame: Any) -> None:
            service.listeners.end()
            self.force_exit = self.should_exit and sig == signal.SIGINT  # a second Ctrl-C waits for nobody
            self.should_exit = True
            ended_by.append(sig)

    server = Server(config)
    try:
        server.run([listening])
    finally:
        file.unlink(missing_ok=True)
    if ended_by:
        raise typer.Exit(130 if ended_by[0] == signal.SIGINT else 0)
    if not server.started:
        raise SmartflowError("the server could not start", remedy="smartflow -v serve says more.")


def create_token(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Who or what it is for; stands beside what is done with it.", show_default=False)
    ],
    role: Annotated[
        str, typer.Option("--role", help="reader: looks; operator: decides about incidents, sends rows; admin: changes sources as well.")
    ] = "reader",
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="LENGTH", help="How long it holds; default: until revoked.", show_default=False)
    ] = None,
) -> None:
    """Make a token, which is shown this once: `Authorization: Bearer sf_…`."""
    from smartflow_assets.serve.access.tokens import Role

    if role not in list(Role):
        raise terminal.UsageError(f"there is no role {role!r}", remedy=f"There are {', '.join(Role)}.")
    now = datetime.now(UTC)
    expires_at = now + home.duration(lasting, "--for") if lasting else None
    if expires_at is not None and expires_at <= now:
        raise terminal.UsageError(f"--for {lasting} is no time to come")
    terminal.result(_tokens(home.open_home()).create(name.strip(), Role(role), now, expires_at))
    terminal.say("this is shown once; data/serve/tokens.json holds its hash alone")


def list_tokens() -> None:
    """List the tokens: what each is called and may do. None of them is shown."""
    tokens, now = _tokens(home.open_home()).tokens(), datetime.now(UTC)
    if not tokens:
        terminal.result("there is no token: smartflow serve token create NAME --role operator")
        return
    rows = [
        [
            each.token_id,
            each.name,
            each.role,
            f"{each.created_at:%Y-%m-%d}",
            f"{each.expires_at:%Y-%m-%d %H:%M}" if each.expires_at else "",
            "has run out" if each.is_expired(now) else "",
        ]
        for each in tokens
    ]
    terminal.table(["id", "name", "role", "made", "holds until", ""], rows)


def revoke_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name or id of a token.", show_default=False)],
) -> None:
    """Take a token away; from the next request on it is none."""
    gone = _tokens(home.open_home()).revoke(name)
    terminal.result(f"{gone.name} ({gone.role}) is revoked")


def _tokens(settings: "Settings") -> "TokenFile":
    from smartflow_assets.serve.access.tokens import TokenFile

    return TokenFile(settings.serve / "tokens.json")


def _told_of(tokens: "TokenFile") -> str:
    count = len(tokens.tokens())
    return terminal.count(count, "token") if count else "reading is open on this machine, writing needs a token"


def _uvicorn() -> Any:
    try:
        import fastapi
        import uvicorn
    except ImportError:
        raise SmartflowError(
            "the server is not installed", remedy="pip install 'smartflow[serve]' brings it; the rest of SmartFlow does without."
        ) from None
    return uvicorn if fastapi else None


def _run_source(folder: str, source: str) -> dict[str, Any]:
    """Run a source as `smartflow run` does, in a process beside the server -> run_id, is_success, failures and notes (in words)."""
    from smartflow_assets.config.settings import HOME_VARIABLE, Settings

    os.environ[HOME_VARIABLE] = folder
    outcome = run_one(Settings(Path(folder)), source, "rows over HTTP")
    failures = [f"{failure.cause}: {failure.message}" for failure in outcome.failures]
    return {"run_id": outcome.run_id, "is_success": outcome.is_success, "failures": failures, "notes": [*outcome.notes]}


HELP = "The live page and the HTTP API. Without a verb: start."
TOKEN_HELP = "Who may ask the server, and as what."
COMMANDS = (("start", start, START_EXAMPLES),)
TOKEN_COMMANDS = (
    ("create", create_token, CREATE_EXAMPLES),
    ("list", list_tokens, LIST_EXAMPLES),
    ("revoke", revoke_token, REVOKE_EXAMPLES),
)
