"""Residual from a short trailing mean, in standard deviations of such residuals."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class MovingAverage(BaseDetector, frozen=True):
    """Residual from a short trailing mean, in standard deviations of such residuals."""

    type: Literal["moving_average"] = "moving_average"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    window: int = Field(24, ge=2, description="rows of the trailing mean")
    spread_window: int = Field(288, ge=10, description="trailing residuals that give the standard deviation")
    sigmas: float = Field(4.0, gt=0, description="own flag above so many standard deviations; the textbook says 2.5 or 3")
