"""Size of the step from the row before."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

LEAST = 1e-13
"""A step of nothing: it counts, so that the first step of a series that never moved is strange."""


class Difference(BaseDetector, frozen=True):
    """|value - value of the row before|: the simplest of all, and alone the best at outages and spikes of services.

    It knows no season and is not misled by one.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Difference()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [0.2, 9.5]
    """

    type: Literal["difference"] = "difference"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    reads_ranges: ClassVar[bool] = False
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        before = rows.padded[rows.offset - 1 : rows.offset + rows.count - 1]
        return Result(np.maximum(np.abs(rows.values - before), LEAST))
