"""Modified z-score: distance from the trailing median in median absolute deviations."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result, band_result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class Mad(BaseDetector, frozen=True):
    """Modified z-score (Iglewicz and Hoaglin, 1993): .6745 |x - median| / MAD of the trailing window.

    Half of the window may be wrong before the median and the MAD are.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Mad()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [0.9, 8.6]
    """

    type: Literal["mad"] = "mad"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    reads_ranges: ClassVar[bool] = False
    window: int = Field(default=288, ge=10, le=8000, description="trailing rows to compare with, the row itself excluded")
    limit: float = Field(default=6.0, gt=0, description="own flag above this modified z-score; the textbook says 3.5")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"counts": np.zeros(1, np.int64), "ordered": np.zeros(self.window)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import trailing

        median, mad = np.empty((2, rows.count))
        trailing.median_and_mad(rows.padded, rows.offset, rows.count, self.window, state["counts"], state["ordered"], median, mad)
        raw = 0.6745 * np.abs(rows.values - median) / mad
        reach = self.limit * mad / 0.6745
        return band_result(raw, self.limit, median, median - reach, median + reach)
