"""Anomalies, the newest first."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from smartflow_assets.serve.access.caller import Caller, reads, service_of
from smartflow_assets.serve.api.answered import answered
from smartflow_assets.serve.api.asked import (
    Cursor,
    From,
    Limit,
    Series,
    Severities,
    Sources,
    To,
    cursor,
    known_series,
    known_sources,
    severities,
    span,
)
from smartflow_assets.serve.problem import responses
from smartflow_assets.serve.queries import lists

router = APIRouter(tags=["data"])


@router.get("/api/anomalies", responses=responses(404, 405))
def anomalies(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    source: Sources = None,
    series: Series = None,
    severity: Severities = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor_: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Response:
    """What was flagged, each with why, and the incident that it belongs to; by default of the newest 90 days of the data."""
    (start, end), after, wanted = span(from_, to), cursor(cursor_, datetime, str), severities(severity)
    sources = known_sources(service_of(request), source)

    def build(snapshot: lists.Snapshot) -> dict[str, object]:
        known_series(snapshot, [series] if series else None, sources)
        items, more = lists.anomalies(
            snapshot, sources=sources, series=series, severity=wanted, from_at=start, to_at=end, limit=limit, after=after
        )
        return {"items": items, "next": more}

    return answered(request, service_of(request), build)
