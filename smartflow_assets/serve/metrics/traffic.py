"""Traffic: what this server has answered, counted as it goes by.

Counted by the template of the route and never by the address, which strangers choose. Streams of events have figures of their own, since
one that is open for a day is no slow answer. These are counters of this process: they begin at 0 with it, which `rate()` knows how to take;
with several workers each has its own, and a scrape meets one of them.
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from smartflow_assets.serve.metrics.declarations import METRICS

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds; reading is to stay under .1
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Traffic:
    """The counters of one process."""

    def __init__(self) -> None:
        self.requests = Counter(*_declared("smartflow_http_requests_total"), registry=None)
        self.durations = Histogram(*_declared("smartflow_http_request_duration_seconds"), buckets=BUCKETS, registry=None)
        self.in_progress = Gauge(*_declared("smartflow_http_requests_in_progress"), registry=None)
        self.clients = Gauge(*_declared("smartflow_http_stream_clients"), registry=None)
        self.events = Counter(*_declared("smartflow_http_stream_events_total"), registry=None)

    def register(self, registry: CollectorRegistry) -> None:
        """Let these be part of what `registry` tells."""
        for each in (self.requests, self.durations, self.in_progress, self.clients, self.events):
            registry.register(each)

    def sent(self, event: str, clients: int = 1) -> None:
        """An event went to so many clients of the stream."""
        self.events.labels(event).inc(clients)


class CountedApp:
    """An ASGI application with its traffic counted; the outermost of the middlewares, so that what others refuse is counted too."""

    def __init__(self, app: App, traffic: Traffic) -> None:
        self.app, self._traffic = app, traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        traffic, started, status, is_stream = self._traffic, time.perf_counter(), 500, False

        async def counted(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = any(
                    key.lower() == b"content-type" and text.startswith(b"text/event-stream") for key, text in message["headers"]
                )
                if is_stream:
                    traffic.clients.inc()
                    traffic.in_progress.dec()
            await send(message)

        traffic.in_progress.inc()
        try:
            await self.app(scope, receive, counted)
        finally:
            (traffic.clients if is_stream else traffic.in_progress).dec()
            route, method = route_of(scope), scope["method"] if scope["method"] in METHODS else "other"
            traffic.requests.labels(route, method, f"{status // 100}xx").inc()
            if not is_stream:
                traffic.durations.labels(route, method).observe(time.perf_counter() - started)


def route_of(scope: Scope) -> str:
    """The template of the route that answered; `unmatched` where there was none, as for a file of the page or a wrong address."""
    return getattr(scope.get("route"), "path", None) or UNMATCHED


def _declared(name: str) -> tuple[str, str, tuple[str, ...]]:
    return name, METRICS[name].help, METRICS[name].labels
