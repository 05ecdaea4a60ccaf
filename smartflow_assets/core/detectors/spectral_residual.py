"""Saliency of the newest row in the spectrum of the last 64."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class SpectralResidual(BaseDetector, frozen=True):
    """Saliency of the newest row in the spectral residual of the last 64 (Ren et al., KDD 2019).

    What is left of the log spectrum when its smooth part is taken out: isolated breaks of a regular shape.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), SpectralResidual()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [3.4, 2.6]
    """

    type: Literal["spectral_residual"] = "spectral_residual"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import spectral_residual as kernel

        raw = np.empty(rows.count)
        kernel.walk(rows.padded, rows.offset, rows.count, rows.first, kernel.FORWARD, kernel.INVERSE, raw)
        return Result(raw)
