"""Spread of the last rows against its trailing median: bursts and calm that is too calm."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class Variability(BaseDetector, frozen=True):
    """Spread of the last rows against its trailing median: bursts and calm that is too calm."""

    type: Literal["variability"] = "variability"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    surprise: float = Field(3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")
