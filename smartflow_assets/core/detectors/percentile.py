"""Distance outside the trailing percentiles, in their distance from each other."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class Percentile(BaseDetector, frozen=True):
    """Distance outside the trailing percentiles, in their distance from each other."""

    type: Literal["percentile"] = "percentile"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    window: int = Field(2000, ge=50, description="trailing rows that a row is compared with; the row itself is not among them")
    lower: float = Field(0.1, ge=0, lt=50, description="lower percentile; the textbook says 1")
    upper: float = Field(99.9, gt=50, le=100, description="upper percentile; the textbook says 99")
    margin: float = Field(0.1, ge=0, description="own flag so far outside, as a share of the distance between the percentiles")
