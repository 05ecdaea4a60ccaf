"""A sensor in a greenhouse: temperature, humidity that falls when it is warm, and a battery that the sun loads.

Days, years and the weather of some days; the battery goes slowly up and down with what the sun gave.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import Chance
from smartflow_assets.core.generators.seasonality import bump, hour_of, yearly
from smartflow_assets.core.generators.series_domain import SeriesGenerator


class IotSensors(SeriesGenerator, frozen=True):
    """`temperature` in °C, `humidity` and `battery` in percent."""

    type: Literal["iot_sensors"] = "iot_sensors"
    warmth: float = Field(default=19.0, description="Mean temperature of the year, in °C.")
    swing: float = Field(default=8.0, ge=0, description="Degrees by which an afternoon is warmer than the night.")
    battery: float = Field(default=82.0, gt=0, le=100, description="Usual charge, in percent.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {
            "temperature": Bounds(idle=-5.0, floor=-40.0, ceiling=85.0, decimals=2),
            "humidity": Bounds(idle=8.0, ceiling=100.0, decimals=1),
            "battery": Bounds(idle=3.0, ceiling=100.0, decimals=2),
        }

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows, hour = len(times), hour_of(times)
        day, weather = bump(hour, 14.5, 4), chance.drift(times, 0, pd.Timedelta(days=2))
        temperature = self.warmth + 5 * yearly(times, 200) + self.swing * (day - 0.4) + 1.4 * weather + 0.12 * chance.noise(rows, 1, 0.8)
        moist = chance.drift(times, 2, pd.Timedelta(days=1))
        humidity = 62 - 1.9 * (temperature - self.warmth) + 2.5 * moist + 0.5 * chance.noise(rows, 3, 0.7)
        sun = np.sin((hour - 10) / 24 * 2 * np.pi)
        battery = self.battery + 4.5 * sun + 2.2 * chance.drift(times, 4, pd.Timedelta(days=5)) + 0.15 * chance.noise(rows, 5, 0.5)
        return {"temperature": temperature, "humidity": humidity, "battery": np.minimum(battery, 99.5)}
