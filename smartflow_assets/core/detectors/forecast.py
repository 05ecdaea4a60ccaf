"""Residual of a mixture of seasonal and recent forecasts, weighted by their record."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class Forecast(BaseDetector, frozen=True):
    """Residual of six forecasts mixed by their record (Hedge, Freund and Schapire, 1997), over its usual size.

    The mixture is the baseline's: last row, medians, seasonal medians with and without the current level.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Forecast()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [0.2, 5.4]
    """

    type: Literal["forecast"] = "forecast"
    anomalies: ClassVar[tuple[str, ...]] = ("point", "contextual")
    reads_ranges: ClassVar[bool] = False
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        from smartflow_assets.core.kernels import residuals

        window = residuals.WINDOW
        return {"counts": np.zeros(1, np.int64), "ordered": np.zeros(window), "ring": np.zeros(window), "mean": np.zeros(1)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import residuals

        raw = np.empty(rows.count)
        residuals.forecast(rows.residual, rows.count, rows.first, state["counts"], state["ordered"], state["ring"], state["mean"], raw)
        return Result(raw)
