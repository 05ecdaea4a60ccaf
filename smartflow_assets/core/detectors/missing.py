"""A run of missing values longer than its limit. Always on."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class Missing(BaseDetector, frozen=True):
    """A run of missing values longer than its limit. Always on; OR-ed outside the ensemble.

    Its score is 2 x length / limit: critical at about twice the limit.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Missing()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), np.full(20, np.nan)))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 319]].round(1).tolist()
    [0.0, 3.3]
    """

    type: Literal["missing"] = "missing"
    anomalies: ClassVar[tuple[str, ...]] = ()
    is_guard: ClassVar[bool] = True
    rows: int = Field(default=12, ge=1, description="missing rows in a row that are still tolerated")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"progress": np.zeros(1)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import runs

        length = np.empty(rows.count)
        runs.missing_values(rows.is_missing, rows.count, state["progress"], length)
        return Result(2 * length / self.rows, flag=length > self.rows)
