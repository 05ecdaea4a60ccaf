"""`smartflow ui`: Dagster's web page and its daemon on the same history as `smartflow run`, from any folder."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.dying_with_parent import interrupted_with_parent
from smartflow_assets.core.errors import SmartflowError, WarehouseBusyError

if TYPE_CHECKING:
    from smartflow_assets.config.settings import Settings

EXAMPLES = """
smartflow ui
smartflow ui --port 3001
SMARTFLOW_HOME=/srv/quality smartflow ui --host 0.0.0.0
"""
SUPERSEDED = "Function `dev_command` is superseded"  # dagster 1.13 on `dagster dev`; its heir `dg dev` is another package
STILL_TICKS = timedelta(minutes=2)  # sensors tick each 30 s
GRACE_SECONDS = 15  # dagster ends its daemon and code servers in 1 to 6 s


def ui(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 opens it to the network, without a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="Port to listen on.")] = 3000,
) -> None:
    """Open Dagster's UI, and run schedules and sensors as long as it is open.

    It shows the runs of `smartflow run` as well. Ctrl-C ends it and all its processes.
    """
    settings = home.open_home()
    _check_port(host, port)
    from smartflow_assets.adapters.files.access import private
    from smartflow_assets.defs.instance import open_instance, prepare_dagster_home
    from smartflow_assets.defs.settling_in import AS_LONG_AS_IT_TAKES, settle_in
    from smartflow_assets.stages.heartbeat import stop

    with _alone(settings):
        folder = prepare_dagster_home(settings.dagster_home)
        with open_instance(folder) as instance:  # before the daemon looks: what is switched off must not tick once under a new name
            settle_in(instance, settings, patience=AS_LONG_AS_IT_TAKES)
        os.environ.update(SMARTFLOW_HOME=str(settings.home.resolve()), DAGSTER_HOME=str(folder.resolve()))
        terminal.say(f"http://{host}:{port}  (sources of {settings.home}, history in {folder}; Ctrl-C ends it)")
        command = [sys.executable, "-W", f"ignore:{SUPERSEDED}", "-m", "dagster", "dev", "-m", "smartflow_assets.definitions"]
        command += ["--host", host, "--port", str(port)]
        if not terminal.is_verbose():
            command += ["--log-level", "warning"]
        with private():  # Dagster's own files too
            process = subprocess.Popen(command, cwd=settings.home, start_new_session=True, preexec_fn=interrupted_with_parent())
        ended_by: list[int] = []

        def end(number: int, frame: FrameType | None) -> None:
            ended_by.append(number)
            _signal_group(process, signal.SIGINT)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, end)
        code = _wait(process, ended_by)
        if ended_by and ended_by[0] != signal.SIGHUP:  # a terminal that closed is no stop on purpose: somebody is to miss the daemon
            stop(settings)
        if ended_by:
            raise typer.Exit(130 if ended_by[0] == signal.SIGINT else 0)
        if code:
            raise SmartflowError(f"Dagster ended with exit code {code}", remedy="What it said stands above; -v says more.")


@contextmanager
def _alone(settings: "Settings") -> Iterator[None]:
    """The one `smartflow ui` of this home. Of another daemon that ticks there is no more than its heartbeat, and that of one which was
    killed just now looks the same."""
    from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
    from smartflow_assets.stages.heartbeat import last_beat

    lock, newest = AdvisoryLock(settings.ui_lock, is_beside_shared=True), last_beat(settings)
    was_killed = lock.abandoned_at() is not None
    with ExitStack() as held:
        try:
            held.enter_context(lock.exclusive(timedelta(0), holder="smartflow ui"))
        except WarehouseBusyError as error:
            holder = lock.holder()
            raise SmartflowError(
                "`smartflow ui` of this home is running" + (f": PID {holder.pid} on {holder.host}, since {holder.since}" if holder else ""),
                remedy="Open its page, or end it first" + (f": kill {holder.pid}." if holder else "."),
            ) from error
        if newest is not None and newest.age < STILL_TICKS and not was_killed:
            terminal.note(
                f"a daemon of this home ticked {newest.age.total_seconds():.0f} s ago: if it still runs, end it, or this; "
                "Dagster does not support two, which do the same things twice"
            )
        yield


def _check_port(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except socket.gaierror:
        raise terminal.UsageError(f"--host: {host!r} is no address of this machine") from None
    except OSError as error:
        raise SmartflowError(
            f"port {port} of {host} cannot be used: {error.strerror}",
            remedy=f"Is it open already? Else choose another: smartflow ui --port {port + 1}.",
        ) from error


def _wait(process: "subprocess.Popen[bytes]", ended_by: list[int]) -> int:
    """Until it ends; once it was told to, until its whole group is gone, by force after a grace."""
    deadline: float | None = None
    while process.poll() is None or (ended_by and _signal_group(process, 0)):
        if ended_by and deadline is None:
            deadline = time.monotonic() + GRACE_SECONDS
        if deadline is not None and time.monotonic() > deadline:
            _signal_group(process, signal.SIGKILL)
            deadline += GRACE_SECONDS
        time.sleep(0.1)
    _signal_group(process, signal.SIGTERM)  # what is left when dagster ended by itself
    return process.returncode


def _signal_group(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Signal every process of the group; is there any?"""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


COMMANDS = (("ui", ui, EXAMPLES),)
