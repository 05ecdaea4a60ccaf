"""A run of zeros longer than any before, in a series that hardly ever is at zero. Always on."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, History, Result
from smartflow_assets.core.detectors.local_week import rows_ahead, season_of_week
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets.core.series.scaling import Scaler

OUTAGES = 4
"""So many runs of a context may have been outages: they do not make another one of their length usual."""
CAP = 12.0
"""The largest surprise: a longer run says no more."""


class ZeroRun(BaseDetector, frozen=True):
    """A run of zeros longer than any before, in a series that hardly ever is at zero. Always on; OR-ed outside the ensemble.

    It speaks of series that are never negative and at zero in fewer than 1 % of their rows, and of none else. Zeros that come back at
    the same time of the day or the week count for nothing. Its score is -log10 of the chance of a zero, and .3 more for each further
    row. It also says that zero is not usual there, so that no band holds it.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(is_never_negative=True, least=0.2), ZeroRun()
    >>> revenue = np.random.default_rng(0).lognormal(size=90)
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(revenue, np.zeros(10)))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[80, 90, 99]].round(1).tolist(), result.lower[[20, 99]].tolist()
    ([0.0, 2.0, 4.7], [nan, 0.2])
    """

    type: Literal["zero_run"] = "zero_run"
    anomalies: ClassVar[tuple[str, ...]] = ()
    reads_ranges: ClassVar[bool] = False
    is_guard: ClassVar[bool] = True
    has_direction: ClassVar[bool] = True
    rows: int = Field(default=1, ge=1, description="shortest run of zeros")
    surprise: float = Field(default=2.0, gt=0, description="-log10 of the run's chance, learnt from the series' own rows and runs")

    def fit(self, history: History) -> ModelParts:
        """Learns where the clock is that zeros come back by."""
        return ModelParts({"timezone": history.calendar.timezone if history.calendar else "UTC"})

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        scaler, season = facts.scaler, season_of_week(facts)
        zero, least = scaler.transform(np.array([0.0, facts.least]))
        return {
            "bounds": np.array([zero if facts.is_never_negative else -np.inf, least]),
            "ahead": np.zeros(1, np.int64),
            "known": np.array([facts.known_rows, facts.zero_rows, facts.longest_zero_run], float),
            "season": np.zeros((2, max(season, 1)), np.float32),
            "week": np.zeros((2, max(7 * season, 1)), np.float32),
            "progress": np.zeros(6),
            "longest": np.zeros(OUTAGES + 1),
            "scaler": np.array([scaler.center, scaler.unit, scaler.log_unit or np.nan, facts.grain]),
        }

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import runs

        surprise, (flag, is_rare) = np.empty(rows.count), np.empty((2, rows.count), np.bool_)
        zero, least = state["bounds"]
        season = state["season"].shape[1]
        ahead = rows_ahead(rows, str(fitted.parameters.get("timezone", "UTC")), season, state["ahead"])
        center, unit, log_unit, grain = state["scaler"]
        expected = Scaler(center, unit, None if np.isnan(log_unit) else log_unit).inverse(rows.expected)
        counts = np.maximum(expected, 0.0) / grain if grain > 0 else np.full(rows.count, np.inf)
        runs.zero_values(
            rows.padded, rows.offset, rows.count, rows.first, rows.is_missing, ahead, zero, counts, state["known"], self.rows,
            self.surprise, state["season"], state["week"], state["progress"], state["longest"], surprise, flag, is_rare,
        )  # fmt: skip
        lower = np.where(is_rare & np.isfinite(zero), least, np.nan)
        return Result(np.minimum(surprise, CAP), flag=flag, lower=lower)
