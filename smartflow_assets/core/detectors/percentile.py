"""Distance outside the trailing percentiles, in their distance from each other."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result, band_result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class Percentile(BaseDetector, frozen=True):
    """Distance outside two trailing percentiles, in units of their distance from each other.

    Makes no assumption on the shape of the distribution; needs a long window.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Percentile()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [0.0, 4.0]
    """

    type: Literal["percentile"] = "percentile"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    reads_ranges: ClassVar[bool] = False
    window: int = Field(default=2000, ge=50, le=8000, description="trailing rows to compare with, the row itself excluded")
    lower: float = Field(default=0.1, ge=0, lt=50, description="lower percentile; the textbook says 1")
    upper: float = Field(default=99.9, gt=50, le=100, description="upper percentile; the textbook says 99")
    margin: float = Field(default=0.1, ge=0, description="own flag so far outside, as a share of their distance")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"counts": np.zeros(1, np.int64), "ordered": np.zeros(self.window)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import trailing

        found, shares = np.empty((3, rows.count)), np.array([self.lower / 100, 0.5, self.upper / 100])
        trailing.quantiles(rows.padded, rows.offset, rows.count, self.window, state["counts"], state["ordered"], shares, found)
        low, median, high = found
        spread = np.maximum(high - low, trailing.LEAST_SPREAD)
        raw = np.maximum(np.maximum(low - rows.values, rows.values - high), 0) / spread
        return band_result(raw, self.margin, median, low - self.margin * spread, high + self.margin * spread)
