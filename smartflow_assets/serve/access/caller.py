"""Who asks, and whether they may: a token in the header `Authorization`, and the role that a route needs.

On this machine alone and before the first token is made, reading is open to whoever can reach the port, as the files of the home are.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from smartflow_assets.serve.access.tokens import Role, Token
from smartflow_assets.serve.problem import Problem
from smartflow_assets.serve.service import Service

_OF_PROXIES = (b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"forwarded", b"via")
_REMEDY = "smartflow serve token create NAME --role {} makes one; send it as `Authorization: Bearer sf_…`."


@dataclass(frozen=True)
class Caller:
    """Who asks. `token` is None for somebody who reads without one."""

    name: str
    role: Role | None
    token: Token | None = None


def service_of(request: Request) -> Service:
    """The service of the app that was asked."""
    return request.app.state.service


def shown_token(request_headers: list[tuple[bytes, bytes]]) -> str | None:
    """The token in the headers of a request; None where there is none."""
    for name, value in request_headers:
        if name == b"authorization":
            scheme, _, text = value.decode("latin-1").partition(" ")
            return text.strip() if scheme.lower() == "bearer" else ""
    return None


def caller_of(request: Request) -> Caller:
    """Who asks. Problem 401 for a token that is none (any more). What a proxy hands on comes from anywhere, so it is not open."""
    service, text = service_of(request), shown_token(request.scope["headers"])
    if text is None:
        is_handed_on = any(name in _OF_PROXIES for name, _ in request.scope["headers"])
        is_open = service.access.is_loopback and not is_handed_on and not service.tokens.is_there
        return Caller("anonymous", Role.reader if is_open else None)
    token = service.tokens.found(text, service.now())
    if token is None:
        raise Problem(
            401,
            "the token is not known, was revoked or has run out",
            remedy=_REMEDY.format("reader"),
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    return Caller(token.name, token.role, token)


def may(needed: Role) -> Callable[[Request], Caller]:
    """A dependency of routes: who asks, if they may do what `needed` may. Problem 401 without a token, 403 with one that may not."""

    def check(request: Request) -> Caller:
        caller = caller_of(request)
        if caller.role is None or (caller.token is None and needed is not Role.reader):
            raise Problem(
                401, f"this needs a token with the role {needed}", remedy=_REMEDY.format(needed), headers={"WWW-Authenticate": "Bearer"}
            )
        if not caller.role.may(needed):
            raise Problem(403, f"{caller.name} is a {caller.role}; this needs the role {needed}", remedy=_REMEDY.format(needed))
        if needed is not Role.reader and service_of(request).access.is_reading_only:
            raise Problem(403, "this server only reads", remedy="Ask the one that was started without --workers.")
        return caller

    return check


reads = may(Role.reader)
operates = may(Role.operator)
administers = may(Role.admin)
