"""Residual from the same time of earlier days, three-row mean, over its usual size."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class Seasonal(BaseDetector, frozen=True):
    """Residual from the same time of earlier days, three-row mean, over its usual size."""

    type: Literal["seasonal"] = "seasonal"
    anomalies: ClassVar[tuple[str, ...]] = ("contextual", "point")
    scales: float = Field(6.0, gt=0, description="own flag above so many usual residuals")
