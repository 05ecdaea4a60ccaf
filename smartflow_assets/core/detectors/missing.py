"""A run of missing values longer than its limit, where values usually are there. Always on."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, History, Result
from smartflow_assets.core.detectors.local_week import rows_ahead, season_of_week
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

ROWS, DAYS = 12, 2
"""Missing rows that are tolerated, and where a row is a day."""
DAYS_OF_A_WEEK = 7


class Missing(BaseDetector, frozen=True):
    """A run of missing values longer than its limit. Always on; OR-ed outside the ensemble.

    Pauses that come back (nights, weekends) are none: a row counts where the same time of the local week had a value in most of
    the last four weeks. Before there is a week the day before says so, and only more than a day of missing rows is too long.
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
    reads_ranges: ClassVar[bool] = False
    is_guard: ClassVar[bool] = True
    rows: int | None = Field(
        default=None,
        ge=1,
        description="missing rows in a row that are still tolerated, of those that usually have a value; default: 12, of days 2",
    )

    def fit(self, history: History) -> ModelParts:
        """Learns where the clock is that pauses go by."""
        return ModelParts({"timezone": history.calendar.timezone if history.calendar else "UTC"})

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        season = season_of_week(facts)
        week = max(7 * season, 1)
        return {
            "season": np.array([season]),
            "ahead": np.zeros(1, np.int64),
            "usual": np.zeros(week, np.float32),
            "weeks": np.zeros(week, np.uint8),
            "limit": np.array([self.rows or (DAYS if facts.period == DAYS_OF_A_WEEK else ROWS)]),
            "progress": np.zeros(3),
        }

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import runs

        length, season, limit = np.empty(rows.count), int(state["season"][0]), int(state["limit"][0])
        ahead = rows_ahead(rows, str(fitted.parameters.get("timezone", "UTC")), season, state["ahead"])
        runs.missing_values(
            rows.is_missing, rows.count, rows.first, ahead, season, limit, state["usual"], state["weeks"], state["progress"], length
        )
        return Result(2 * length / limit, flag=length > limit)
