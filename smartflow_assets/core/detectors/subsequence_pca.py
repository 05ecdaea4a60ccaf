"""Energy of the last window outside and inside the subspace of earlier windows."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result, window_width
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class SubsequencePca(BaseDetector, frozen=True):
    """Distance of the last window inside and outside the leading components of earlier windows (90 % of their variance).

    Fitted on the last 6,000 rows, at every 1,000th row; the 2 % strangest windows do not take part.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), SubsequencePca()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), np.cos(np.arange(16.0) * 2)))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 315]].round(1).tolist()
    [2.0, 74.8]
    """

    type: Literal["subsequence_pca"] = "subsequence_pca"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        width = window_width(facts)
        return {
            "median": np.zeros(width),
            "vectors": np.zeros((width, width)),
            "eigenvalues": np.zeros(width),
            "summary": np.zeros(3),
        }

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import subsequence_pca as kernel

        raw = np.empty(rows.count)
        kernel.walk(
            rows.padded, rows.tamed, rows.offset, rows.count, rows.first, len(state["median"]), state["median"], state["vectors"],
            state["eigenvalues"], state["summary"], raw,
        )  # fmt: skip
        return Result(raw)
