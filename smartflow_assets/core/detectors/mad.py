"""Modified z-score: distance from the trailing median in median absolute deviations."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class Mad(BaseDetector, frozen=True):
    """Modified z-score: distance from the trailing median in median absolute deviations."""

    type: Literal["mad"] = "mad"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    window: int = Field(288, ge=10, description="trailing rows that a row is compared with; the row itself is not among them")
    limit: float = Field(6.0, gt=0, description="own flag above this modified z-score; the textbook says 3.5")
