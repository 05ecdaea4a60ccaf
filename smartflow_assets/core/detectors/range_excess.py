"""Distance outside the range of the last 8,000 rows."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

LEAST_ROWS = 50


class RangeExcess(BaseDetector, frozen=True):
    """Distance outside the .2 to 99.8 % range of the last 8,000 rows, in units of the 5 to 95 % range.

    0 for every row inside: what has been seen before is not strange to it.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), RangeExcess()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [0.0, 4.1]
    """

    type: Literal["range_excess"] = "range_excess"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        lowest, _, low, high, _, highest = rows.ranges
        width = high - low
        width = np.where(width > 1e-9, width, 1.0)
        raw = np.maximum(np.maximum(lowest - rows.values, rows.values - highest), 0) / width
        raw[: max(0, LEAST_ROWS - rows.first)] = 0
        return Result(raw)
