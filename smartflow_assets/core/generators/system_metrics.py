"""Four metrics of one machine that serves the site: cpu and memory in percent, disk io and network in MB/s.

They share a load, and each has the character that makes it hard for one method to judge all: bursts, saw-teeth, heavy tails,
and a backup every night that is large, regular and no anomaly.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import Chance
from smartflow_assets.core.generators.seasonality import busyness, hour_of
from smartflow_assets.core.generators.series_domain import SeriesGenerator

RESTART, BACKUP_FROM, BACKUP_TO = 3.5, 1.5, 2.5  # hours of the day


class SystemMetrics(SeriesGenerator, frozen=True):
    """`cpu` (bounded, bursty), `memory` (leaks by day, restarted at night), `io` (heavy-tailed, nightly backup), `network`."""

    type: Literal["system_metrics"] = "system_metrics"
    weekend: float = Field(default=0.75, gt=0, description="Load on weekends as a share of a working day.")
    leak: float = Field(default=14.0, ge=0, description="Memory that leaks between two nightly restarts, in percent of all.")
    backup: float = Field(default=160.0, ge=0, description="Disk traffic of the nightly backup, in MB/s.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {
            "cpu": Bounds(idle=2.0, ceiling=100.0, decimals=1),
            "memory": Bounds(idle=18.0, ceiling=100.0, decimals=2),
            "io": Bounds(idle=1.0, decimals=1),
            "network": Bounds(idle=0.5, decimals=1),
        }

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows, hour, is_stationary = len(times), hour_of(times), chance.block is not None  # the versioned examples start as they once did

        def noise(stream: int, memory: float) -> np.ndarray:
            return chance.noise(rows, stream, memory, is_stationary=is_stationary)

        load = busyness(times, self.weekend) * np.exp(0.03 * noise(0, 0.98))
        is_backup = (hour >= BACKUP_FROM) & (hour < BACKUP_TO)

        job = np.where(chance.rng(1).random(rows) < 0.06, chance.rng(2).exponential(4, rows), 0)  # short jobs come and go
        cpu = 10 + 45 * load + np.minimum(job, 16) + 6 * is_backup
        cpu = cpu * np.exp(0.05 * noise(3, 0.4))

        since_restart = (hour - RESTART) % 24 / 24
        memory = 44 + self.leak * since_restart + 5 * load
        memory += 0.4 * noise(4, 0.5) + 0.5 * noise(5, 0.998)

        tail = np.exp(0.32 * noise(6, 0.2))
        io = (8 + 22 * load) * tail + self.backup * is_backup * np.exp(0.06 * noise(7, 0.3))

        network = (4 + 110 * load + 18 * is_backup) * np.exp(0.05 * noise(8, 0.3))
        return {"cpu": cpu, "memory": memory, "io": io, "network": network}
