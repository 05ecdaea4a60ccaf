"""Saliency of the newest row in the spectrum of the last 64."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class SpectralResidual(BaseDetector, frozen=True):
    """Saliency of the newest row in the spectrum of the last 64."""

    type: Literal["spectral_residual"] = "spectral_residual"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    surprise: float = Field(3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")
