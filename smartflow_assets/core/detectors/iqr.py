"""Distance outside the trailing quartiles in interquartile ranges (Tukey's fences)."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class Iqr(BaseDetector, frozen=True):
    """Distance outside the trailing quartiles in interquartile ranges (Tukey's fences)."""

    type: Literal["iqr"] = "iqr"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    window: int = Field(288, ge=10, description="trailing rows that a row is compared with; the row itself is not among them")
    fences: float = Field(3.0, gt=0, description="own flag beyond so many interquartile ranges; the textbook says 1.5")
