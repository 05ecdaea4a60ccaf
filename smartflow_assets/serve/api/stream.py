"""What happens, as it happens: server-sent events, which a page that was away resumes by the number of the last one that it saw."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.serve.access.caller import Caller, caller_of, reads, service_of
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.api.asked import Cursor, Sources, cursor, known_sources
from smartflow_assets.serve.feed import wire
from smartflow_assets.serve.feed.event_log import read
from smartflow_assets.serve.problem import Problem, responses
from smartflow_assets.serve.queries.lists import encoded

router = APIRouter(tags=["stream"])
HEARTBEAT_SECONDS = 15.0


@router.get(
    "/api/stream/anomalies",
    responses=responses(404, 405) | {200: {"content": {"text/event-stream": {}}, "description": "Events as long as you listen."}},
    response_class=StreamingResponse,
)
async def stream(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    source: Sources = None,
    last_event_id: Annotated[
        str | None,
        Header(description="The number of the last event that was seen: what came after it comes first. What is none begins here."),
    ] = None,
) -> StreamingResponse:
    """`anomaly`, `incident` and `delivery` as they come, each with its number; `published` without one when a copy with other rows lies
    there. A comment each 15 s says that the connection lives. Who does not keep up is disconnected, and resumes."""
    service = service_of(request)
    wanted = frozenset(known_sources(service, source) or ()) or None
    seen = _number(last_event_id or "")

    async def events() -> AsyncIterator[bytes]:
        async with service.listeners.listening() as listener:
            last = await asyncio.to_thread(lambda: service.events.last_id)
            at = last if seen is None else min(seen, last)  # a number of another log: from here on
            yield wire.beginning(at)
            while missed := await asyncio.to_thread(service.events.after, at):
                for each in missed:
                    if wanted is None or each.source in wanted:
                        yield wire.event(each)
                at = missed[-1].event_id
            beat_at = time.monotonic() + HEARTBEAT_SECONDS
            while True:
                try:
                    told = await asyncio.wait_for(listener.queue.get(), max(0.0, beat_at - time.monotonic()))
                except TimeoutError:
                    if not await asyncio.to_thread(_may_still_read, request):
                        return
                    yield wire.HEARTBEAT
                    beat_at = time.monotonic() + HEARTBEAT_SECONDS
                    continue
                if told is None:
                    return
                if told.event_id and told.event_id <= at:
                    continue
                at = max(at, told.event_id)
                if wanted is None or told.source is None or told.source in wanted:
                    yield told.text

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _number(text: str) -> int | None:
    """The number of an event of ours; None for what can be none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _may_still_read(request: Request) -> bool:
    """Whether a token that was good when the stream began still is."""
    try:
        return caller_of(request).role is not None
    except (Problem, SmartflowError):
        return False


@router.get("/api/events", responses=responses(405))
def events(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    cursor_: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Response:
    """The last events of the stream, the newest first, each with its number and kind."""
    [before] = cursor(cursor_, int) or [None]
    found = service_of(request).events.newest(limit + 1, before)
    items: list[dict[str, Any]] = [
        {"id": each.event_id, "kind": each.kind, "source": each.source, "data": read(each)} for each in found[:limit]
    ]
    more = encoded([items[-1]["id"]]) if len(found) > limit else None
    return Response(as_json({"items": items, "next": more}), media_type="application/json")
