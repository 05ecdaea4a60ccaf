"""Mean of the last rows against the median of the rows before them, on three lengths."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class LevelShift(BaseDetector, frozen=True):
    """Mean of the last rows against the median of the rows before them, on three lengths."""

    type: Literal["level_shift"] = "level_shift"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    surprise: float = Field(3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")
