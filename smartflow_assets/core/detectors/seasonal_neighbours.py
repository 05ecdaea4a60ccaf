"""Distance of the last rows to what stood at about the same time of earlier seasons, as they are and as a shape."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

SEASONS, REACH, STRIDES = 7, 10, 5
"""Seasons that are looked back, rows earlier or later that count as the same time (at most a 24th of a season), steps to get there."""


class SeasonalWindows(BaseDetector, frozen=True):
    """What both detectors share: the last `rows` rows against those at about the same time of up to seven earlier seasons, of which
    the nearest counts. Weekends and holidays are strange only if no day of the last week was like them."""

    anomalies: ClassVar[tuple[str, ...]] = ("contextual", "collective")
    is_shape: ClassVar[bool]
    rows: int
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def unsuited(self, facts: SeriesFacts) -> str:
        from smartflow_assets.core.series.baseline import HISTORY

        if not facts.period:
            return "there is no season"
        longest = (HISTORY - self.rows - REACH) // 2
        return f"a season of {facts.period} rows is too long; at most {longest}" if facts.period > longest else ""

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"period": np.array([0 if self.unsuited(facts) else facts.period])}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import seasonal_neighbours as kernel
        from smartflow_assets.core.series.baseline import HISTORY

        raw, period = np.zeros(rows.count), int(state["period"][0])
        if period:
            reach = min(REACH, period // 24)
            kernel.walk(
                rows.padded, rows.offset, rows.count, rows.first, period, self.rows, reach, max(1, reach // STRIDES), SEASONS,
                HISTORY, self.is_shape, raw,
            )  # fmt: skip
        return Result(raw)


class SeasonalNeighbours(SeasonalWindows, frozen=True):
    """Mean distance of the last rows to the nearest rows at about the same time of up to seven earlier seasons.

    A level that this time of day has never had is strange, though other times have it.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(period=48), SeasonalNeighbours()
    >>> days = np.sin(np.arange(480) * np.pi / 24)
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(days[:470], days[446:456]))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[460, 479]].round(1).tolist()
    [0.0, 1.0]
    """

    type: Literal["seasonal_neighbours"] = "seasonal_neighbours"
    is_shape: ClassVar[bool] = False
    rows: int = Field(default=10, ge=2, le=500, description="rows that are compared")


class SeasonalShape(SeasonalWindows, frozen=True):
    """Mean distance of the shape of the last rows (their level removed) to the nearest shape at about the same time of up to seven
    earlier seasons.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(period=48), SeasonalShape()
    >>> days = np.sin(np.arange(480) * np.pi / 24)
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(days[:479], days[479] + 3))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[478, 479]].round(1).tolist()
    [0.0, 0.4]
    """

    type: Literal["seasonal_shape"] = "seasonal_shape"
    is_shape: ClassVar[bool] = True
    rows: int = Field(default=12, ge=3, le=500, description="rows that are compared")
