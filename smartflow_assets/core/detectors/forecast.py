"""Residual of a mixture of seasonal and recent forecasts, weighted by their record."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class Forecast(BaseDetector, frozen=True):
    """Residual of a mixture of seasonal and recent forecasts, weighted by their record."""

    type: Literal["forecast"] = "forecast"
    anomalies: ClassVar[tuple[str, ...]] = ("point", "contextual")
    surprise: float = Field(3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")
