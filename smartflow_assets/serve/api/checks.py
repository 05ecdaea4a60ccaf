"""What contracts promise and what was found of it, and drift."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from smartflow_assets.serve.access.caller import Caller, reads, service_of
from smartflow_assets.serve.api.answered import answered
from smartflow_assets.serve.api.asked import Sources
from smartflow_assets.serve.problem import responses
from smartflow_assets.serve.queries import lists

router = APIRouter(tags=["data"])


@router.get("/api/checks", responses=responses(405))
def checks(request: Request, caller: Annotated[Caller, Depends(reads)], source: Sources = None) -> Response:
    """The newest answer of each expectation, what is not met first; and the newest comparison of each column, the furthest first."""
    return answered(
        request,
        service_of(request),
        lambda snapshot: {"checks": lists.checks(snapshot, source), "drift": lists.drift(snapshot, source)},
    )
