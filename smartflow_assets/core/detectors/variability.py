"""Spread of the last rows against its trailing median: bursts and calm that is too calm."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class Variability(BaseDetector, frozen=True):
    """|log| of the standard deviation of the last 12 rows over its trailing median.

    Strange are a burst and a calm alike.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Variability()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9 * np.sin(np.arange(12.0))))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 311]].round(1).tolist()
    [0.0, 2.1]
    """

    type: Literal["variability"] = "variability"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        from smartflow_assets.core.kernels import variability as kernel

        return {"counts": np.zeros(1, np.int64), "ordered": np.zeros(kernel.WINDOW), "ring": np.zeros(kernel.WINDOW)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import variability as kernel

        raw = np.empty(rows.count)
        kernel.walk(rows.padded, rows.tamed, rows.offset, rows.count, rows.first, state["counts"], state["ordered"], state["ring"], raw)
        return Result(raw)
