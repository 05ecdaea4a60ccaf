"""A small server with counted traffic: what `/metrics` answers on the wire."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from smartflow_assets.config.settings import Settings
from smartflow_assets.serve.metrics.exposition import Exposition
from smartflow_assets.serve.metrics.traffic import Traffic
from smartflow_assets_tests.serve.metrics.watched_home import collector


@dataclass
class Streams:
    count: int = 0
    sent_count: int = 0


def counted_app(settings: Settings) -> FastAPI:
    """/metrics; an answer, one that fails, and a stream of two events."""
    streams = Streams()
    traffic = Traffic(streams)
    app, exposition = FastAPI(), Exposition(collector(settings), traffic)

    @app.get("/metrics")
    def metrics(request: Request) -> Response:
        text, content_type = exposition.text(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    @app.get("/api/data/{source}")
    def data(source: str) -> dict[str, str]:
        return {"source": source}

    @app.get("/api/broken")
    def broken() -> None:
        raise RuntimeError("no")

    @app.get("/api/stream/anomalies")
    def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            for event in ("anomaly", "published"):
                streams.sent_count += 1
                yield f"event: {event}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.middleware("http")
    async def counted(request: Request, call_next: Any) -> Response:
        status, started = 500, time.perf_counter()
        try:
            answer = await call_next(request)
            status = answer.status_code
            return answer
        finally:
            route = getattr(request.scope.get("route"), "path", "other")
            traffic.record(route, request.method, status, time.perf_counter() - started)

    return app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application on a free port of loopback; yields its address, as host:port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()
