"""Energy of the last window outside and inside the subspace of earlier windows."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class SubsequencePca(BaseDetector, frozen=True):
    """Energy of the last window outside and inside the subspace of earlier windows."""

    type: Literal["subsequence_pca"] = "subsequence_pca"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    surprise: float = Field(3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")
