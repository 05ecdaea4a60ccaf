"""A run of missing values longer than its limit. Always on."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class Missing(BaseDetector, frozen=True):
    """A run of missing values longer than its limit. Always on."""

    type: Literal["missing"] = "missing"
    anomalies: ClassVar[tuple[str, ...]] = ()
    is_guard: ClassVar[bool] = True
    rows: int = Field(12, ge=1, description="missing rows in a row that are still tolerated")
