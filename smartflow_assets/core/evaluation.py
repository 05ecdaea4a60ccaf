"""How good were the flags: event precision, recall and F1 against labelled spells, and what a simple method would have done.

An event counts once however many of its rows are flagged, and a long false alarm counts several times, so that neither a
flag on every row nor one flag per hour looks good. No point adjustment: with it a random flag on 1 % of rows gets .93.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

NEAR = 10  # rows beside a labelled event in which a flag is neither right nor wrong, and flags are one alarm
LATE = 2  # rows after the end of an event in which its first flag still counts
LONG = 50  # rows after which one false alarm counts once more


@dataclass(frozen=True)
class EventScores:
    """Counts over all series, and what follows from them; 0 where nothing was flagged or labelled."""

    hits: int
    misses: int
    false_alerts: int

    @property
    def precision(self) -> float:
        """Share of alarms that were right."""
        return self.hits / (self.hits + self.false_alerts) if self.hits else 0.0

    @property
    def recall(self) -> float:
        """Share of labelled events that were found."""
        return self.hits / (self.hits + self.misses) if self.hits else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.hits / (2 * self.hits + self.misses + self.false_alerts) if self.hits else 0.0


def event_scores(rows: pd.DataFrame, is_anomaly: np.ndarray, labels: pd.DataFrame) -> EventScores:
    """Flags of `rows` (series, observed_at; any order) against `labels` (series, started_at, ended_at, both rows included).

    Rows are counted per series in time order, as they stand: leave out what was not judged. A label in which no row lies is
    left out. Pass `no_labels()` to count false alerts alone.
    """
    hits = misses = false_alerts = 0
    flagged = rows[["series", "observed_at"]].assign(is_anomaly=np.asarray(is_anomaly, dtype=bool))
    by_series = dict(list(labels.groupby("series")))
    for name, own in flagged.sort_values("observed_at", kind="stable").groupby("series"):
        windows = _windows(own["observed_at"], by_series[name]) if name in by_series else []
        counts = count_events(own["is_anomaly"].to_numpy(), windows)
        hits, misses, false_alerts = (a + b for a, b in zip((hits, misses, false_alerts), counts, strict=True))
    return EventScores(hits, misses, false_alerts)


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
        hits += bool(is_anomaly[first:last + 1 + LATE].any())
        outside[max(0, first - NEAR):last + NEAR + 1] = False
    at = np.flatnonzero(outside)
    alarms = np.split(at, np.flatnonzero(np.diff(at) > NEAR) + 1) if len(at) else []
    return hits, len(windows) - hits, sum(1 + int(alarm[-1] - alarm[0]) // LONG for alarm in alarms)


def baselines(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Flags of two simple methods on the same rows (series, value), each series by itself, with all rows to learn from:
    a global z-score above 2.5, and an isolation forest that flags 8 %. Their names are those that are printed."""
    from sklearn.ensemble import IsolationForest

    share: Any = 0.08  # scikit-learn's stubs want text here
    z_score, forest = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    values = rows["value"].to_numpy(dtype=float, na_value=np.nan)
    for at in rows.groupby("series").indices.values():
        known = at[np.isfinite(values[at])]
        if len(known) < 2:
            continue
        own = values[known]
        z_score[known] = np.abs(own - own.mean()) > 2.5 * own.std()
        forest[known] = IsolationForest(contamination=share, random_state=0).fit_predict(own[:, None]) < 0
    return {"z-score > 2.5": z_score, "isolation forest, 8 %": forest}


def _windows(times: pd.Series, labels: pd.DataFrame) -> list[tuple[int, int]]:
    """First and last row of each label, where it has rows."""
    at = pd.DatetimeIndex(times)
    first = at.searchsorted(pd.DatetimeIndex(labels["started_at"]).as_unit(at.unit), side="left")
    end = at.searchsorted(pd.DatetimeIndex(labels["ended_at"]).as_unit(at.unit), side="right")
    return [(int(a), int(b) - 1) for a, b in zip(first, end, strict=True) if b > a]
