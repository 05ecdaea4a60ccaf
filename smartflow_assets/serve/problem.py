"""Errors as the API tells them: `application/problem+json` (RFC 9457), with the remedy that every error of ours has."""

import errno
import logging
import traceback
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from smartflow_assets.core.errors import SmartflowError, WarehouseBusyError
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.error_values import error_values

_log = logging.getLogger("smartflow.serve")
_FRAMES, _LONGEST = -12, 4_000
_TITLES = {
    400: "The request cannot be understood",
    401: "A token is needed",
    403: "This is not allowed",
    404: "There is no such thing",
    405: "This address does not take this method",
    409: "It does not go with how things stand",
    413: "The request is too large",
    415: "The body is of another type",
    421: "Another host was asked",
    422: "A value cannot be used",
    429: "Too many requests",
    500: "Something failed that should not have",
    503: "Not now",
    507: "There is no room",
}


class ProblemBody(BaseModel):
    """What went wrong, and what to do about it."""

    type: str = Field(description="about:blank: the status says what kind of problem it is.", examples=["about:blank"])
    title: str = Field(examples=["There is no such thing"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no source 'sohp'"])
    remedy: str | None = Field(default=None, examples=["Did you mean shop?"])
    source: str | None = Field(default=None, description="The source that it is about.")
    field: str | None = Field(default=None, description="The field, or the file and line, that it is about.")


class Problem(Exception):
    """An answer that is none: its HTTP status, what is wrong, and what to do."""

    def __init__(
        self, status: int, detail: str, *, remedy: str = "", source: str = "", field: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.status, self.detail, self.remedy, self.source, self.field = status, detail, remedy, source, field
        self.headers = headers or {}
        super().__init__(status, detail)

    def response(self) -> Response:
        """As it goes over the wire."""
        return Response(self.body(), self.status, self.headers, media_type="application/problem+json")

    def body(self) -> bytes:
        """The JSON of it."""
        told: dict[str, Any] = {
            "type": "about:blank",
            "title": _TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
        }
        told |= {name: value for name in ("remedy", "source", "field") if (value := getattr(self, name))}
        return as_json(told)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for its description: these, and those that every route may."""
    return {
        status: {"model": ProblemBody, "description": _TITLES[status], "content": {"application/problem+json": {}}}
        for status in sorted({400, 401, 403, 421, 422, 429, 500, 503, 507, *statuses})
    }


def of_error(error: SmartflowError) -> Problem:
    """An error of ours as an answer."""
    headers = {"Retry-After": "5"} if isinstance(error, WarehouseBusyError) else None
    return Problem(**error_values(error), headers=headers)


def install(app: FastAPI) -> None:
    """Let every error of the routes be told so."""

    async def told(request: Request, error: Exception) -> Response:
        if isinstance(error, Problem):
            return error.response()
        if isinstance(error, SmartflowError):
            return of_error(error).response()
        if isinstance(error, RequestValidationError):
            return _of_values(error).response()
        if isinstance(error, HTTPException):
            return Problem(error.status_code, str(error.detail), headers=dict(error.headers or {})).response()
        return unforeseen(error, request.scope).response()

    for kind in (Problem, SmartflowError, RequestValidationError, HTTPException, OSError):
        app.add_exception_handler(kind, told)


def unforeseen(error: Exception, scope: Scope) -> Problem:
    """An error that nobody thought of, told in the log in a few lines; a full disk is one that people can do something about."""
    request_id = scope.get("state", {}).get("request_id", "")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _log.error("request %s of %s %s: %s", request_id, scope["method"], scope["path"], error.strerror)
        return Problem(507, f"{error.strerror}: nothing was done", remedy="Free some space, then ask again.")
    told = traceback.format_exception(error, limit=_FRAMES)
    _log.error("request %s of %s %s failed\n%s", request_id, scope["method"], scope["path"], "".join(told)[-_LONGEST:])
    return Problem(500, "the server could not answer", remedy=f"Its log says why, under request {request_id}.")


def _of_values(error: RequestValidationError) -> Problem:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
    return Problem(422, f"{where}: {first['msg']}{more}", field=where, remedy="/openapi.json describes what is taken.")
