"""A machine that works in cycles: it speeds up under load, shakes with its speed, warms up slowly and wears out.

Each cycle starts, runs and rests; nights are quiet, on Sundays it stands; bearings wear until they are replaced.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import FIRST_MONDAY, Chance
from smartflow_assets.core.generators.seasonality import hour_of
from smartflow_assets.core.generators.series_domain import SeriesGenerator
from smartflow_assets.core.temporal.notation import Duration

IDLE_RPM = 240


class MachineHealth(SeriesGenerator, frozen=True):
    """`vibration` in mm/s, `temperature` in °C, `rpm`."""

    type: Literal["machine_health"] = "machine_health"
    step: Duration = Field(default=timedelta(minutes=1), ge=timedelta(seconds=1), description="Time between two rows.")
    cycle: Duration = Field(default=timedelta(minutes=60), gt=timedelta(0), description="From one start of the machine to the next.")
    rpm: float = Field(default=2900.0, gt=0, description="Speed under full load.")
    maintenance: Duration = Field(default=timedelta(days=28), gt=timedelta(0), description="Time between two replacements of its bearings.")
    wear: float = Field(default=0.35, ge=0, description="Vibration that worn bearings add, as a share.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {
            "vibration": Bounds(idle=0.05, decimals=3),
            "temperature": Bounds(idle=15.0, ceiling=180.0, decimals=1),
            "rpm": Bounds(idle=0.0, ceiling=1.6 * self.rpm),
        }

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows, hour = len(times), hour_of(times)
        phase = ((times - pd.Timestamp(FIRST_MONDAY)) / pd.Timedelta(self.cycle)).to_numpy(dtype=float) % 1
        running = np.clip(np.minimum(phase / 0.08, (0.78 - phase) / 0.06), 0, 1)
        shift = np.where((hour >= 6) & (hour < 22), 1.0, 0.55) * (times.day_of_week.to_numpy() < 6)
        load = running * shift * (1 + 0.05 * chance.drift(times, 0, self.cycle))
        rpm = IDLE_RPM + (self.rpm - IDLE_RPM) * load * np.exp(0.008 * chance.noise(rows, 1, 0.3))
        worn = ((times - pd.Timestamp(FIRST_MONDAY)) / pd.Timedelta(self.maintenance)).to_numpy(dtype=float) % 1
        vibration = (0.25 + 2.3 * (rpm / self.rpm) ** 2 * (1 + self.wear * worn)) * np.exp(0.07 * chance.noise(rows, 2, 0.3))
        warmed = pd.Series(load).ewm(alpha=min(1, self.step / timedelta(minutes=25)), adjust=False).mean().to_numpy()
        temperature = 24 + 48 * warmed + 1.5 * chance.drift(times, 3, pd.Timedelta(days=1)) + 0.3 * chance.noise(rows, 4, 0.6)
        return {"vibration": vibration, "temperature": temperature, "rpm": rpm}
