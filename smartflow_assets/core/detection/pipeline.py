"""Detection on frames: `detect` in one call, or `fit_models` and `Scoring` for those who store the models between.

This is what the assets, the command line and a stream call; everything is a pure function of its arguments. One row comes
out for each row that goes in, in the same order. What may be set is in `settings`, how models are fitted in `training`
and put to work in `scoring`, how one series is scored in `series_scorer`, what the numbers mean in `ensemble`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.detection.false_alarm_budget import with_budget
from smartflow_assets.core.detection.feature_inputs import computed_features
from smartflow_assets.core.detection.scoring import score_series
from smartflow_assets.core.detection.settings import DetectionSettings
from smartflow_assets.core.detection.training import fit_models, minimum_rows
from smartflow_assets.core.detection.verdicts import Verdicts
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.preparation.features import with_siblings
from smartflow_assets.core.series.facts import typical_step
from smartflow_assets.core.series.learning_policy import first_rows
from smartflow_assets.core.series.series_frame import FeatureTable, SeriesFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.temporal.calendar import Calendar


def detect(
    frame: pd.DataFrame,
    *,
    train_rows: int | None = None,
    history: pd.DataFrame | None = None,
    settings: DetectionSettings | None = None,
    calendar: Calendar | None = None,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Find what is strange in one or many series; nothing is stored, no row is judged by a later one.

    frame: series, observed_at, value (NaN = missing; other columns are ignored; any order). train_rows: how many first rows
    of each series may be learnt from and are not scored; default a third, at least `minimum_rows`. history: earlier rows,
    learnt from and not returned; then every row of `frame` is scored. calendar: for the features of detectors that need
    them. progress: called with the number of rows done since its last call.

    Returns, in the order of `frame`: series, observed_at, value, expected, lower, upper (twice what 95 % of the last 2,000
    residuals stay below, less on the calm side of a skewed series; in the unit of the series), raw_score (combined surprise:
    rank by it), anomaly_score (0 to 1), threshold (on anomaly_score), is_anomaly, state (scored, warming_up, missing), severity
    and explanation (only of anomalous rows, and why others are not scored). SourceError for missing columns, no numbers, times
    that occur twice.

    >>> times = pd.date_range("2026-01-01", periods=900, freq="5min", tz="UTC")
    >>> value = 100 + np.random.default_rng(0).normal(size=900)
    >>> value[450] = 130.0
    >>> result = detect(pd.DataFrame({"series": "load", "observed_at": times, "value": value}))
    >>> result.index[result["is_anomaly"]].tolist()
    [450]
    """
    settings = settings or DetectionSettings()
    given = SeriesFrame.of(frame)
    past = SeriesFrame.of(history) if history is not None and len(history) else SeriesFrame.of(frame[:0])
    verdicts = Verdicts.empty(settings, len(given.time))
    together = _side_by_side(given, past, calendar) if any(detector.is_joint for detector in settings.active()) else None
    for name in given.rows:
        times, values, order, earlier = _with_past(given, past, name)
        step = typical_step(times)
        learn = earlier or train_rows or max(minimum_rows(settings, step), first_rows(len(times)))
        known = slice(0, min(learn, len(times)))
        table = None
        if any(detector.needs_features for detector in settings.active()):
            rows = _as_frame(name, times, values)
            table = computed_features(rows, step, calendar) if together is None else together[together["series"] == name]
        fitted = fit_models(
            _as_frame(name, times[known], values[known]), settings, features=table, step=step, is_first=True, calendar=calendar
        )
        fitted = with_budget(fitted, _as_frame(name, times[known], values[known]), table)
        matrix = None if table is None else FeatureTable.of(table, fitted.feature_names).at(name, times)
        score_series(fitted, {}, name, times, values, matrix, order, verdicts, report=progress)
    return verdicts.frame(frame["series"], frame["observed_at"], frame["value"])


def _with_past(
    given: SeriesFrame, past: SeriesFrame, name: str
) -> tuple[NDArray[np.datetime64], NDArray[np.float64], NDArray[np.int64], int]:
    """Times and values of a series with the rows of `past` that lie before, the place of each in the answer (-1 for those of
    the past), and how many of the past there are."""
    order = given.rows[name]
    times, values = given.time[order], given.value[order]
    earlier = past.rows.get(name, np.zeros(0, np.int64))
    earlier = earlier[past.time[earlier] < times[0]]
    if len(earlier):
        times = np.concatenate([past.time[earlier], times])
        values = np.concatenate([past.value[earlier], values])
        order = np.concatenate([np.full(len(earlier), -1), order])
    return times, values, order, len(earlier)


def _side_by_side(given: SeriesFrame, past: SeriesFrame, calendar: Calendar | None) -> pd.DataFrame:
    """Features of all series, each row with the residuals of its siblings."""
    tracks = {name: _with_past(given, past, name)[:2] for name in given.rows}
    if len(tracks) == 1:
        raise SourceError(
            f"there is only the series {next(iter(tracks))}, and mahalanobis compares several metrics",
            remedy="Give it several series, or take another detector.",
        )
    step = timedelta(seconds=float(np.median([typical_step(times).total_seconds() for times, _ in tracks.values()])))
    rows = pd.concat([_as_frame(name, *track) for name, track in tracks.items()], ignore_index=True)
    return with_siblings(computed_features(rows, step, calendar), step=step)


def _as_frame(name: str, times: NDArray[np.datetime64], values: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame({"series": name, "observed_at": pd.DatetimeIndex(times).tz_localize("UTC"), "value": values})
