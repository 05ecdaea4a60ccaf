"""Distance outside the trailing quartiles in interquartile ranges (Tukey's fences)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result, band_result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

QUARTILES = np.array([0.25, 0.5, 0.75])


class Iqr(BaseDetector, frozen=True):
    """Tukey's fences on the trailing window (1977): distance outside [Q1, Q3] in units of Q3 - Q1.

    The quartiles do not move with a spike, so several in a window are all found.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Iqr()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [0.2, 5.9]
    """

    type: Literal["iqr"] = "iqr"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    reads_ranges: ClassVar[bool] = False
    window: int = Field(default=288, ge=10, le=8000, description="trailing rows to compare with, the row itself excluded")
    fences: float = Field(default=3.0, gt=0, description="own flag beyond so many interquartile ranges; the textbook says 1.5")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"counts": np.zeros(1, np.int64), "ordered": np.zeros(self.window)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import trailing

        found = np.empty((3, rows.count))
        trailing.quantiles(rows.padded, rows.offset, rows.count, self.window, state["counts"], state["ordered"], QUARTILES, found)
        low, median, high = found
        spread = np.maximum(high - low, trailing.LEAST_SPREAD)
        raw = np.maximum(np.maximum(low - rows.values, rows.values - high), 0) / spread
        return band_result(raw, self.fences, median, low - self.fences * spread, high + self.fences * spread)
