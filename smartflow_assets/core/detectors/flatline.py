"""A run of equal values that this series' own runs make strange. Always on."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class Flatline(BaseDetector, frozen=True):
    """A run of equal values whose length this series' own runs make strange. Always on; OR-ed outside the ensemble.

    Its score is the -log10 of the run's chance. Silent in a series that rarely moves, and once a run is `alarm_rows` old.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Flatline()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.random.default_rng(0).normal(size=700), np.full(20, 0.5)))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[650, 719]].round(1).tolist()
    [0.0, 5.6]
    """

    type: Literal["flatline"] = "flatline"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    reads_ranges: ClassVar[bool] = False
    is_guard: ClassVar[bool] = True
    rows: int = Field(default=12, ge=3, description="shortest run of equal values")
    surprise: float = Field(default=5.0, gt=0, description="-log10 of the run's chance, learnt from the series' own runs")
    alarm_rows: int = Field(default=48, ge=1, description="rows after which the same run is old news")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        from smartflow_assets.core.kernels import runs

        return {
            "progress": np.zeros(3),
            "went_on": np.zeros(runs.LONGEST + 1),
            "seen": np.zeros(runs.LONGEST + 1),
            "moves": np.zeros(runs.MOVING_WINDOW + runs.MOVING_DELAY),
        }

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import runs

        surprise, length, moving = np.empty((3, rows.count))
        runs.equal_values(
            rows.padded, rows.offset, rows.count, rows.first, rows.is_missing, state["progress"], state["went_on"],
            state["seen"], state["moves"], surprise, length, moving,
        )  # fmt: skip
        is_run = (length >= self.rows) & (length < self.rows + self.alarm_rows) & (moving > 0.5)
        return Result(surprise, flag=is_run & (surprise > self.surprise))
