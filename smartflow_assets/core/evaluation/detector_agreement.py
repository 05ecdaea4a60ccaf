"""How far detectors agree on the same rows: which rows and intervals several of them flag, and whether they rank rows alike.

Each detector speaks for itself here, as if it were the only one listed. What the guards flag is flagged whatever is listed, so
it says nothing of agreement and is left out of it; it counts where a detector is measured against labels, as users get it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smartflow_assets.core.evaluation.metrics import Quality
from smartflow_assets.core.series.intervals import flagged_intervals
from smartflow_assets.core.series.surprise import to_surprise

DETECTOR_COLUMNS = ("detector", "rows", "intervals", "alone")
QUALITY_COLUMNS = ("precision", "recall", "F1", "PR AUC", "false alerts a day")
PAIR_COLUMNS = ("pair", "same rows", "same intervals", "rank correlation")


@dataclass(frozen=True)
class DetectorResult:
    """What one detector alone says: `scores` are series, observed_at, raw_score, threshold, is_anomaly and state of each judged
    row, in the same order for all. quality: against labels, if there are any."""

    name: str
    scores: pd.DataFrame
    quality: Quality | None = None

    @property
    def ratios(self) -> NDArray[np.float64]:
        """The score of each row over the one from which it is flagged."""
        thresholds: NDArray[np.float64] = self.scores["threshold"].to_numpy(float)
        return self.scores["raw_score"].to_numpy(float) / to_surprise(thresholds)


@dataclass(frozen=True)
class Agreement:
    """How far two detectors agree: Jaccard indices (0 none of what one flags is flagged by the other, 1 all) of rows and of intervals,
    and Spearman's rank correlation of the scores, the mean over the series. None where nothing was flagged, or scores do not vary."""

    first: str
    second: str
    rows: float | None
    intervals: float | None
    ranks: float | None


def own_flags(result: DetectorResult, guarded: np.ndarray) -> np.ndarray:
    """The rows that it flags and no guard does."""
    return result.scores["is_anomaly"].to_numpy(dtype=bool) & ~guarded


def agreements(results: Sequence[DetectorResult], guarded: np.ndarray, step: timedelta) -> list[Agreement]:
    """Each pair of detectors, the most agreeing on intervals first. guarded: rows that are flagged whatever is listed."""
    found = [_agreement(one, other, guarded, step) for one, other in combinations(results, 2)]
    return sorted(found, key=lambda each: (-(each.intervals or 0.0), -(each.rows or 0.0)))


def _agreement(one: DetectorResult, other: DetectorResult, guarded: np.ndarray, step: timedelta) -> Agreement:
    flags = own_flags(one, guarded), own_flags(other, guarded)
    either = flags[0] | flags[1]
    number = flagged_intervals(one.scores, either, step)
    shared = [set(number[own]) for own in flags]
    both = (one.scores["state"] == "scored").to_numpy() & (other.scores["state"] == "scored").to_numpy()
    ranked = pd.DataFrame({"one": one.scores["raw_score"], "other": other.scores["raw_score"]})[both]
    correlations = [
        own["one"].rank().corr(own["other"].rank())
        for _, own in ranked.groupby(one.scores["series"][both], observed=True)
        if own.nunique().min() > 1
    ]
    return Agreement(
        one.name,
        other.name,
        rows=float((flags[0] & flags[1]).sum() / either.sum()) if either.any() else None,
        intervals=len(shared[0] & shared[1]) / len(shared[0] | shared[1]) if either.any() else None,
        ranks=float(np.mean(correlations)) if correlations else None,
    )


def detector_rows(results: Sequence[DetectorResult], guarded: np.ndarray, step: timedelta) -> list[list[str]]:
    """What each flags, as rows of `detector_columns`: rows, intervals, and intervals in which no other one has a part."""
    flags = [own_flags(result, guarded) for result in results]
    number = flagged_intervals(results[0].scores, np.logical_or.reduce(flags), step)
    rows: list[list[str]] = []
    for place, result in enumerate(results):
        others = [set(number[other]) for at, other in enumerate(flags) if at != place]
        own = flagged_intervals(result.scores, flags[place], step)
        alone = len(set(number[flags[place]]) - set().union(*others)) if others else 0
        rows.append([result.name, f"{flags[place].sum():,}", f"{own.max(initial=0):,}", f"{alone:,}", *_figures(result.quality)])
    return rows


def detector_columns(results: Sequence[DetectorResult]) -> list[str]:
    """What `detector_rows` says in each column."""
    return [*DETECTOR_COLUMNS, *(QUALITY_COLUMNS if results[0].quality is not None else ())]


def pair_rows(found: Sequence[Agreement]) -> list[list[str]]:
    """The pairs as rows of `PAIR_COLUMNS`."""
    return [[f"{each.first} and {each.second}", _share(each.rows), _share(each.intervals), _share(each.ranks)] for each in found]


def _figures(quality: Quality | None) -> list[str]:
    if quality is None:
        return []
    events = quality.events
    return [
        f"{events.precision:.2f}",
        f"{events.recall:.2f}",
        f"{events.f1:.2f}",
        _share(quality.pr_auc),
        f"{quality.false_alerts_per_day:.3f}",
    ]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
