"""Messages: what was sent to whom, and what was not."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from smartflow_assets.serve.access.caller import Caller, reads, service_of
from smartflow_assets.serve.api.answered import answered
from smartflow_assets.serve.api.asked import Cursor, Limit, Sources, cursor, known_sources
from smartflow_assets.serve.problem import responses
from smartflow_assets.serve.queries import lists

router = APIRouter(tags=["messages"])


@router.get("/api/alerts", responses=responses(404, 405))
def alerts(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    source: Sources = None,
    channel: Annotated[str | None, Query(max_length=100, description="Only to this channel.")] = None,
    status: Annotated[Literal["planned", "claimed", "sent", "failed", "skipped"] | None, Query(description="How it stands.")] = None,
    limit: Limit = 100,
    cursor_: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Response:
    """The newest attempt of each message, the newest first; of the last 90 days."""
    after, sources = cursor(cursor_, datetime, str), known_sources(service_of(request), source)

    def build(snapshot: lists.Snapshot) -> dict[str, object]:
        items, more = lists.deliveries(snapshot, sources=sources, channel=channel, status=status, limit=limit, after=after)
        return {"items": items, "next": more}

    return answered(request, service_of(request), build)
