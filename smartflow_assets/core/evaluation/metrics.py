"""How good were the flags and the scores against labelled intervals, and what a simple method would have done.

An event counts once however many of its rows are flagged, and a long false alarm counts several times, so that neither a
flag on every row nor one flag per hour looks good. No point adjustment: with it a random flag on 1 % of rows gets .93.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, cast

import numpy as np
import pandas as pd

from smartflow_assets.core.series.intervals import ALARM_GAP_ROWS, alarms

LATE_ROWS = 2  # rows after the end of an event in which its first flag still counts
LONG_ALARM_ROWS = 50  # rows after which one false alarm counts once more


@dataclass(frozen=True)
class EventScores:
    """Counts of events, or of rows, and what follows from them; 0 where nothing was flagged or labelled."""

    hits: int
    misses: int
    false_alerts: int

    @property
    def precision(self) -> float:
        """Share of what was flagged that was right."""
        return self.hits / (self.hits + self.false_alerts) if self.hits else 0.0

    @property
    def recall(self) -> float:
        """Share of what was labelled that was found."""
        return self.hits / (self.hits + self.misses) if self.hits else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.hits / (2 * self.hits + self.misses + self.false_alerts) if self.hits else 0.0


@dataclass(frozen=True)
class SeriesQuality:
    """How one series was judged between two times; an area is None where no row, or every row, is labelled."""

    series: str
    from_at: datetime
    to_at: datetime
    events: EventScores
    points: EventScores
    roc_auc: float | None
    pr_auc: float | None
    delays: tuple[float, ...]  # seconds from the first row of a found event to its first flag
    days: float


@dataclass(frozen=True)
class Quality:
    """How all series of a source were judged. Counts are added up; an area is the mean over the series that have one."""

    series: tuple[SeriesQuality, ...]

    @property
    def events(self) -> EventScores:
        """Labelled intervals: found, missed, and alarms outside them."""
        return _added(each.events for each in self.series)

    @property
    def points(self) -> EventScores:
        """Rows, each by itself."""
        return _added(each.points for each in self.series)

    @property
    def roc_auc(self) -> float | None:
        """Area under the ROC curve of the raw score: how often a labelled row ranks above another one."""
        return _mean([each.roc_auc for each in self.series])

    @property
    def pr_auc(self) -> float | None:
        """Average precision of the raw score."""
        return _mean([each.pr_auc for each in self.series])

    @property
    def delay_seconds(self) -> float | None:
        """Median over the found events; None when none was found."""
        delays = [delay for each in self.series for delay in each.delays]
        return float(median(delays)) if delays else None

    @property
    def days(self) -> float:
        """Days that were judged, of all series together."""
        return sum(each.days for each in self.series)

    @property
    def false_alerts_per_day(self) -> float:
        """False alerts for each day and series."""
        return self.events.false_alerts / self.days if self.days else 0.0

    @property
    def label_count(self) -> int:
        """Labelled intervals that were judged."""
        return self.events.hits + self.events.misses


def quality(rows: pd.DataFrame, labels: pd.DataFrame, *, step: timedelta) -> Quality:
    """How well `rows` (series, observed_at, raw_score, is_anomaly; any order) found `labels` (as in `event_scores`).

    `step` is the bucket of a row. A row without a raw score ranks below all others.
    """
    by_series = dict(list(labels.groupby("series")))
    return Quality(
        tuple(
            _series_quality(str(name), own, by_series.get(name), step)
            for name, own in rows.sort_values("observed_at", kind="stable").groupby("series", observed=True)
        )
    )


def labelled_rows(rows: pd.DataFrame, labels: pd.DataFrame) -> np.ndarray:
    """Which rows of one series (observed_at, in order) lie in one of its labels."""
    is_label = np.zeros(len(rows), dtype=bool)
    for first, last in _windows(rows["observed_at"], labels):
        is_label[first : last + 1] = True
    return is_label


def ranks(rows: pd.DataFrame) -> np.ndarray:
    """The raw scores by which rows are ranked; one without a score is below all."""
    return np.nan_to_num(rows["raw_score"].to_numpy(dtype=float, na_value=np.nan), nan=-1.0)


def _series_quality(name: str, rows: pd.DataFrame, labels: pd.DataFrame | None, step: timedelta) -> SeriesQuality:
    flags, times = rows["is_anomaly"].to_numpy(dtype=bool), pd.DatetimeIndex(rows["observed_at"])
    windows = _windows(rows["observed_at"], labels) if labels is not None else []
    is_label = labelled_rows(rows, labels) if labels is not None else np.zeros(len(rows), dtype=bool)
    first = [(a, _first_flag(flags, a, b)) for a, b in windows]
    hits, misses, false_alerts = count_events(flags, windows)
    return SeriesQuality(
        series=name,
        from_at=times[0],
        to_at=times[-1] + step,
        events=EventScores(hits, misses, false_alerts),
        points=EventScores(int((flags & is_label).sum()), int((~flags & is_label).sum()), int((flags & ~is_label).sum())),
        delays=tuple((times[at] - times[a]).total_seconds() for a, at in first if at is not None),
        days=len(rows) * step / timedelta(days=1),
        **_areas(is_label, ranks(rows)),
    )


def _areas(is_label: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    if not is_label.any() or is_label.all():
        return {"roc_auc": None, "pr_auc": None}
    from sklearn import metrics  # pyright: ignore[reportMissingTypeStubs]

    sklearn = cast(Any, metrics)  # it types its parameters in part only
    return {"roc_auc": float(sklearn.roc_auc_score(is_label, scores)), "pr_auc": float(sklearn.average_precision_score(is_label, scores))}


def _added(counts: Iterable[EventScores]) -> EventScores:
    all_ = list(counts)
    return EventScores(sum(c.hits for c in all_), sum(c.misses for c in all_), sum(c.false_alerts for c in all_))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def event_scores(rows: pd.DataFrame, is_anomaly: np.ndarray, labels: pd.DataFrame) -> EventScores:
    """Flags of `rows` (series, observed_at; any order) against `labels` (series, started_at, ended_at, both rows included).

    Rows are counted per series in time order, as they stand: leave out what was not judged. A label in which no row lies is
    left out. Pass `no_labels()` to count false alerts alone.
    """
    found: list[tuple[int, int, int]] = []
    flagged = rows[["series", "observed_at"]].assign(is_anomaly=np.asarray(is_anomaly, dtype=bool))
    by_series = dict(list(labels.groupby("series")))
    for name, own in flagged.sort_values("observed_at", kind="stable").groupby("series"):
        windows = _windows(own["observed_at"], by_series[name]) if name in by_series else []
        found.append(count_events(own["is_anomaly"].to_numpy(), windows))
    return _added(EventScores(*counts) for counts in found)


def no_labels() -> pd.DataFrame:
    """Labels of a time in which nothing happened."""
    return pd.DataFrame({"series": [], "started_at": [], "ended_at": []})


def count_events(is_anomaly: np.ndarray, windows: Sequence[tuple[int, int]]) -> tuple[int, int, int]:
    """Hits, misses and false alerts of one series; `windows` are first and last row of each labelled event.

    >>> flags = np.zeros(200, dtype=bool)
    >>> flags[[50, 51, 120]] = True
    >>> count_events(flags, [(49, 60), (150, 160)])
    (1, 1, 1)
    """
    outside = is_anomaly.copy()
    hits = 0
    for first, last in windows:
        hits += _first_flag(is_anomaly, first, last) is not None
        outside[max(0, first - ALARM_GAP_ROWS) : last + ALARM_GAP_ROWS + 1] = False
    return hits, len(windows) - hits, sum(1 + int(alarm[-1] - alarm[0]) // LONG_ALARM_ROWS for alarm in alarms(outside))


def _first_flag(is_anomaly: np.ndarray, first: int, last: int) -> int | None:
    """The first flagged row of an event; None when it was missed."""
    at = np.flatnonzero(is_anomaly[first : last + 1 + LATE_ROWS])
    return first + int(at[0]) if len(at) else None


def baselines(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Flags of two simple methods on the same rows (series, value), each series by itself, with all rows to learn from:
    a global z-score above 2.5, and an isolation forest that flags 8 %. Their names are those that are printed."""
    from sklearn.ensemble import IsolationForest  # pyright: ignore[reportMissingTypeStubs]

    forest_of: Any = IsolationForest(contamination=cast(Any, 0.08), random_state=0)  # scikit-learn's stubs want text here
    z_score, forest = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    values = rows["value"].to_numpy(dtype=float, na_value=np.nan)
    for at in rows.groupby("series").indices.values():
        known = np.asarray(at)[np.isfinite(values[at])]
        if len(known) < 2:
            continue
        own = values[known]
        z_score[known] = np.abs(own - own.mean()) > 2.5 * own.std()
        forest[known] = forest_of.fit_predict(own[:, None]) < 0
    return {"z-score > 2.5": z_score, "isolation forest, 8 %": forest}


def _windows(times: pd.Series, labels: pd.DataFrame) -> list[tuple[int, int]]:
    """First and last row of each label, where it has rows."""
    if labels.empty:  # without a time there is no zone to compare
        return []
    at = pd.DatetimeIndex(times)
    first = at.searchsorted(pd.DatetimeIndex(labels["started_at"]).as_unit(at.unit), side="left")
    end = at.searchsorted(pd.DatetimeIndex(labels["ended_at"]).as_unit(at.unit), side="right")
    return [(int(a), int(b) - 1) for a, b in zip(first, end, strict=True) if b > a]
