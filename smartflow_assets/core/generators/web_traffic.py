"""Requests on a public site: daily and weekly season, an evening peak, growth, and noise that grows with the level.

An optional promotion is a surge at a known minute: the classic that a rule and the detectors should both see.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import AwareDatetime, Field

from smartflow_assets.core.generators.anomaly_events import Bounds, Event
from smartflow_assets.core.generators.random_streams import Chance
from smartflow_assets.core.generators.seasonality import busyness
from smartflow_assets.core.generators.series_domain import SeriesGenerator

PROMOTION = np.array([0.35, 1.0, 0.86, 0.7, 0.54, 0.4, 0.28, 0.18])  # share of the surge by row; the second row is the peak


class WebTraffic(SeriesGenerator, frozen=True):
    """One series, `value`: requests per step."""

    type: Literal["web_traffic"] = "web_traffic"
    peak: float = Field(default=800, gt=0, le=1e12, description="Requests per step at the evening peak of a working day.")
    weekend: float = Field(default=0.82, gt=0, description="Weekend as a share of a working day.")
    growth: float = Field(default=0.0015, description="Growth per day, as a share of the first day.")
    noise: float = Field(default=0.04, ge=0, description="Standard deviation of the noise, as a share of the level.")
    promotion_at: AwareDatetime | None = Field(default=None, description="When a promotion reaches its peak; none by default.")
    promotion_peak: float = Field(default=1600, gt=0, le=1e12, description="Requests per step at the peak of the promotion.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {"value": Bounds()}

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        rows, is_stationary = len(times), chance.block is not None  # the versioned examples start as they once did
        mood = 0.6 * chance.noise(rows, 0, 0.6, is_stationary=is_stationary) + 0.8 * chance.noise(
            rows, 1, 0.995, is_stationary=is_stationary
        )
        growth = np.maximum(1 + self.growth * chance.days(times, self.step), 0.1)
        level = self.peak * busyness(times, self.weekend) * growth * np.exp(self.noise * mood)
        return {"value": chance.rng(2).poisson(level).astype(float)}

    def planned(self, times: pd.DatetimeIndex, values: dict[str, np.ndarray]) -> list[Event]:
        if self.promotion_at is None:
            return []
        peak = int(times.searchsorted(pd.Timestamp(self.promotion_at)))
        first, last = peak - 1, min(peak + len(PROMOTION) - 2, len(times) - 1)
        if first < 0 or peak >= len(times):
            return []
        inside = values["value"][first : last + 1]
        inside += PROMOTION[: len(inside)] * (self.promotion_peak - inside[1])
        return [Event("value", "surge", first, last)]
