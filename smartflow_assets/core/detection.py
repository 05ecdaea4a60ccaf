"""Detection on frames: `detect` in one call, or `fit_models` and `Scoring` for those who store the models between.

This is what the assets, the command line and a stream call; everything is a pure function of its arguments. One row comes
out for each row that goes in, in the same order. What may be set is in `detection_settings`, how one series is walked in
`series_scorer`, what the numbers mean in `ensemble`.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from smartflow_assets.core import facts as facts_of
from smartflow_assets.core import siblings
from smartflow_assets.core.detection_settings import DetectionSettings, Score
from smartflow_assets.core.detectors.base import Fitted, History, SeriesFacts
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.fitted_models import FittedModels
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series_frame import FeatureTable, SeriesFrame
from smartflow_assets.core.series_scorer import SeriesScorer, Walk
from smartflow_assets.core.verdicts import WARMING_UP, Verdicts, severity_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.calendar import Calendar

__all__ = [
    "DetectionSettings", "FittedModels", "ModelParts", "Score", "Scored", "Scoring", "detect", "fit_models", "minimum_rows",
    "severity_of",
]  # fmt: skip

CONTEXT_ROWS = 20_000
"""Rows before the end of training from which the state is rebuilt: 14 days of minutes, 69 of five minutes."""

@dataclass(frozen=True)
class Scored:
    """scores: the columns of `detect`; components: series, observed_at, detector, raw_score, surprise, share."""

    scores: pd.DataFrame
    components: pd.DataFrame


def minimum_rows(settings: DetectionSettings, step: timedelta) -> int:
    """Rows of history before anything is scored: a season, within 36 to 288 rows, or what a detector asks for.

    >>> minimum_rows(DetectionSettings(), timedelta(minutes=5)), minimum_rows(DetectionSettings(), timedelta(days=1))
    (288, 36)
    """
    facts = SeriesFacts(period=facts_of.season(step))
    season = min(max(facts.period or 100, 36), 288)
    return max(season, *(detector.minimum_rows(facts) for detector in settings.active()))


def fit_models(
    history: pd.DataFrame,
    settings: DetectionSettings | None = None,
    *,
    features: pd.DataFrame | None = None,
    step: timedelta | None = None,
    is_first: bool = False,
    is_log: bool = False,
    calendar: Calendar | None = None,
) -> FittedModels:
    """Train the detectors of a source on `history` (series, observed_at, value; NaN = missing; the calm part of the past).

    features: series, observed_at and one column per feature, for the detectors that use them. step: distance of rows,
    default the median. is_first: there was no model before, so the rows of history will be `warming_up`, not scored.
    is_log: the detectors see logarithms; what comes out is in the unit of the values all the same. calendar: for detectors that
    know local time and holidays.
    SourceError for an empty history, missing columns or a time that occurs twice in a series.
    """
    settings = settings or DetectionSettings()
    frame = SeriesFrame.of(history)
    if not frame.rows:
        raise SourceError("there is no row to learn from", remedy="Give it some history first.")
    if step is None:
        steps = [facts_of.typical_step(frame.time[rows]).total_seconds() for rows in frame.rows.values() if len(rows) > 1]
        step = timedelta(seconds=float(np.median(steps))) if steps else timedelta(hours=1)
    table = _features(settings, history, features, step)
    facts = {name: facts_of.learn(name, frame.value[rows], step, settings.scale, is_log=is_log) for name, rows in frame.rows.items()}
    learnt = History(
        {name: facts[name].scaler.transform(frame.value[rows]) for name, rows in frame.rows.items()},
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
    )


@dataclass(frozen=True)
class Scoring:
    """Trained models at work on clean rows, which may come in pieces; the states of the series are kept from piece to piece.

    Give `score` every row from `fitted.context_from` on, in order of time: the states are built from there, so the scores do not
    depend on how runs and pieces cut the time.
    """

    fitted: FittedModels
    walks: dict[str, Walk] = field(default_factory=dict)

    def score(
        self,
        rows: pd.DataFrame,
        *,
        features: pd.DataFrame | None = None,
        components: Literal["anomalies", "all"] = "anomalies",
    ) -> Scored:
        """Score the next rows (series, observed_at, value; NaN = missing).

        Rows before the context are passed over and come back `warming_up`, like all rows of a series that the training has not
        seen. components: what each detector said, of anomalous rows or of all.
        """
        fitted, frame = self.fitted, SeriesFrame.of(rows)
        table = _features(fitted.settings, rows, features, fitted.step, names=fitted.feature_names)
        verdicts = Verdicts.empty(fitted.settings, len(frame.time))
        for name, order in frame.rows.items():
            matrix = None if table is None else table.at(name, frame.time[order])
            _score_series(fitted, self.walks, name, frame.time[order], frame.value[order], matrix, order, verdicts, components)
        return Scored(verdicts.frame(rows["series"], rows["observed_at"], rows["value"]), verdicts.component_frame())


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
    residuals stay below; in the unit of the series), raw_score (combined surprise: rank by it), anomaly_score (0 to
    1), threshold (on anomaly_score), is_anomaly, state (scored, warming_up, missing), severity and explanation (only of
    anomalous rows, and why others are not scored). SourceError for missing columns, no numbers, times that occur twice.

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
        step = facts_of.typical_step(times)
        learn = earlier or train_rows or max(minimum_rows(settings, step), len(times) // 3)
        known = slice(0, min(learn, len(times)))
        table = None
        if any(detector.needs_features for detector in settings.active()):
            own = together is None
            table = _computed(_as_frame(name, times, values), step, calendar) if own else together[together["series"] == name]
        fitted = fit_models(_as_frame(name, times[known], values[known]), settings, features=table, step=step, is_first=True,
                            calendar=calendar)
        matrix = None if table is None else FeatureTable.of(table, fitted.feature_names).at(name, times)
        _score_series(fitted, {}, name, times, values, matrix, order, verdicts, progress=progress)
    return verdicts.frame(frame["series"], frame["observed_at"], frame["value"])


def _score_series(
    fitted: FittedModels,
    walks: dict[str, Walk],
    name: str,
    times: NDArray[np.datetime64],
    values: NDArray[np.float64],
    features: NDArray[np.float64] | None,
    order: NDArray[np.int64],
    verdicts: Verdicts,
    components: Literal["anomalies", "all", "none"] = "none",
    progress: Callable[[int], None] | None = None,
) -> None:
    """Fill in the verdicts on one series, on from where its walk is; order[i] is the place of row i in the answer, -1 for a row
    that has none."""
    if name not in fitted.series:
        verdicts.note_all(order, "warming up: the series is newer than the last training")
        return
    settings, facts = fitted.settings, fitted.series[name]
    detectors = settings.active()
    verdicts.columns = {d.type: tuple(fitted.fitted[d.type].parameters["columns"]) for d in detectors if d.is_joint}
    scorer = SeriesScorer(
        detectors, tuple(fitted.fitted.get(d.type, Fitted()) for d in detectors), settings.ensemble, settings.cut, facts
    )
    start = int(np.searchsorted(times, _moment(fitted.context_from)))
    scored_from = int(np.searchsorted(times, _moment(fitted.scored_from)))
    least = minimum_rows(settings, fitted.step)
    if progress and start:
        progress(start)
    if start == len(times):  # all of it lies before the context
        verdicts.note_all(order[order >= 0], "warming up: the rows are learnt from")
        return
    walk = walks.setdefault(name, Walk(scorer.start()))
    grid = facts_of.rows_of(times[start:], fitted.step, walk.row_count, walk.last_at)
    walk.last_at = times[-1]
    first_scored = max(scored_from, start + int(np.searchsorted(grid, least)))
    warming = order[:first_scored]
    if len(warming):
        text = f"warming up: the first {first_scored} rows are learnt from"
        if first_scored >= len(times):
            text = f"warming up: {len(times)} rows, {least} are needed"
        verdicts.note_all(warming[warming >= 0], text)
    for block, scored in scorer.walk(walk, grid, values[start:], None if features is None else features[start:], times[start:]):
        rows = np.arange(start + block.start, start + block.stop)
        returned = order[rows] >= 0
        at = rows[returned]
        part = scored if returned.all() else scored.take(np.flatnonzero(returned))
        verdicts.put(order[at], values[at], part, at < first_scored)
        if components != "none":
            is_shown = verdicts.is_anomaly[order[at]] if components == "anomalies" else verdicts.state[order[at]] != WARMING_UP
            verdicts.put_components(name, times[at], part, is_shown)
        if progress:
            progress(len(rows))


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
    step = timedelta(seconds=float(np.median([facts_of.typical_step(times).total_seconds() for times, _ in tracks.values()])))
    rows = pd.concat([_as_frame(name, *track) for name, track in tracks.items()], ignore_index=True)
    return siblings.add(_computed(rows, step, calendar), step=step)


def _as_frame(name: str, times: NDArray[np.datetime64], values: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame({"series": name, "observed_at": pd.DatetimeIndex(times).tz_localize("UTC"), "value": values})


def _moment(time: pd.Timestamp) -> np.datetime64:
    return time.tz_convert("UTC").tz_localize(None).to_datetime64().astype("datetime64[us]")


def _features(
    settings: DetectionSettings, rows: pd.DataFrame, features: pd.DataFrame | None, step: timedelta, names: tuple[str, ...] = ()
) -> FeatureTable | None:
    """The features that these settings need, computed where they were not passed; None when no detector needs any."""
    if not any(detector.needs_features for detector in settings.active()):
        return None
    found = _computed(rows, step, None) if features is None else features
    if any(detector.is_joint for detector in settings.active()):
        found = siblings.add(found, step=step, names=names)
    return FeatureTable.of(found, names)


def _computed(rows: pd.DataFrame, step: timedelta, calendar: Calendar | None) -> pd.DataFrame:
    from smartflow_assets.core import features
    from smartflow_assets.core.calendar import Calendar

    return features.compute(rows[["series", "observed_at", "value"]], step=step, calendar=calendar or Calendar())
