"""What people have set up for themselves on the page: kept for each token under a name."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from smartflow_assets.serve.access.audit import audited
from smartflow_assets.serve.access.caller import Caller, reads, service_of
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.problem import Problem, responses
from smartflow_assets.serve.service import Service
from smartflow_assets.stages.audit import RUN_ID
from smartflow_assets.stages.saved_views import LONGEST_NAME, MOST_VIEWS, OF_OWNER, removed, saved

router = APIRouter(tags=["views"])
Name = Annotated[str, Path(max_length=LONGEST_NAME, description="What it is called.", examples=["mornings"])]
View = Annotated[dict[str, Any], Body(description="The view, as the page wrote it.", examples=[{"hash": "#/source/shop", "filter": "eu"}])]


@router.get("/api/views", responses=responses(405))
def views(request: Request, caller: Annotated[Caller, Depends(reads)]) -> Response:
    """The views of the token that asks, by name; none without one."""
    items = _views(service_of(request), caller) if caller.token else []
    return Response(as_json({"items": items, "next": None}), media_type="application/json")


@router.put("/api/views/{name}", responses=responses(404, 405, 409, 413))
def save_view(request: Request, caller: Annotated[Caller, Depends(reads)], name: Name, value: View) -> Response:
    """Save a view in the place of the one of that name."""
    service, owner = service_of(request), _owner(caller)
    there = {each["name"]: each["value"] for each in _views(service, caller)}
    write = saved(owner, name, value, service.now())  # of what cannot be kept nothing is noted either
    with audited(request, caller, "save_view", target=name, before=there.get(name), after=value):
        if name not in there and len(there) >= MOST_VIEWS:
            raise Problem(409, f"there are {MOST_VIEWS} views already", remedy="Take one out first.")
        service.warehouse.commit(RUN_ID, [write])
    return Response(as_json({"name": name, "value": value}), media_type="application/json")


@router.delete("/api/views/{name}", responses=responses(404, 405))
def remove_view(request: Request, caller: Annotated[Caller, Depends(reads)], name: Name) -> Response:
    """Take a view out."""
    service, owner = service_of(request), _owner(caller)
    there = {each["name"]: each["value"] for each in _views(service, caller)}
    if name not in there:
        raise Problem(404, f"there is no view {name!r}", remedy="GET /api/views lists those of your token.")
    with audited(request, caller, "remove_view", target=name, before=there[name]):
        service.warehouse.commit(RUN_ID, [removed(owner, name)])
    return Response(as_json({"name": name}), media_type="application/json")


def _owner(caller: Caller) -> str:
    if caller.token is None:
        raise Problem(401, "views are kept for a token", remedy="Log in first.", headers={"WWW-Authenticate": "Bearer"})
    return caller.token.token_id


def _views(service: Service, caller: Caller) -> list[dict[str, Any]]:
    """From the live file: what was saved just now is not published before the next run."""
    rows = service.warehouse.read(OF_OWNER, [_owner(caller)])
    return [{"name": row.name, "value": json.loads(str(row.value)), "saved_at": row.saved_at} for row in rows.itertuples(index=False)]
