"""A market that never closes, such as a currency pair: price, traded volume, and the spread between buyers and sellers.

The price is a walk whose steps are small for days and large for days (volatility clusters); large steps bring volume, and
spreads widen when the price is nervous.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import Chance
from smartflow_assets.core.generators.seasonality import bump, hour_of
from smartflow_assets.core.generators.series_domain import SeriesGenerator
from smartflow_assets.core.temporal.notation import Duration


class Finance(SeriesGenerator, frozen=True):
    """`price`, `volume` per step, `spread` in hundredths of a percent of the price."""

    type: Literal["finance"] = "finance"
    step: Duration = Field(default=timedelta(minutes=15), ge=timedelta(seconds=1), description="Time between two rows.")
    price: float = Field(default=100.0, gt=0, description="Price that the walk goes around.")
    volatility: float = Field(default=0.15, gt=0, le=5, description="Usual change from row to row, in percent of the price.")
    volume: float = Field(default=4000.0, gt=0, description="Traded in a usual step.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {
            "price": Bounds(idle=0.01, decimals=3, reach=0.15 * self.volatility),
            "volume": Bounds(idle=5.0),
            "spread": Bounds(idle=0.2, decimals=2),
        }

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows, hour, size = len(times), hour_of(times), self.volatility / 100
        nervous = np.exp(0.35 * chance.drift(times, 0, pd.Timedelta(days=2)) + 0.3 * chance.drift(times, 1, 16 * self.step))
        shocks = size * nervous * chance.rng(2).standard_normal(rows)
        price = self.price * np.exp(chance.walk(shocks, 3, size))
        awake = 0.35 + bump(hour, 9, 2.5) + 1.2 * bump(hour, 15, 2.5)
        awake *= np.where(times.day_of_week.to_numpy() >= 5, 0.45, 1)
        volume = self.volume * awake * (0.7 + 0.4 * np.abs(shocks) / size) * np.exp(0.18 * chance.noise(rows, 4, 0.5))
        return {"price": price, "volume": volume, "spread": 2.4 * nervous**0.6 * np.exp(0.08 * chance.noise(rows, 5, 0.3))}
