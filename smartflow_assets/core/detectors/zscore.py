"""Distance from the trailing mean in trailing standard deviations."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class ZScore(BaseDetector, frozen=True):
    """Distance from the trailing mean in trailing standard deviations."""

    type: Literal["zscore"] = "zscore"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    window: int = Field(288, ge=10, description="trailing rows that a row is compared with; the row itself is not among them")
    sigmas: float = Field(4.0, gt=0, description="own flag above so many standard deviations; the textbook says 2.5 or 3")
