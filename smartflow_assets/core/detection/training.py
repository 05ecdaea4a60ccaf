"""Training: what is normal in the rows that may be learnt from, for every detector of a source in one model."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.detection.effect_learning import learn_effects
from smartflow_assets.core.detection.feature_inputs import needed_features
from smartflow_assets.core.detection.fitted_models import FittedModels
from smartflow_assets.core.detection.settings import DetectionSettings
from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.series import baseline
from smartflow_assets.core.series.baseline import SpecialRows
from smartflow_assets.core.series.facts import SeriesFacts, learn_facts, row_numbers, season, typical_step
from smartflow_assets.core.series.series_frame import SeriesFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.detection.calendar_effects import CalendarEffects
    from smartflow_assets.core.temporal.calendar import Calendar

CONTEXT_ROWS = 20_000
"""Rows before the end of training from which the state is rebuilt: 14 days of minutes, 69 of five minutes."""


def minimum_rows(settings: DetectionSettings, step: timedelta) -> int:
    """Rows of history before anything is scored: a season, within 36 to 288 rows, or what a detector asks for.

    >>> minimum_rows(DetectionSettings(), timedelta(minutes=5)), minimum_rows(DetectionSettings(), timedelta(days=1))
    (288, 36)
    """
    facts = SeriesFacts(period=season(step))
    whole_season = min(max(facts.period or 100, 36), 288)
    return max(whole_season, *(detector.minimum_rows(facts) for detector in settings.active()))


def fit_models(
    history: pd.DataFrame,
    settings: DetectionSettings | None = None,
    *,
    features: pd.DataFrame | None = None,
    step: timedelta | None = None,
    is_first: bool = False,
    is_log: bool = False,
    calendar: Calendar | None = None,
    calendar_history: pd.DataFrame | None = None,
) -> FittedModels:
    """Train the detectors of a source on `history` (series, observed_at, value; NaN = missing; the calm part of the past).

    features: series, observed_at and one column per feature, for the detectors that use them. step: distance of rows,
    default the median. is_first: there was no model before, so the rows of history will be `warming_up`, not scored.
    is_log: the detectors see logarithms; what comes out is in the unit of the values all the same. calendar: for detectors that
    know local time and holidays, and for what special days do. calendar_history: rows from which that is learnt, years of them if there
    are; default `history`.
    SourceError for an empty history, missing columns or a time that occurs twice in a series.
    """
    settings = settings or DetectionSettings()
    frame = SeriesFrame.of(history)
    if not frame.rows:
        raise SourceError("there is no row to learn from", remedy="Give it some history first.")
    if step is None:
        steps = [typical_step(frame.time[rows]).total_seconds() for rows in frame.rows.values() if len(rows) > 1]
        step = timedelta(seconds=float(np.median(steps))) if steps else timedelta(hours=1)
    table = needed_features(settings, history, features, step)
    facts = {name: learn_facts(name, frame.value[rows], step, settings.scale, is_log=is_log) for name, rows in frame.rows.items()}
    effects = learn_effects(frame if calendar_history is None else SeriesFrame.of(calendar_history), calendar, step, facts)
    learnt = History(
        {name: _without_effects(frame.time[rows], frame.value[rows], facts[name], effects, step) for name, rows in frame.rows.items()},
        {} if table is None else {name: table.at(name, frame.time[rows]) for name, rows in frame.rows.items()},
        () if table is None else table.names,
        {name: frame.time[rows] for name, rows in frame.rows.items()},
        calendar,
    )
    first, last = pd.Timestamp(frame.time.min(), tz="UTC"), pd.Timestamp(frame.time.max(), tz="UTC")
    context_from = max(first, last - CONTEXT_ROWS * pd.Timedelta(step))
    return FittedModels(
        settings=settings,
        step=step,
        context_from=context_from,
        trained_to=last,
        scored_from=last + pd.Timedelta(microseconds=1) if is_first else context_from,
        series=facts,
        fitted={detector.type: detector.fit(learnt) for detector in settings.active()},
        feature_names=learnt.feature_names,
        calendar_effects=effects,
    )


def _without_effects(
    times: NDArray[np.datetime64], values: NDArray[np.float64], facts: SeriesFacts, effects: CalendarEffects | None, step: timedelta
) -> NDArray[np.float64]:
    """Scaled values as detectors will see them: on special days without what these do."""
    scaled = facts.scaler.transform(values)
    days = None if effects is None else effects.of_rows(facts, times)
    if days is None:
        return scaled
    grid = row_numbers(times, step)
    placed, placed_effects = np.full(grid[-1] + 1, np.nan), np.zeros((3, grid[-1] + 1))
    placed[grid], placed_effects[:, grid] = scaled, days.effects
    left = np.concatenate([rows.values.copy() for _, rows in baseline.over(facts, placed, SpecialRows(placed_effects, days.zero))])
    return np.where(np.isfinite(scaled), left[grid], scaled)
