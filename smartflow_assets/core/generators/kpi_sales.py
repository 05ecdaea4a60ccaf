"""Sales of a chain, a row for each day and region: weekly and yearly season, growth, public holidays, and campaigns.

The regions share season and calendar and have a size, a noise and campaigns of their own; on a holiday most shops are closed,
in December people buy presents. The campaign of a week is a column of its own: a category that explains a part of the rows.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import FIRST_MONDAY, Chance
from smartflow_assets.core.generators.seasonality import yearly
from smartflow_assets.core.generators.series_domain import SeriesGenerator
from smartflow_assets.core.series.series_id import series_id
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.notation import Duration

WEEK = np.array([0.86, 0.88, 0.92, 1.0, 1.22, 1.34, 0.78])  # from Monday on
CAMPAIGNS = {"none": (0.7, 1.0), "newsletter": (0.2, 1.04), "discount": (0.1, 1.1)}  # how often, and what it does to the sales
BASKET = 46.0  # currency per order

Region = Annotated[str, Field(min_length=1)]


def _each_once(regions: tuple[str, ...]) -> tuple[str, ...]:
    if twice := next((region for region in regions if regions.count(region) > 1), None):
        raise ValueError(f"the region {twice} is named twice")
    return regions


class KpiSales(SeriesGenerator, frozen=True):
    """`sales` in currency and `orders`, by `region`, with the `campaign` of the week."""

    type: Literal["kpi_sales"] = "kpi_sales"
    step: Duration = Field(default=timedelta(days=1), ge=timedelta(seconds=1), description="Time between two days of rows.")
    regions: Annotated[tuple[Region, ...], AfterValidator(_each_once)] = Field(
        default=("north", "south", "west"), min_length=1, description="The regions, the largest first."
    )
    sales: float = Field(default=52_000.0, gt=0, description="Sales of a usual day in the largest region.")
    growth: float = Field(default=0.06, gt=-1, description="Growth per year, as a share.")
    holidays: str | None = Field(
        default="US", pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$", description="Country whose public holidays close the shops; none for null."
    )

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        kinds = {"sales": Bounds(idle=0.02 * self.sales, decimals=2), "orders": Bounds(idle=5)}
        return {_id(metric, region): bounds for region in self.regions for metric, bounds in kinds.items()}

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows = len(times)
        values: dict[str, np.ndarray] = {}
        utc = times.tz_convert("UTC")
        december = np.exp(-0.5 * ((times.day_of_year.to_numpy() - 352) / 9) ** 2)
        common = WEEK[times.day_of_week.to_numpy()] * (1 + 0.07 * yearly(times, 170) + 0.25 * december)
        common = common * np.where(Calendar(holidays=self.holidays).is_holiday(utc), 0.6, 1)
        common = common * (1 + self.growth) ** (chance.days(times, self.step) / 365.25)
        for k, region in enumerate(self.regions):
            own = self.sales * 0.75**k * np.exp(0.03 * chance.drift(times, k, pd.Timedelta(days=45)))
            effect = np.array([CAMPAIGNS[campaign][1] for campaign in self._campaigns(times, k, chance)])
            sales = own * common * effect * np.exp(0.035 * chance.noise(rows, 10 + 2 * k, 0.3))
            values[_id("sales", region)] = sales
            values[_id("orders", region)] = sales / BASKET * np.exp(0.02 * chance.noise(rows, 11 + 2 * k, 0.2))
        return values

    def table(self, times: pd.DatetimeIndex, values: Mapping[str, np.ndarray], chance: Chance) -> pd.DataFrame:
        parts = [
            pd.DataFrame(
                {
                    "timestamp": times,
                    "region": region,
                    "campaign": self._campaigns(times, k, chance),
                    "sales": values[_id("sales", region)],
                    "orders": values[_id("orders", region)],
                }
            )
            for k, region in enumerate(self.regions)
        ]
        rows = pd.concat(parts).sort_values("timestamp", kind="stable", ignore_index=True)
        return rows.astype({"region": "str", "campaign": "str"})

    def _campaigns(self, times: pd.DatetimeIndex, region: int, chance: Chance) -> np.ndarray:
        weeks = ((times - pd.Timestamp(FIRST_MONDAY)) // pd.Timedelta(days=7)).to_numpy()
        known, which = np.unique(weeks, return_inverse=True)
        return np.array([_campaign(chance.seed, int(week), region) for week in known], dtype=object)[which]


@lru_cache(maxsize=2**14)  # the sales need it, and so do both tables
def _campaign(seed: int, week: int, region: int) -> str:
    shares = [share for share, _ in CAMPAIGNS.values()]
    return str(Chance(seed).at(week, 100 + region).choice(list(CAMPAIGNS), p=shares))


def _id(metric: str, region: str) -> str:
    return series_id(metric, {"region": region})
