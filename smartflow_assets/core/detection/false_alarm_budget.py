"""A budget of false alarms: the threshold that would have kept a calm history within it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.detection.fitted_models import FittedModels
from smartflow_assets.core.detection.scoring import Scoring
from smartflow_assets.core.series.intervals import alarms
from smartflow_assets.core.temporal.notation import Frequency

if TYPE_CHECKING:
    from numpy.typing import NDArray


def peaks(raw_score: NDArray[np.float64], is_flagged: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The highest score of each alarm, highest first.

    >>> peaks(np.array([0.0, 3.0, 5.0, 0.0]), np.array([False, True, True, False])).tolist()
    [5.0]
    """
    return np.sort(np.array([raw_score[rows].max() for rows in alarms(is_flagged)]))[::-1]


def threshold_within(heights: NDArray[np.float64], budget: Frequency, span: timedelta, least: float) -> float:
    """The lowest surprise threshold, from `least` on, that no more of these alarms (highest first) reach than the budget allows in
    `span`; one alarm is always allowed.

    >>> threshold_within(np.array([9.0, 5.0, 4.0]), Frequency(1, "week"), timedelta(days=14), 2.2) > 4.0
    True
    >>> threshold_within(np.array([9.0, 5.0]), Frequency(1, "week"), timedelta(days=14), 2.2)
    2.2
    """
    allowed = math.ceil(budget.per_day * (span / timedelta(days=1)))
    return least if len(heights) <= allowed else max(least, float(np.nextafter(heights[allowed], np.inf)))


def with_budget(fitted: FittedModels, calm: pd.DataFrame, features: pd.DataFrame | None = None) -> FittedModels:
    """The models with the thresholds that would have kept `calm` (series, observed_at, value; no rows of open incidents) within the budget
    of false alarms of the settings; the same models where there is none."""
    budget = fitted.settings.budget
    if budget is None:
        return fitted
    least = fitted.settings.surprise_threshold
    scores = Scoring(replace(fitted, scored_from=fitted.context_from)).score(calm, features=features, is_last=True).scores
    thresholds = dict[str, float]()
    for name, rows in scores[scores["state"] != "warming_up"].groupby("series", sort=True, observed=True):
        rows = rows.sort_values("observed_at")
        heights = peaks(rows["raw_score"].to_numpy(), rows["is_anomaly"].to_numpy())
        thresholds[str(name)] = threshold_within(heights, budget, len(rows) * fitted.step, least)
    return replace(fitted, surprise_thresholds={name: threshold for name, threshold in thresholds.items() if threshold > least})
