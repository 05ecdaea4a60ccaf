"""A share as a risk desk sees it, hour by hour: price, volume, volatility, and the value at risk that follows from it.

The exchange is open on weekdays from 9 to 17; outside nothing is traded and the price stands. Volatility comes back to its
mean within weeks.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import Chance
from smartflow_assets.core.generators.seasonality import hour_of
from smartflow_assets.core.generators.series_domain import SeriesGenerator
from smartflow_assets.core.temporal.notation import Duration

OPEN_HOURS, OPEN_DAYS = 8, 252  # hours of a day, days of a year
QUANTILE = 1.645  # of the normal distribution, at 95 %


class StockRisk(SeriesGenerator, frozen=True):
    """`price`, `volume` per step, `volatility` in percent a year, `value_at_risk` in percent: what a day loses in one of 20."""

    type: Literal["stock_risk"] = "stock_risk"
    step: Duration = Field(default=timedelta(hours=1), ge=timedelta(seconds=1), description="Time between two rows.")
    price: float = Field(default=180.0, gt=0, description="Price that the walk goes around.")
    volatility: float = Field(default=24.0, gt=0, le=300, description="Usual volatility, in percent a year.")
    volume: float = Field(default=250_000.0, gt=0, description="Shares traded in a usual open step.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {
            "price": Bounds(idle=0.01, decimals=2, reach=0.0025 * self.volatility),
            "volume": Bounds(),
            "volatility": Bounds(idle=1.0, decimals=2),
            "value_at_risk": Bounds(idle=0.05, decimals=3),
        }

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows, hour, is_daily = len(times), hour_of(times), self.step >= timedelta(days=1)
        is_open = (times.day_of_week.to_numpy() < 5) & (is_daily | ((hour >= 9) & (hour < 17)))
        volatility = self.volatility * np.exp(0.28 * chance.drift(times, 0, pd.Timedelta(days=12)) + 0.05 * chance.noise(rows, 1, 0.9))
        steps = OPEN_DAYS * (1 if is_daily else timedelta(hours=OPEN_HOURS) / self.step)
        size = self.volatility / 100 / np.sqrt(steps)
        shocks = np.where(is_open, volatility / self.volatility * size * chance.rng(2).standard_normal(rows), 0)
        price = self.price * np.exp(chance.walk(shocks, 3, size))
        hurried = 1 if is_daily else 0.7 + 0.06 * (hour - 13) ** 2  # most is traded after the opening and before the close
        volume = self.volume * is_open * hurried * (0.75 + 0.3 * np.abs(shocks) / size) * np.exp(0.15 * chance.noise(rows, 4, 0.4))
        at_risk = QUANTILE * volatility / np.sqrt(OPEN_DAYS) * np.exp(0.02 * chance.noise(rows, 5, 0.5))
        return {"price": price, "volume": volume, "volatility": volatility, "value_at_risk": at_risk}
