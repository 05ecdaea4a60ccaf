"""Distance of the last window to its third nearest earlier window."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result, window_width
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class SubsequenceNeighbours(BaseDetector, frozen=True):
    """Distance of the last window, its level removed, to its third nearest among 800 earlier windows.

    A discord, as the matrix profile calls it, against a bounded sample of the past.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), SubsequenceNeighbours()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), np.cos(np.arange(16.0) * 2)))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 315]].round(1).tolist()
    [0.1, 1.0]
    """

    type: Literal["subsequence_neighbours"] = "subsequence_neighbours"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        from smartflow_assets.core.kernels import subsequence_neighbours as kernel

        width = window_width(facts)
        return {
            "counts": np.zeros(1, np.int64),
            "references": np.zeros((width, kernel.REFERENCES), np.float32),
            "squares": np.zeros(kernel.REFERENCES),
            "unit": np.zeros(1),
        }

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import subsequence_neighbours as kernel

        raw = np.empty(rows.count)
        kernel.walk(
            rows.padded, rows.tamed, rows.offset, rows.count, rows.first, len(state["references"]), state["counts"],
            state["references"], state["squares"], state["unit"], raw,
        )  # fmt: skip
        return Result(raw)
