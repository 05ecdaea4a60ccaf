"""Distance outside the range of the last 8,000 rows."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class RangeExcess(BaseDetector, frozen=True):
    """Distance outside the range of the last 8,000 rows."""

    type: Literal["range_excess"] = "range_excess"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    surprise: float = Field(3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")
