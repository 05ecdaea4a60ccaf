"""The exposition: what has been read, as Prometheus or OpenMetrics text.

Readings are made anew for each scrape, but for scrapes that follow within seconds: several servers may ask at once, and whoever may read
may ask as often as he likes. What cannot be read leaves the rest standing and says so in `smartflow_published_readable`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from importlib.metadata import version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.name_prefix import prefix_of
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.serve.metrics.figures import read_figures
from smartflow_assets.serve.metrics.home_files import read_files
from smartflow_assets.serve.metrics.readings import Readings
from smartflow_assets.serve.metrics.traffic import Traffic

KEPT_SECONDS = 5.0
_log = logging.getLogger("smartflow")


class HomeCollector(Collector):
    """Reads the figures of one home when it is asked. `snapshot` opens one state of the published copy."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        catalogue: Callable[[], Catalogue],
        snapshot: Callable[[], AbstractContextManager[Snapshot]],
    ) -> None:
        self._settings, self._environ, self._catalogue, self._snapshot = settings, environ, catalogue, snapshot
        self._lock, self._readings, self._read_at = threading.Lock(), Readings(), -KEPT_SECONDS

    def collect(self) -> Iterator[Metric]:
        """One family for each metric that has values."""
        with self._lock:
            if time.monotonic() - self._read_at >= KEPT_SECONDS:
                self._readings, self._read_at = self.read(datetime.now(UTC)), time.monotonic()
            readings = self._readings
        for metric, values in readings:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family

    def read(self, now: datetime) -> Readings:
        """All figures, read now."""
        catalogue = self._catalogue()
        readings = Readings(catalogue.names, catalogue.channels)
        readings.add("smartflow_build_info", 1, version=version("smartflow"), prefix=prefix_of(self._environ))
        read_files(self._settings, catalogue, readings)
        of_published = Readings(catalogue.names, catalogue.channels)  # half of it would be wrong
        try:
            with self._snapshot() as published:
                read_figures(published, of_published, catalogue, now)
        except SmartflowError as error:
            _log.info("metrics without the published copy: %s", error)
            of_published = None
        readings.add("smartflow_published_readable", of_published is not None)
        return readings if of_published is None else readings.beside(of_published)


class Exposition:
    """What `/metrics` answers. With `traffic`, also what this process has served and what it takes of the machine."""

    def __init__(self, home: HomeCollector, traffic: Traffic | None = None) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(home)
        if traffic is not None:
            self._registry.register(traffic)
            ProcessCollector(registry=self._registry)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """The figures and their content type: OpenMetrics where an Accept header names it, else Prometheus' text. The client's own
        choice fails for a version that is none, which strangers may send."""
        if "application/openmetrics-text" in accept.lower():
            return openmetrics.generate_latest(self._registry), "application/openmetrics-text; version=1.0.0; charset=utf-8"
        return self.plain(), CONTENT_TYPE_PLAIN_0_0_4

    def plain(self) -> bytes:
        """As the textfile collector of the node exporter reads them."""
        return generate_latest(self._registry)
