"""From combined surprises to the answer that people read: flag, state, severity and one line of explanation a row.

`Verdicts` collects the columns of the answer series by series, block by block, so that ten million rows need no more than
the columns themselves. Direction and small changes act here, on the flag; scores stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.anomalies.headline import Usual, of_value
from smartflow_assets.core.detection.ensemble import CAP
from smartflow_assets.core.detection.series_scorer import ScoredBlock
from smartflow_assets.core.detection.settings import DetectionSettings
from smartflow_assets.core.series.score_state import SCORE_STATES
from smartflow_assets.core.series.surprise import to_anomaly_score, to_surprise
from smartflow_assets.core.severity import RANK, SEVERITIES, Severity
from smartflow_assets.core.text_format import contributor

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORED, WARMING_UP, MISSING = range(3)
WARNING_RATIO, CRITICAL_RATIO = 1.1, 2.0
COMPONENT_COLUMNS = ("series", "observed_at", "detector", "raw_score", "surprise", "share")


def severity_of(raw_score: float, score_threshold: float) -> Severity:
    """How bad an anomalous row is: by the ratio of its combined surprise to that of the threshold.

    critical from twice the threshold on, warning from 1.1 times, info below. `score_threshold` is an anomaly score, as in the
    column `threshold`.

    >>> threshold = to_anomaly_score(1.75)
    >>> severity_of(1.8, threshold), severity_of(2.5, threshold), severity_of(6.0, threshold)
    ('info', 'warning', 'critical')
    """
    ratio = raw_score / to_surprise(score_threshold)
    return "critical" if ratio >= CRITICAL_RATIO else "warning" if ratio >= WARNING_RATIO else "info"


def shares_of(surprise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each detector (first axis) in the surprise of a row; 0 where nobody is surprised.

    >>> shares_of(np.array([[3.0, 0.0], [1.0, 0.0]])).tolist()
    [[0.75, 0.0], [0.25, 0.0]]
    """
    capped = np.minimum(surprise, CAP)
    total = capped.sum(axis=0)
    return np.divide(capped, total, out=np.zeros_like(capped), where=total > 0)


