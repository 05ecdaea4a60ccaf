"""Distance from the trailing mean in trailing standard deviations."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result, band_result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class ZScore(BaseDetector, frozen=True):
    """Z-score of the trailing window (Shewhart, 1931): |x - mean| / s, the row itself excluded.

    A spike inside the window widens s for a window's length: `mad` does not have that weakness.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), ZScore()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [1.4, 12.7]
    """

    type: Literal["zscore"] = "zscore"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    reads_ranges: ClassVar[bool] = False
    window: int = Field(default=288, ge=10, le=8000, description="trailing rows to compare with, the row itself excluded")
    sigmas: float = Field(default=4.0, gt=0, description="own flag above so many standard deviations; the textbook says 2.5 or 3")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import trailing

        mean, deviation = np.empty((2, rows.count))
        trailing.mean_and_deviation(rows.padded, rows.offset, rows.count, rows.first, self.window, mean, deviation)
        raw = np.abs(rows.values - mean) / deviation
        return band_result(raw, self.sigmas, mean, mean - self.sigmas * deviation, mean + self.sigmas * deviation)
