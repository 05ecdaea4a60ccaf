"""A detector: how far a value lies above the middle, in scaled units."""

from typing import Literal

import numpy as np
from pydantic import Field

from smartflow_assets.api import BaseDetector, ModelParts, Result, Rows, SeriesFacts, State


class AcmeHeat(BaseDetector, frozen=True):
    """What is hot is strange; what is above `calm` is flagged."""

    type: Literal["acme_heat"] = "acme_heat"
    calm: float = Field(default=3.0, description="Scaled value up to which nothing is flagged.")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(np.maximum(rows.values, 0), flag=rows.values > self.calm)
