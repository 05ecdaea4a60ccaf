"""Mean of the last rows against the median of the rows before them, on three lengths."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

WIDTHS = (6, 24, 96)


class LevelShift(BaseDetector, frozen=True):
    """|mean of the last w rows - median of the 6 w rows before them| for w = 6, 24, 96, over its usual size; the largest.

    Finds what stays, at the price of a few rows' delay.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), LevelShift()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), np.full(20, 3.0)))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 305]].round(1).tolist()
    [10.0, 50.3]
    """

    type: Literal["level_shift"] = "level_shift"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        state: State = {}
        for width in WIDTHS:
            state |= {
                f"counts_{width}": np.zeros(1, np.int64),
                f"ordered_{width}": np.zeros(6 * width),
                f"total_{width}": np.zeros(1),
                f"mean_{width}": np.zeros(1),
            }
        return state

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import level_shift as kernel

        raw = np.zeros(rows.count)
        for width in WIDTHS:
            kernel.walk(
                rows.padded, rows.offset, rows.count, rows.first, width, state[f"counts_{width}"],
                state[f"ordered_{width}"], state[f"total_{width}"], state[f"mean_{width}"], raw,
            )  # fmt: skip
        return Result(raw)
