"""Residual from a short trailing mean, in standard deviations of such residuals."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result, band_result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class MovingAverage(BaseDetector, frozen=True):
    """Residual from the mean of the last rows, over the standard deviation of earlier such residuals.

    Follows a drifting level; a slow change is learnt within a window.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), MovingAverage()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [1.4, 12.1]
    """

    type: Literal["moving_average"] = "moving_average"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    reads_ranges: ClassVar[bool] = False
    window: int = Field(default=24, ge=2, le=8000, description="rows of the trailing mean")
    spread_window: int = Field(default=288, ge=10, le=8000, description="trailing residuals that give the standard deviation")
    sigmas: float = Field(default=4.0, gt=0, description="own flag above so many standard deviations; the textbook says 2.5 or 3")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"residual_ring": np.zeros(self.spread_window)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import trailing

        mean, deviation = np.empty((2, rows.count))
        trailing.short_mean_residual(
            rows.padded, rows.offset, rows.count, rows.first, self.window, self.spread_window, state["residual_ring"],
            mean, deviation,
        )  # fmt: skip
        raw = np.abs(rows.values - mean) / deviation
        return band_result(raw, self.sigmas, mean, mean - self.sigmas * deviation, mean + self.sigmas * deviation)
