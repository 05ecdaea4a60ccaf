"""Series whose answer is known, and a scorer around one detector: what the checks of detectors work with, and tests of single ones."""

from datetime import timedelta

import numpy as np
import pandas as pd

from smartflow_assets.core.detection.ensemble import Ensemble
from smartflow_assets.core.detection.series_scorer import ScoredBlock, SeriesScorer
from smartflow_assets.core.detectors.base import BaseDetector, History
from smartflow_assets.core.series import facts

HOUR = timedelta(hours=1)
ROWS = 1100  # past the first regular fit of the window models at row 1,000
SPIKE = 900
TIMES = np.datetime64("2026-01-01", "us") + np.arange(2 * ROWS) * np.timedelta64(1, "h")


def daily(rows: int = ROWS, seed: int = 0) -> np.ndarray:
    """An hourly series with a daily season and noise; nothing in it is strange."""
    return 100 + 20 * np.sin(np.arange(rows) * 2 * np.pi / 24) + np.random.default_rng(seed).normal(size=rows)


def with_spike() -> np.ndarray:
    """The same with one value ten times the season above the others, in row `SPIKE`."""
    values = daily()
    values[SPIKE] += 200
    return values


def frame_of(values: np.ndarray, series: str = "load", freq: str = "1h") -> pd.DataFrame:
    """The frame that `detect` takes, with these values at `freq`."""
    times = pd.date_range("2026-01-01", periods=len(values), freq=freq, tz="UTC", unit="us")
    return pd.DataFrame({"series": series, "observed_at": times, "value": values})


def features_of(values: np.ndarray) -> np.ndarray:
    """Two features that a forest can work with: the value and its change, none of them looking ahead."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.column_stack([values, np.diff(values, prepend=values[0])])


def history_of(values: np.ndarray) -> tuple[facts.SeriesFacts, History]:
    """What a run learns of the series `load` before it fits, and what `fit` is given: the first 300 values."""
    known = facts.learn_facts("load", values[:300], HOUR, "robust")
    history = History(
        {"load": known.scaler.transform(values[:300])},
        {"load": features_of(values[:300])},
        ("value", "change"),
        {"load": TIMES[:300][: len(values)]},
    )
    return known, history


def scorer_of(detector: BaseDetector, values: np.ndarray, ensemble: Ensemble = Ensemble()) -> SeriesScorer:
    """The detector alone, fitted on the first 300 values, inside of all that a run puts around it."""
    known, history = history_of(values)
    return SeriesScorer((detector,), (detector.fit(history),), ensemble, 3.0, known)


def scored_in_chunks(scorer: SeriesScorer, values: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Every number of every row, the series handed over in chunks of `size` rows."""
    state, features = scorer.start(), features_of(values)
    parts = [
        scorer.score(state, values[a : a + size], features[a : a + size], TIMES[a : a + size][: len(values) - a])
        for a in range(0, len(values), size)
    ]
    return {name: np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in ScoredBlock.__dataclass_fields__}
