"""A detector: how far a value lies above the middle, in scaled units."""

from typing import Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class AcmeHeat(BaseDetector, frozen=True):
    """What is hot is strange; what is above `calm` is flagged."""

    type: Literal["acme_heat"] = "acme_heat"
    calm: float = Field(default=3.0, description="Scaled value up to which nothing is flagged.")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(np.maximum(rows.values, 0), flag=rows.values > self.calm)
