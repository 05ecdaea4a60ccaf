"""How the home and this server are doing, as Prometheus reads it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from smartflow_assets.serve.access.caller import Caller, reads
from smartflow_assets.serve.metrics.exposition import Exposition
from smartflow_assets.serve.problem import responses

router = APIRouter(tags=["operations"])
_FORMATS = {"text/plain": {}, "application/openmetrics-text": {}}


@router.get(
    "/metrics",
    responses=responses(405) | {200: {"content": _FORMATS, "description": "Figures, a line each."}},
    response_class=Response,
    summary="How is it doing?",
)
def metrics(request: Request, caller: Annotated[Caller, Depends(reads)]) -> Response:
    """Runs, freshness, anomalies, incidents, messages, sizes, and what this server has answered: docs/metrics.md lists all. Prometheus'
    text format, or OpenMetrics where that is accepted. At most five seconds old."""
    exposition: Exposition = request.app.state.exposition
    text, content_type = exposition.text(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": content_type})
