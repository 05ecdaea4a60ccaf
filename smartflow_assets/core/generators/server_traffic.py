"""An API server: requests, how long they take and how many fail.

A busy server answers more slowly, and its errors are counted among its requests: at night a single one is a large share.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import Chance
from smartflow_assets.core.generators.seasonality import busyness
from smartflow_assets.core.generators.series_domain import SeriesGenerator


class ServerTraffic(SeriesGenerator, frozen=True):
    """`requests` per step, `latency` (95 % quantile) in milliseconds, `error_rate` in percent of the requests."""

    type: Literal["server_traffic"] = "server_traffic"
    peak: float = Field(default=24_000, gt=0, le=1e12, description="Requests per step at the evening peak of a working day.")
    weekend: float = Field(default=0.7, gt=0, description="Weekend as a share of a working day.")
    latency: float = Field(default=85.0, gt=0, description="Milliseconds of an idle server.")
    failing: float = Field(default=0.4, ge=0, lt=100, description="Percent of the requests that fail on any day.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {
            "requests": Bounds(idle=10),
            "latency": Bounds(idle=20.0, decimals=1),
            "error_rate": Bounds(ceiling=100.0, decimals=2),
        }

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows = len(times)
        load = busyness(times, self.weekend) * np.exp(0.04 * chance.noise(rows, 0, 0.7))
        load *= np.exp(0.05 * chance.drift(times, 1, pd.Timedelta(hours=18)))
        requests = chance.rng(2).poisson(self.peak * load)
        latency = self.latency * (1 + 1.4 * np.minimum(load, 1.5) ** 3) * np.exp(0.06 * chance.noise(rows, 3, 0.4))
        failed = chance.rng(4).binomial(requests, np.full(rows, self.failing / 100) * np.exp(0.12 * chance.noise(rows, 5, 0.6)))
        return {"requests": requests.astype(float), "latency": latency, "error_rate": 100 * failed / np.maximum(requests, 1)}
