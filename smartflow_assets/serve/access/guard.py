"""What every request passes before a route sees it, and every answer before it leaves.

Only hosts of ours are answered, since a page of a stranger may have a name that leads here (DNS rebinding). A token in an address is
refused: addresses are kept in logs and histories. Bodies, and requests for each caller, have a limit. Nothing is opened to pages of
other origins, and ours may load what this server has alone.
"""

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smartflow_assets.serve.access.caller import shown_token
from smartflow_assets.serve.access.strict_json import refusal
from smartflow_assets.serve.problem import Problem, unforeseen
from smartflow_assets.serve.service import Access

MOST_BYTES = 5 * 1024**2
_TOKEN = re.compile(r"sf_[0-9a-f]{8}_[A-Za-z0-9_-]{20,}")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; media-src 'self'; font-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
_UNLIMITED = ("/health", "/ready")
_MOST_CALLERS = 10_000


class _TooLarge(Exception):
    """The body grew beyond the limit while it was read."""


class Rate:
    """A bucket of requests for each caller: `per_second` come in, twice as many fit; 0 is no limit.

    >>> rate = Rate(1)
    >>> [rate.wait("anna", at) for at in (0.0, 0.0, 0.0, 1.0)]
    [0.0, 0.0, 1.0, 0.0]
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str, at: float) -> float:
        """0 where one more may be asked, else the seconds until one may."""
        if not self._per_second:
            return 0.0
        left, since = self._left.pop(caller, (2 * self._per_second, at))
        left = min(2 * self._per_second, left + (at - since) * self._per_second)
        is_allowed = left >= 1
        self._left[caller] = (left - 1 if is_allowed else left, at)
        if len(self._left) > _MOST_CALLERS:
            self._left.popitem(last=False)
        return 0.0 if is_allowed else (1 - left) / self._per_second


class Guard:
    """The outermost layer of the app. `record` is told of each answer: route template, method, status, seconds."""

    def __init__(self, app: ASGIApp, access: Access, record: Callable[[str, str, int, float], None]) -> None:
        self._app, self._access, self._record = app, access, record
        self._rate = Rate(access.requests_per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        started, status, is_refused = time.perf_counter(), 0, False
        scope.setdefault("state", {})["request_id"] = request_id = secrets.token_hex(8)
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope  # the server sends the head alone

        async def sent(message: Message) -> None:
            nonlocal status
            if is_refused:
                return
            if message["type"] == "http.response.start":
                status = message["status"]
                there = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in _HEADERS if name not in there),
                    (b"x-request-id", request_id.encode()),
                    *([(b"cache-control", b"no-store")] if b"cache-control" not in there else []),
                ]
            await send(message)

        size = 0

        async def received() -> Message:
            nonlocal size, is_refused
            message = await receive()
            size += len(message.get("body", b""))
            if size > MOST_BYTES:
                if not status:
                    await _answer(_too_large(), sent)
                is_refused = True  # whatever the route makes of it
                raise _TooLarge
            return message

        try:
            problem = self._problem(scope)
            replayed = received
            if problem is None and _is_json(scope):
                problem, replayed = await _read_strictly(received)
            if problem is not None:
                await _answer(problem, sent)
            else:
                await self._app(asked, replayed, sent)
        except _TooLarge:
            pass  # it was answered
        except Exception as error:  # told here, since what goes on from here ends the connection without a word
            problem = unforeseen(error, scope)
            if not status:
                await _answer(problem, sent)
        finally:
            route = asked.get("route")
            self._record(getattr(route, "path", "") or "other", scope["method"], status or 500, time.perf_counter() - started)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = scope["headers"]
        given = {name: value.decode("latin-1") for name, value in headers}
        if _host(given.get(b"host", "")) not in self._access.hosts or sum(name == b"host" for name, _ in headers) != 1:
            return Problem(
                421,
                f"this server does not answer to the host {given.get(b'host', '')[:100]!r}",
                remedy="Ask it by the name that it was started with, or name another by --allow-host.",
            )
        if _TOKEN.search(unquote(scope.get("query_string", b"").decode("latin-1"))) or _TOKEN.search(scope["path"]):
            return Problem(
                400,
                "a token stands in the address, where logs and histories keep it",
                remedy="Send it in the header Authorization, and revoke this one: smartflow serve token revoke NAME.",
            )
        if (
            scope["method"] not in ("GET", "HEAD")
            and not scope["path"].startswith("/a/")  # a link in a mail acts by its signature, wherever the mail is shown
            and (origin := given.get(b"origin"))
            and _host(origin.partition("://")[2]) not in self._access.hosts
        ):
            return Problem(403, f"pages of {origin[:100]} may not ask this server")
        length = given.get(b"content-length", "0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return _too_large()
        if scope["path"] not in _UNLIMITED:
            shown = shown_token(headers)
            client = (scope.get("client") or ("", 0))[0]
            if wait := self._rate.wait(shown[:11] if shown else client, time.monotonic()):
                return Problem(
                    429,
                    f"more than {self._access.requests_per_second:g} requests a second",
                    remedy="Wait as long as Retry-After says; the stream tells when something is new.",
                    headers={"Retry-After": str(max(1, round(wait)))},
                )
        return None


def _is_json(scope: Scope) -> bool:
    """Whether a route will read the body as JSON, as they do where its type is not named."""
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    return scope["method"] in ("POST", "PUT") and not any(b"form" in kind for kind in kinds)


async def _read_strictly(receive: Receive) -> tuple[Problem | None, Receive]:
    """The problem of a body, if it has one, and what hands the body on."""
    body, is_last = b"", False
    while not is_last:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        is_last = not message.get("more_body", False)
    is_handed_on = False

    async def replayed() -> Message:
        nonlocal is_handed_on
        if is_handed_on:
            return await receive()
        is_handed_on = True
        return {"type": "http.request", "body": body, "more_body": False}

    why = refusal(body)
    return Problem(422, why, field="body", remedy="Send plain JSON in UTF-8.") if why else None, replayed


def _too_large() -> Problem:
    return Problem(
        413,
        f"a request may have {MOST_BYTES // 1024**2} MB",
        remedy="Send it in pieces, or as a file: smartflow push.",
        headers={"Connection": "close"},
    )


def _host(text: str) -> str:
    """The name in a Host header, without its port.

    >>> _host("LOCALHOST:8000"), _host("[::1]:8000"), _host("[::1]")
    ('localhost', '[::1]', '[::1]')
    """
    return (text.partition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]).lower()


async def _answer(problem: Problem, send: Send) -> None:
    body = problem.body()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
