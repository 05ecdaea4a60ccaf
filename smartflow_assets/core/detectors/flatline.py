"""A run of equal values that this series' own runs make strange. Always on."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class Flatline(BaseDetector, frozen=True):
    """A run of equal values that this series' own runs make strange. Always on."""

    type: Literal["flatline"] = "flatline"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    is_guard: ClassVar[bool] = True
    rows: int = Field(12, ge=3, description="shortest run of equal values")
    surprise: float = Field(5.0, gt=0, description="how strange the run must be, -log10 of its chance by the series' own runs")
    alarm_rows: int = Field(48, ge=1, description="rows after which the same run is old news")
