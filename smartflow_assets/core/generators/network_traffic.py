"""A network's uplink: what comes in and goes out, how many connections are open, how many packets are lost.

Inbound follows the people, outbound follows inbound and carries the nightly copy to another site; the connections go with both,
and packets are lost where the line is full.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import Chance
from smartflow_assets.core.generators.seasonality import bump, busyness, hour_of
from smartflow_assets.core.generators.series_domain import SeriesGenerator


class NetworkTraffic(SeriesGenerator, frozen=True):
    """`inbound` and `outbound` in MB/s, `connections` open, `dropped` packets per step."""

    type: Literal["network_traffic"] = "network_traffic"
    peak: float = Field(default=420.0, gt=0, le=1e12, description="Inbound MB/s at the evening peak of a working day.")
    weekend: float = Field(default=0.9, gt=0, description="Weekend as a share of a working day.")
    replica: float = Field(default=90.0, ge=0, description="Outbound MB/s of the nightly copy to another site.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {
            "inbound": Bounds(idle=2.0, decimals=1),
            "outbound": Bounds(idle=1.0, decimals=1),
            "connections": Bounds(idle=40),
            "dropped": Bounds(),
        }

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows, hour = len(times), hour_of(times)
        people = busyness(times, self.weekend) * np.exp(0.05 * chance.drift(times, 0, pd.Timedelta(hours=12)))
        inbound = self.peak * people * np.exp(0.07 * chance.noise(rows, 1, 0.6))
        copied = self.replica * bump(hour, 3.0, 0.5) * np.exp(0.05 * chance.noise(rows, 2, 0.5))
        outbound = 0.22 * inbound * np.exp(0.05 * chance.noise(rows, 3, 0.3)) + copied
        connections = (120 + 9 * (inbound + 0.3 * outbound)) * np.exp(0.03 * chance.noise(rows, 4, 0.5))
        dropped = chance.rng(5).poisson(2 + 22 * (inbound / self.peak) ** 2)
        return {"inbound": inbound, "outbound": outbound, "connections": connections, "dropped": dropped.astype(float)}
