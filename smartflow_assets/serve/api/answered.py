"""The answer to a question about the copy: worked out once for each copy, and named (ETag), so that who has it already is told so."""

import hashlib
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response

from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.service import Service


def answered(request: Request, service: Service, build: Callable[[Snapshot], Any]) -> Response:
    """What `build` makes of the newest copy, as JSON; for questions whose answer follows from the copy, the files and the address alone."""
    files = service.catalogue_state
    state, key = f"{service.published.generation} {files}", str(request.url.path) + "?" + str(request.url.query)
    body = service.answers.get(state, key)
    if body is None:
        with service.answers.alone(key):
            body = service.answers.get(state, key)
            if body is None:
                with service.published.snapshot() as snapshot:
                    state = f"{snapshot.generation} {files}"
                    body = as_json(build(snapshot))
                service.answers.keep(state, key, body)
    tag = '"' + hashlib.sha256(f"{state} {key}".encode()).hexdigest()[:24] + '"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
