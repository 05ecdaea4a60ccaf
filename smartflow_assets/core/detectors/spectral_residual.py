"""Saliency of the newest row in the spectrum of the last 64."""
from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Fitted, Result, Rows, SeriesFacts, State


class SpectralResidual(BaseDetector, frozen=True):
    """Saliency of the newest row in the spectrum of the last 64."""

    type: Literal["spectral_residual"] = "spectral_residual"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: Fitted, facts: SeriesFacts) -> State:
        return {}

    def score(self, fitted: Fitted, state: State, rows: Rows) -> tuple[Result, State]:
        from smartflow_assets.core.kernels import spectral_residual as kernel

        raw = np.empty(rows.count)
        kernel.walk(rows.padded, rows.offset, rows.count, kernel.FORWARD, kernel.INVERSE, raw)
        return Result(raw), state
