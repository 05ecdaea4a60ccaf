"""The dead man's switch outside: an address that each tick calls, so that somebody else notices when the calls cease.

Called from a thread of its own at most once a minute, so that it neither delays nor fails a tick. A call that fails is kept for
`smartflow doctor` and logged once an hour. The address is a secret: it stands neither in the log nor in that file.
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from smartflow_assets.adapters.secret_references import references, resolve
from smartflow_assets.adapters.web import host_of, without_request_log
from smartflow_assets.config.home import HomeSettings, read_home
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SmartflowError

AT_MOST_EVERY, LOGGED_EVERY = 60.0, 3600.0  # seconds
TIMEOUT = 5.0  # seconds: a thread that hangs for longer would meet the next one
_log = logging.getLogger("smartflow")
_turn = threading.Lock()
_due: dict[str, Any] = {"called": None, "logged": None}  # by the monotonic clock; of this process, which is that of all our ticks


def call_outside(settings: Settings, environment: Mapping[str, str]) -> threading.Thread | None:
    """Call the address of the home, if it has one and a minute is over. -> the thread that does. Never raises."""
    now = time.monotonic()
    with _turn:
        if _due["called"] is not None and now - _due["called"] < AT_MOST_EVERY:
            return None
        _due["called"] = now
    try:
        home = read_home(settings)
    except SmartflowError:  # told by every run
        return None
    if home.heartbeat_url is None:
        return None
    thread = threading.Thread(target=_call, args=(settings, home, dict(environment)), name="heartbeat", daemon=True)
    thread.start()
    return thread


def _call(settings: Settings, home: HomeSettings, environment: Mapping[str, str]) -> None:
    problem = problem_of_call(home, environment)
    try:
        if not problem:
            settings.failed_call.unlink(missing_ok=True)
            return
        settings.failed_call.write_text(f"{problem}\n")
    except OSError:
        _log.debug("%s cannot be written", settings.failed_call)
    now = time.monotonic()
    with _turn:
        is_told = _due["logged"] is not None and now - _due["logged"] < LOGGED_EVERY
        _due["logged"] = _due["logged"] if is_told else now
    if problem and not is_told:
        _log.warning("heartbeat_url: %s", problem)


def problem_of_call(home: HomeSettings, environment: Mapping[str, str]) -> str:
    """Call the address once; why it could not be, without a word of it but the host; empty where it could."""
    import httpx

    assert home.heartbeat_url is not None
    try:
        address = resolve(home.heartbeat_url, environment)
        with without_request_log(), httpx.Client(timeout=TIMEOUT, follow_redirects=True) as client:
            answer = client.request(home.heartbeat_method.upper(), address)
    except SmartflowError as error:
        return str(error)
    except Exception as error:  # whatever a library makes of an odd address; its text may hold it
        return f"{_shown(home, environment)} cannot be reached ({type(error).__name__})"
    return "" if answer.is_success else f"{_shown(home, environment)} answered {answer.status_code}"


def _shown(home: HomeSettings, environment: Mapping[str, str]) -> str:
    """What may be shown of the address: its host."""
    name = next(references(home.heartbeat_url), "")
    return host_of(environment.get(name, "")) or f"what ${{{name}}} holds"
