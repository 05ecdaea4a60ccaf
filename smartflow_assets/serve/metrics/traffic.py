"""Traffic: what this server has answered, counted as it goes by.

Counted by the template of the route and never by the address, which strangers choose. A stream of events is no slow answer: it has no
duration here. These are counters of this process: they begin at 0 with it, which `rate()` knows how to take; with several workers each has
its own, and a scrape meets one of them.
"""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smartflow_assets.serve.metrics.declarations import METRICS, STREAMS

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds; reading is to stay under .1
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Streams(Protocol):
    """Who knows of the streams of events: how many are open, and how many events they were sent."""

    @property
    def count(self) -> int: ...

    sent_count: int


class Traffic(Collector):
    """The counters of one process."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._requests = Counter(
            *_declared("smartflow_http_requests_total"), METRICS["smartflow_http_requests_total"].labels, registry=None
        )
        name = "smartflow_http_request_duration_seconds"
        self._durations = Histogram(*_declared(name), METRICS[name].labels, buckets=BUCKETS, registry=None)

    def record(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer: the template of its route, and how long it took."""
        method = method if method in METHODS else "other"
        self._requests.labels(route, method, f"{status // 100}xx").inc()
        if not route.startswith(STREAMS):
            self._durations.labels(route, method).observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """One family for each metric of the server, without `_created`: nobody asks for it, and it makes twice as many series."""
        for family in (*self._requests.collect(), *self._durations.collect()):
            family.samples = [each for each in family.samples if not each.name.endswith("_created")]
            yield family
        yield GaugeMetricFamily(*_declared("smartflow_http_stream_clients"), self._streams.count)
        yield CounterMetricFamily(*_declared("smartflow_http_stream_events_total"), self._streams.sent_count)


def _declared(name: str) -> tuple[str, str]:
    return name, METRICS[name].help
