"""How few random cuts isolate the row among its features."""
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector


class IsolationForest(BaseDetector, frozen=True):
    """How few random cuts isolate the row among its features."""

    type: Literal["isolation_forest"] = "isolation_forest"
    anomalies: ClassVar[tuple[str, ...]] = ("point", "multivariate")
    needs_features: ClassVar[bool] = True
    contamination: float = Field(default=0.01, gt=0, le=0.5, description="share of training rows that its own flag and vote mark")
    n_estimators: int = Field(default=100, ge=10, le=1000, description="trees")
    max_samples: int = Field(default=256, ge=16, le=65536, description="training rows a tree is grown on")
    seed: int = Field(default=0, ge=0, description="seed of the trees")
