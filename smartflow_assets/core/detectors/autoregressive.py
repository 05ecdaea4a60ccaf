"""Residual of a recursive least squares AR model that forgets slowly."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class Autoregressive(BaseDetector, frozen=True):
    """Residual of a recursive least squares AR model that forgets slowly."""

    type: Literal["autoregressive"] = "autoregressive"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    surprise: float = Field(3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")
