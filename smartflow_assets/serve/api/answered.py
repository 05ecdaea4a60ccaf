"""The answer to a question about the copy: worked out once for each copy, and named (ETag), so that who has it already is told so."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response

from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.service import Service


def answered(request: Request, service: Service, build: Callable[[Snapshot], Any]) -> Response:
    """What `build` makes of the newest copy, as JSON; for questions whose answer follows from the copy, the files and the address alone."""
    files, key = service.catalogue_state, _question(request)
    state = f"{service.published.generation} {files}"
    body = service.answers.get(state, key)
    if body is None:
        with service.answers.alone(key):
            body = service.answers.get(state, key)
            if body is None:
                with service.published.snapshot() as snapshot:
                    state = f"{snapshot.generation} {files}"
                    body = as_json(build(snapshot))
                service.answers.keep(state, key, body)
    return _named(request, state, key, body)


async def answered_beside(request: Request, service: Service, work: Callable[[], Awaitable[Any]]) -> Response:
    """The same for what is worked out beside the server, from the copy that lies there then; nobody waits in a thread for it."""
    key = _question(request)
    state = f"{service.published.generation} {service.catalogue_state}"
    body = service.answers.get(state, key)
    if body is None:

        async def build() -> bytes:
            made = as_json(await work())
            if state == f"{service.published.generation} {service.catalogue_state}":  # else nobody knows of which copy it is
                service.answers.keep(state, key, made)
            return made

        if (task := service.under_way.get((state, key))) is None:
            task = service.under_way[state, key] = asyncio.ensure_future(build())
            task.add_done_callback(lambda _: service.under_way.pop((state, key), None))
        body = await asyncio.shield(task)  # others may wait for it, whoever goes
    return _named(request, state, key, body)


def _question(request: Request) -> str:
    return str(request.url.path) + "?" + str(request.url.query)


def _named(request: Request, state: str, key: str, body: bytes) -> Response:
    tag = '"' + hashlib.sha256(f"{state} {key}".encode()).hexdigest()[:24] + '"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
