"""The example sources: which domain each is made of, its rows, its labels and its anomaly-free twin.

The files in data/examples are versioned, so that a first run needs no code to make them; `regenerate.py` beside them makes
them from what stands here, and a test holds them equal. `iot_sensors` has no file: its reader makes the same rows. Seeds and
events were fixed before there were detectors.
"""
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from smartflow_assets.core.generators import BaseGenerator, Generated, IotSensors, KpiSales, SystemMetrics, WebTraffic

END, SEED = datetime(2026, 2, 18, tzinfo=UTC), 7  # midnight after a Tuesday; what happens in a demo happens on that day
PROMOTION_AT = datetime(2026, 2, 17, 9, 35, tzinfo=UTC)


@dataclass(frozen=True)
class Example:
    """One example source. `metrics` names the columns that its YAML calls otherwise; `is_alive` says that it has no file."""

    domain: BaseGenerator
    length: timedelta
    anomaly_rate: float = 0.01
    metrics: Mapping[str, str] = field(default_factory=dict)
    is_alive: bool = False

    def make(self) -> Generated:
        """Rows, labels and twin; the labels name the series as the source's YAML does."""
        start = END - self.length
        if self.is_alive:  # the labels of a day more than is watched do no harm
            made = self.domain.stretch(start - timedelta(days=1), END + timedelta(days=1), SEED, self.anomaly_rate)
        else:
            made = self.domain.generate(start, self.length // self.domain.step, SEED, self.anomaly_rate)
        return replace(made, labels=made.labels.replace({"series": dict(self.metrics)}))


EXAMPLES: dict[str, Example] = {
    "web_traffic": Example(WebTraffic(promotion_at=PROMOTION_AT), timedelta(days=42), metrics={"value": "requests"}),
    "system_metrics": Example(SystemMetrics(), timedelta(days=42)),
    "kpi_sales": Example(KpiSales(regions=("north", "south", "east", "west", "online")), timedelta(days=1094), anomaly_rate=0.012),
    "iot_sensors": Example(IotSensors(), timedelta(days=42), is_alive=True),
}
