"""Trained models at work: clean rows in, verdicts out, for every series of a source, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from smartflow_assets.core.detection.feature_inputs import needed_features
from smartflow_assets.core.detection.fitted_models import FittedModels
from smartflow_assets.core.detection.series_scorer import SeriesProgress, SeriesScorer
from smartflow_assets.core.detection.training import minimum_rows
from smartflow_assets.core.detection.verdicts import WARMING_UP, Verdicts
from smartflow_assets.core.feedback.raised_thresholds import Raise, raised
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.facts import row_numbers
from smartflow_assets.core.series.series_frame import SeriesFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONG_ROWS = 1000
"""Rows of a series from which its kernels, which run side by side, outweigh the interpreter, which does not: ten thousand series of
100 rows take 1.6 times the CPU in two threads."""


@dataclass(frozen=True)
class ScoredRows:
    """scores: the columns of `detect`; components: series, observed_at, detector, raw_score, surprise, share."""

    scores: pd.DataFrame
    components: pd.DataFrame


@dataclass(frozen=True)
class Scoring:
    """Trained models at work on clean rows, which may come in pieces; the states of the series are kept from piece to piece.

    Give `score` every row from `fitted.context_from` on, in order of time: the states are built from there, so the scores do not
    depend on how runs and pieces split the time.
    """

    fitted: FittedModels
    progress: dict[str, SeriesProgress] = field(default_factory=dict[str, SeriesProgress])
    raises: Mapping[str, Sequence[Raise]] = field(default_factory=dict[str, Sequence[Raise]])
    """By series: for which false alarms its threshold is raised. Scores do not depend on it."""

    def check(self) -> None:
        """Score two rows of one series and forget them, so that a model that another version wrote in another form fails here, where it can
        be trained anew, and not in the middle of a run."""
        fitted = self.fitted
        for name in islice(fitted.series, 1):
            times = np.array([_moment(fitted.context_from), _moment(fitted.context_from + fitted.step)])
            features = np.zeros((2, len(fitted.feature_names))) if fitted.feature_names else None
            score_series(fitted, {}, name, times, np.zeros(2), features, np.arange(2), Verdicts.empty(fitted.settings, 2))

    def score(
        self,
        rows: pd.DataFrame,
        *,
        features: pd.DataFrame | None = None,
        components: Literal["anomalies", "all"] = "anomalies",
        is_last: bool = False,
    ) -> ScoredRows:
        """Score the next rows (series, observed_at, value; NaN = missing).

        Rows before the context are passed over and come back `warming_up`, like all rows of a series that the training has not
        seen. components: what each detector said, of anomalous rows or of all. is_last: no rows will follow, so no state is kept
        (about a megabyte a series).
        """
        fitted, frame = self.fitted, SeriesFrame.of(rows)
        table = needed_features(fitted.settings, rows, features, fitted.step, names=fitted.feature_names)
        verdicts = Verdicts.empty(fitted.settings, len(frame.time))

        def score_one(name: str) -> None:
            order = frame.rows[name]
            matrix = None if table is None else table.at(name, frame.time[order])
            raises = self.raises.get(name, ())
            score_series(
                fitted, self.progress, name, frame.time[order], frame.value[order], matrix, order, verdicts, components, raises=raises
            )
            if is_last:
                self.progress.pop(name, None)

        if len(frame.time) >= LONG_ROWS * len(frame.rows) and len(frame.rows) > 1:
            with ThreadPoolExecutor(min(_cores(), len(frame.rows))) as pool:
                list(pool.map(score_one, frame.rows))
        else:
            for name in frame.rows:
                score_one(name)
        return ScoredRows(verdicts.frame(rows["series"], rows["observed_at"], rows["value"]), verdicts.component_frame())


def score_series(
    fitted: FittedModels,
    progress: dict[str, SeriesProgress],
    name: str,
    times: NDArray[np.datetime64],
    values: NDArray[np.float64],
    features: NDArray[np.float64] | None,
    order: NDArray[np.int64],
    verdicts: Verdicts,
    components: Literal["anomalies", "all", "none"] = "none",
    report: Callable[[int], None] | None = None,
    raises: Sequence[Raise] = (),
) -> None:
    """Fill in the verdicts on one series, on from how far it has been scored; order[i] is the place of row i in the answer, -1 for a row
    that has none."""
    if name not in fitted.series:
        verdicts.note_all(order, "warming up: the series is newer than the last training")
        return
    settings = fitted.settings
    verdicts.columns = {d.type: d.columns(fitted.fitted[d.type], fitted.feature_names) for d in settings.active()}
    scorer = scorer_of(fitted, name)
    start = int(np.searchsorted(times, _moment(fitted.context_from)))
    scored_from = int(np.searchsorted(times, _moment(fitted.scored_from)))
    least = minimum_rows(settings, fitted.step)
    if report and start:
        report(start)
    if start == len(times):  # all of it lies before the context
        verdicts.note_all(order[order >= 0], "warming up: the rows are learnt from")
        return
    done = progress.setdefault(name, SeriesProgress(scorer.start()))
    grid = row_numbers(times[start:], fitted.step, done.row_count, done.last_at)
    done.last_at = times[-1]
    first_scored = max(scored_from, start + int(np.searchsorted(grid, least)))
    warming = order[:first_scored]
    if len(warming):
        text = f"warming up: the first {first_scored} rows are learnt from"
        if first_scored >= len(times):
            text = f"warming up: {len(times)} rows, {least} are needed"
        verdicts.note_all(warming[warming >= 0], text)
    for block, scored in scorer.score_next(done, grid, values[start:], None if features is None else features[start:], times[start:]):
        rows: NDArray[np.int64] = np.arange(start + block.start, start + block.stop)
        returned = order[rows] >= 0
        at = rows[returned]
        part = scored if returned.all() else scored.take(np.flatnonzero(returned))
        raised_to = raised(raises, scorer.surprise_threshold, values[at] - part.expected, times[at]) if raises else None
        verdicts.put(order[at], values[at], part, at < first_scored, scorer.surprise_threshold, raised_to)
        if components != "none":
            is_shown = verdicts.is_anomaly[order[at]] if components == "anomalies" else verdicts.state[order[at]] != WARMING_UP
            verdicts.put_components(name, times[at], part, is_shown)
        if report:
            report(len(rows))


def scorer_of(fitted: FittedModels, name: str) -> SeriesScorer:
    """What scores one of the series that the model knows."""
    detectors = fitted.settings.active()
    return SeriesScorer(
        detectors,
        tuple(fitted.fitted.get(d.type, ModelParts()) for d in detectors),
        fitted.settings.ensemble,
        fitted.surprise_threshold(name),
        fitted.series[name],
        fitted.calendar_effects,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _moment(time: pd.Timestamp) -> np.datetime64:
    return time.tz_convert("UTC").tz_localize(None).to_datetime64().astype("datetime64[us]")
