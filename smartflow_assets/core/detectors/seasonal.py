"""Residual from the same time of earlier days, three-row mean, over its usual size."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result, band_result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class Seasonal(BaseDetector, frozen=True):
    """Residual from the median of the same time of up to seven earlier seasons, three-row mean, over its long-run mean.

    Without a season (or before the first has passed) the median of the last 288 rows takes its place.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Seasonal()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [1.2, 6.6]
    """

    type: Literal["seasonal"] = "seasonal"
    anomalies: ClassVar[tuple[str, ...]] = ("contextual", "point")
    reads_ranges: ClassVar[bool] = False
    scales: float = Field(default=6.0, gt=0, description="own flag above so many usual residuals")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"mean": np.zeros(1), "forecast": np.array([3 if facts.period else 2])}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import residuals

        raw, usual = np.empty((2, rows.count))
        residuals.seasonal(rows.seasonal_deviation, rows.count, rows.first, state["mean"], raw, usual)
        expected = rows.forecasts[int(state["forecast"][0])].copy()
        return band_result(raw, self.scales, expected, expected - self.scales * usual, expected + self.scales * usual)
