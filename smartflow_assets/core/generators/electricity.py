"""Electricity of a region: demand, the temperature that drives it, and the price that it drives.

A working day has a peak in the morning and one in the evening, a weekend is lower and rises later; cold days are heated, hot
ones are cooled, and the year has both.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import Chance
from smartflow_assets.core.generators.seasonality import bump, hour_of, yearly
from smartflow_assets.core.generators.series_domain import SeriesGenerator
from smartflow_assets.core.temporal.notation import Duration


class Electricity(SeriesGenerator, frozen=True):
    """`demand` in MW, `temperature` in °C, `price` in currency per MWh."""

    type: Literal["electricity"] = "electricity"
    step: Duration = Field(default=timedelta(hours=1), ge=timedelta(seconds=1), description="Time between two rows.")
    base: float = Field(default=5200.0, gt=0, description="Demand in MW of a mild night.")
    weekend: float = Field(default=0.55, ge=0, description="Peaks of a weekend as a share of those of a working day.")
    warmth: float = Field(default=11.0, description="Mean temperature of the year, in °C.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {
            "demand": Bounds(idle=0.3 * self.base),
            "temperature": Bounds(idle=-15.0, floor=-45.0, ceiling=55.0, decimals=1),
            "price": Bounds(idle=4.0, decimals=2),
        }

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows, hour = len(times), hour_of(times)
        summer, weather = yearly(times, 200), chance.drift(times, 0, pd.Timedelta(days=4))
        temperature = self.warmth + 10 * summer + (3.2 + summer) * bump(hour, 15, 4.5) - 1.5 + 3 * weather
        temperature += 0.4 * chance.noise(rows, 1, 0.8)
        is_weekend = times.day_of_week.to_numpy() >= 5
        peaks = np.where(is_weekend, self.weekend, 1) * (bump(hour, np.where(is_weekend, 10.5, 8.5), 2.2) + 1.25 * bump(hour, 19, 2.6))
        heated, cooled = np.maximum(15 - temperature, 0), np.maximum(temperature - 22, 0)
        demand = self.base * (1 + 0.42 * peaks + 0.011 * heated + 0.016 * cooled) * np.exp(0.012 * chance.noise(rows, 2, 0.7))
        scarce = demand / self.base - 1
        price = 34 * np.exp(0.9 * scarce + 0.08 * chance.noise(rows, 3, 0.6) + 0.12 * chance.drift(times, 4, pd.Timedelta(days=3)))
        return {"demand": demand, "temperature": temperature, "price": price}
