"""Processor use of one server: percent busy, percent waiting for the disk, and the load average that follows both.

Office hours and an evening peak, short jobs at any time, and a nightly batch that waits for the disk more than it computes.
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

BATCH_FROM, BATCH_TO = 2.0, 3.0  # hours of the day


class CpuUsage(SeriesGenerator, frozen=True):
    """`cpu` and `iowait` in percent, `load_average` in running processes."""

    type: Literal["cpu_usage"] = "cpu_usage"
    cores: int = Field(default=8, ge=1, description="Processor cores of the server.")
    weekend: float = Field(default=0.6, gt=0, description="Load on weekends as a share of a working day.")
    batch: float = Field(default=30.0, ge=0, description="What the nightly batch adds to cpu, in percent.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {
            "cpu": Bounds(idle=1.5, ceiling=100.0, decimals=1),
            "iowait": Bounds(idle=0.1, ceiling=100.0, decimals=2),
            "load_average": Bounds(idle=0.05, decimals=2),
        }

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows, hour = len(times), hour_of(times)
        load = busyness(times, self.weekend) * np.exp(0.06 * chance.drift(times, 0, pd.Timedelta(hours=8)))
        is_batch = (hour >= BATCH_FROM) & (hour < BATCH_TO)
        job = np.where(chance.rng(1).random(rows) < 0.05, chance.rng(2).gamma(2, 2.5, rows), 0)
        busy = 6 + 52 * load + np.minimum(job, 18) + self.batch * is_batch
        cpu = np.minimum(busy * np.exp(0.05 * chance.noise(rows, 3, 0.5)), 97)
        iowait = (0.5 + 2.5 * load**2 + 11 * is_batch) * np.exp(0.3 * chance.noise(rows, 4, 0.3))
        running = pd.Series(self.cores * (cpu + iowait) / 100).ewm(alpha=0.6).mean().to_numpy()
        return {"cpu": cpu, "iowait": iowait, "load_average": running * np.exp(0.04 * chance.noise(rows, 5, 0.2))}
