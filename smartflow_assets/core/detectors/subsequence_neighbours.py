"""Distance of the last window to its third nearest earlier window."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class SubsequenceNeighbours(BaseDetector, frozen=True):
    """Distance of the last window to its third nearest earlier window."""

    type: Literal["subsequence_neighbours"] = "subsequence_neighbours"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    surprise: float = Field(3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")