@dataclass
class Verdicts:
    """Columns of the answer, one entry for each row of a frame; what is never filled in is `warming_up`."""

    settings: DetectionSettings
    surprise_threshold: NDArray[np.float64]
    usual_threshold: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    raw_score: NDArray[np.float64]
    is_anomaly: NDArray[np.bool_]
    state: NDArray[np.int8]
    note: NDArray[np.int32]
    notes: list[str] = field(default_factory=lambda: [""])
    components: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The columns that each detector's contributions speak of."""
    lock: Lock = field(default_factory=Lock)
    """Series are judged side by side, each in its own rows; the notes are of all."""

    @classmethod
    def empty(cls, settings: DetectionSettings, rows: int) -> Verdicts:
        """Nothing said yet of `rows` rows."""
        return cls(
            settings=settings,
            surprise_threshold=np.full(rows, settings.surprise_threshold),
            usual_threshold=np.full(rows, settings.surprise_threshold),
            expected=np.full(rows, np.nan),
            lower=np.full(rows, np.nan),
            upper=np.full(rows, np.nan),
            raw_score=np.zeros(rows),
            is_anomaly=np.zeros(rows, np.bool_),
            state=np.full(rows, WARMING_UP, np.int8),
            note=np.zeros(rows, np.int32),
        )

    def note_all(self, rows: NDArray[np.int64], text: str) -> None:
        """The same explanation for all these rows."""
        self.note[rows] = self._noted(text)

    def _noted(self, text: str) -> int:
        """The place of a text among the notes."""
        with self.lock:
            self.notes.append(text)
            return len(self.notes) - 1

    def put(
        self,
        rows: NDArray[np.int64],
        values: NDArray[np.float64],
        scored: ScoredBlock,
        is_warming: NDArray[np.bool_],
        surprise_threshold: float,
        raised_to: NDArray[np.float64] | None = None,
    ) -> None:
        """Decide on a block of rows of one series with its threshold, or what that is raised to at each row; `is_warming` rows keep their
        expectation but get no score."""
        cut = np.full(len(rows), surprise_threshold) if raised_to is None else raised_to
        self.surprise_threshold[rows], self.usual_threshold[rows] = cut, surprise_threshold
        self.expected[rows], self.lower[rows], self.upper[rows] = scored.expected, scored.lower, scored.upper
        self.state[rows] = np.where(scored.is_missing, MISSING, np.where(is_warming, WARMING_UP, SCORED))
        self.raw_score[rows] = np.where(is_warming, 0.0, scored.raw_score)
        is_wanted = ~self.settings.is_small(values - scored.expected, scored.expected)
        if self.settings.direction != "both":
            is_spike = values > scored.expected
            is_wanted &= is_spike if self.settings.direction == "spike" else ~is_spike
        is_raised_over = (cut > surprise_threshold) & (scored.raw_score < cut)
        flagged = ((scored.is_flagged & is_wanted & ~is_raised_over) | scored.is_guarded) & ~is_warming
        self.is_anomaly[rows] = flagged
        at = np.flatnonzero(flagged)
        if not len(at):
            return
        detectors, _, shares = self._contributors(scored, at)
        for i, k in enumerate(at):
            self.note[rows[k]] = self._noted(_explain(values[k], scored, int(k), detectors, shares[:, i]))

    def put_components(self, series: str, times: NDArray[np.datetime64], scored: ScoredBlock, is_wanted: NDArray[np.bool_]) -> None:
        """What every detector said of the wanted rows of a block."""
        at = np.flatnonzero(is_wanted)
        if not len(at):
            return
        detectors, place, shares = self._contributors(scored, at)
        self.components.setdefault(series, []).append(
            pd.DataFrame(
                {
                    "series": series,
                    "observed_at": pd.DatetimeIndex(np.repeat(times[at], len(detectors))).tz_localize("UTC"),
                    "detector": detectors * len(at),
                    "raw_score": scored.detector_raw[np.ix_(place, at)].T.ravel(),
                    "surprise": scored.surprise[np.ix_(place, at)].T.ravel(),
                    "share": shares.T.ravel(),
                }
            )
        )

    def _contributors(self, scored: ScoredBlock, at: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64]]:
        """Who contributed to these rows: names, the detector's place of each, and shares (names x rows). A detector that has
        columns stands with a name for each, as `mahalanobis:cpu`, and with its own for what they do not explain."""
        shares = shares_of(scored.surprise[:, at])
        names, places, column = list[str](), list[int](), 0
        parts: list[NDArray[np.float64]] = []
        for j, detector in enumerate(self.settings.active()):
            columns = self.columns.get(detector.type, ())
            of_columns = scored.column_shares[column : column + len(columns)][:, at]
            names += [f"{detector.type}:{name}" for name in columns]
            parts.append(shares[[j]] * of_columns)
            if not detector.is_joint:
                names.append(detector.type)
                parts.append(shares[[j]] * (1 - of_columns.sum(axis=0, keepdims=True)))
            places += [j] * (len(names) - len(places))
            column += len(columns)
        return names, np.array(places), np.concatenate(parts)

    def frame(self, series: pd.Series, observed_at: pd.Series, value: pd.Series) -> pd.DataFrame:
        """The answer; severity and explanation are categorical, empty where nothing is to be said."""
        flagged = np.flatnonzero(self.is_anomaly)
        severity = np.full(len(self.state), -1, np.int8)
        score_threshold = to_anomaly_score(self.surprise_threshold)
        usual = to_anomaly_score(self.usual_threshold)  # what is strange enough for a raised threshold is no less bad for it
        severity[flagged] = [RANK[severity_of(self.raw_score[row], usual[row])] for row in flagged]
        return pd.DataFrame(
            {
                "series": series,
                "observed_at": observed_at,
                "value": value,
                "expected": self.expected,
                "lower": self.lower,
                "upper": self.upper,
                "raw_score": self.raw_score,
                "anomaly_score": to_anomaly_score(self.raw_score),
                "threshold": score_threshold,
                "is_anomaly": self.is_anomaly,
                "state": pd.Categorical.from_codes(self.state, categories=pd.Index(SCORE_STATES)),
                "severity": pd.Categorical.from_codes(severity, categories=pd.Index(SEVERITIES), ordered=True),
                "explanation": self._explanations(),
            },
            copy=False,
        )

    def component_frame(self) -> pd.DataFrame:
        """All that `put_components` collected."""
        if self.components:
            return pd.concat([part for series in sorted(self.components) for part in self.components[series]], ignore_index=True)
        return no_components()

    def _explanations(self) -> pd.Categorical:
        codes, texts = pd.factorize(np.array(self.notes, dtype=object), sort=True)
        return pd.Categorical.from_codes(codes[self.note], categories=pd.Index(texts, dtype=object))


def no_components() -> pd.DataFrame:
    """The empty frame of components, typed."""
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in COMPONENT_COLUMNS})
    return empty.astype({"series": object, "detector": object, "observed_at": "datetime64[us, UTC]"})


def _explain(value: float, scored: ScoredBlock, k: int, detectors: list[str], shares: NDArray[np.float64]) -> str:
    """`1,600, usually 430 to 560 (1,040 above); found by seasonal 48 %, range excess 31 %, autoregressive 21 %`."""
    if scored.is_missing[k]:
        return "no value for longer than the series may be silent"
    text = of_value(float(value), Usual(float(scored.expected[k]), float(scored.lower[k]), float(scored.upper[k])))
    strongest = np.argsort(-shares, kind="stable")[:3]
    said = ", ".join(f"{contributor(detectors[int(j)])} {100 * shares[j]:.0f} %" for j in strongest if shares[j] > 0)
    return f"{text}; found by {said}" if said else text
