"""What contracts promise and what was found of it, and drift."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from smartflow_assets.serve.access.caller import Caller, reads, service_of
from smartflow_assets.serve.api.answered import answered
from smartflow_assets.serve.api.asked import Sources, known_sources
from smartflow_assets.serve.problem import responses
from smartflow_assets.serve.queries import lists

router = APIRouter(tags=["data"])


@router.get("/api/checks", responses=responses(404, 405))
def checks(request: Request, caller: Annotated[Caller, Depends(reads)], source: Sources = None) -> Response:
    """The newest answer of each expectation, what is not met first; and the newest comparison of each column, the furthest first."""
    service = service_of(request)
    sources = known_sources(service, source)
    return answered(request, service, lambda snapshot: {"checks": lists.checks(snapshot, sources), "drift": lists.drift(snapshot, sources)})
