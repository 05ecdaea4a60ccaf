"""The example sources: which domain each is made of, its rows, its labels and its anomaly-free twin.

The files in data/examples are versioned, so that a first run needs no code to make them; `regenerate.py` beside them makes
them from what stands here, and a test holds them equal. `iot_sensors` has no file: its reader makes the same rows. Seeds and
events were fixed before there were detectors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pandas as pd

from smartflow_assets.core.generators import BaseGenerator, Fraud, Generated, IotSensors, KpiSales, SystemMetrics, WebTraffic

END, SEED = datetime(2026, 2, 18, tzinfo=UTC), 7  # midnight after a Tuesday; what happens in a demo happens on that day
PROMOTION_AT = datetime(2026, 2, 17, 9, 35, tzinfo=UTC)
SEEN_IN = {  # the metric of `payments` that each scheme shows in
    "card_testing": "small_online",
    "account_takeover": "large_purchases",
    "collect_scam": "large_transfers",
    "mule_transfers": "large_transfers",
}


@dataclass(frozen=True)
class Example:
    """One example source. `metrics` names the columns that its YAML calls otherwise; `is_alive` says that it has no file;
    `labelled` makes events of the source's series from labels of single records."""

    domain: BaseGenerator
    length: timedelta
    anomaly_rate: float = 0.01
    metrics: Mapping[str, str] = field(default_factory=dict[str, str])
    is_alive: bool = False
    labelled: Callable[[pd.DataFrame], pd.DataFrame] = lambda labels: labels

    def make(self) -> Generated:
        """Rows, labels and twin; the labels name the series as the source's YAML does."""
        start = END - self.length
        if self.is_alive:  # the labels of a day more than is watched do no harm
            made = self.domain.stretch(start - timedelta(days=1), END + timedelta(days=1), SEED, self.anomaly_rate)
        else:
            made = self.domain.generate(start, self.length // self.domain.step, SEED, self.anomaly_rate)
        return replace(made, labels=self.labelled(made.labels.replace({"series": dict(self.metrics)})))


def frauds_by_hour(labels: pd.DataFrame) -> pd.DataFrame:
    """One event for each fraud, from the labels of its payments: the hours from its first to its last, in the metric that shows it.
    Payments of one scheme that lie three hours apart are two frauds. `size` is the number of payments."""
    rows: list[tuple[object, ...]] = []
    for scheme, own in labels.sort_values("started_at").groupby("type"):
        fraud = (own["started_at"].diff() > timedelta(hours=3)).cumsum()
        for _, payments in own.groupby(fraud):
            first, last = payments["started_at"].iloc[0].floor("1h"), payments["ended_at"].iloc[-1].floor("1h")
            rows.append((SEEN_IN[str(scheme)], first, last, scheme, float(len(payments))))
    events = pd.DataFrame(rows, columns=["series", "started_at", "ended_at", "type", "size"])
    return events.sort_values(["started_at", "series"], ignore_index=True)


EXAMPLE_SOURCES: dict[str, Example] = {
    "web_traffic": Example(WebTraffic(promotion_at=PROMOTION_AT), timedelta(days=42), metrics={"value": "requests"}),
    "system_metrics": Example(SystemMetrics(), timedelta(days=42)),
    "kpi_sales": Example(KpiSales(regions=("north", "south", "east", "west", "online")), timedelta(days=1094), anomaly_rate=0.012),
    "payments": Example(Fraud(), timedelta(days=42), labelled=frauds_by_hour),
    "iot_sensors": Example(IotSensors(), timedelta(days=42), is_alive=True),
}
