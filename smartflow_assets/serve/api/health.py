"""Whether the server lives, and whether it can answer."""

from typing import Any

from fastapi import APIRouter, Request

from smartflow_assets.serve.access.caller import service_of
from smartflow_assets.serve.problem import Problem, responses

router = APIRouter(tags=["operations"])


@router.get("/health", responses=responses(405), summary="Does the process live?")
def health() -> dict[str, str]:
    """`{"status": "ok"}` as long as it does; nothing is asked of the warehouse."""
    return {"status": "ok"}


@router.get("/ready", responses=responses(405), summary="Can it answer?")
def ready(request: Request) -> dict[str, Any]:
    """Once something is published, and can be read; 503 before."""
    service = service_of(request)
    if not service.published.generation:
        raise Problem(
            503, "nothing is published yet", remedy="Run `smartflow run` first, or `smartflow demo`.", headers={"Retry-After": "5"}
        )
    with service.published.snapshot() as snapshot:
        service.totals(snapshot)
    return {"status": "ready"}
