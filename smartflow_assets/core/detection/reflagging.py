"""Which stored scores would be flagged by another threshold, direction or tolerance: a comparison, without a model.

A score does not depend on where the flag lies, so what was stored says what a run under the other settings would have flagged. What
guards found (`guarded`: nothing lets it pass; `lifted`: it counts at least as the threshold) is read off the stored rows by `of_guards`.
Two things are not in them: a detector that stands alone may judge by a band that is not the one that is shown (`is_decided`), and on
special days the shown band is wider than the one that was compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.detection.settings import DetectionSettings
from smartflow_assets.core.detection.verdicts import CRITICAL_RATIO, WARNING_RATIO
from smartflow_assets.core.feedback.raised_thresholds import Raise, raised
from smartflow_assets.core.series.surprise import to_anomaly_score, to_surprise

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR = 1e-9
"""By this share a value must lie outside of its band, and thresholds apart: bands were scaled back, which rounds."""


def is_decided(settings: DetectionSettings, before: DetectionSettings) -> bool:
    """Whether stored scores that were made under `before` decide what is flagged under `settings`."""
    if not settings.learns_like(before):
        return False
    if settings == before:
        return True
    is_alone = sum(not detector.is_guard for detector in settings.active()) == 1
    return not (is_alone and settings.surprise_threshold < before.surprise_threshold)


def of_guards(rows: pd.DataFrame, components: pd.DataFrame, settings: DetectionSettings) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows (of anomaly_scores) a guard has flagged that nothing holds back, and which one that counts as the threshold; by what the
    guards said of anomalous rows (`components`: of detector_scores)."""
    at = pd.MultiIndex.from_frame(rows[["series", "observed_at"]])
    is_anomaly = rows["is_anomaly"].to_numpy(bool)
    guarded = is_anomaly & (rows["value"].isna().to_numpy() | (~_outside(rows, 0.0) & (not settings.ensemble.by_flags)))
    lifted = np.zeros(len(rows), np.bool_)
    raw = rows["raw_score"].to_numpy(float)
    kinds = components["detector"].str.partition(":")[0] if len(components) else None
    for guard in settings.active():
        if not guard.is_guard or kinds is None:
            continue
        said = components[kinds == guard.type].drop_duplicates(["series", "observed_at"])
        surprise = said.set_index(["series", "observed_at"])["surprise"].reindex(at).to_numpy(float)
        with np.errstate(invalid="ignore"):
            found = is_anomaly & (surprise > getattr(guard, "surprise", 3.0)) & (surprise <= raw * (1 + NEAR))
        if guard.has_direction:
            lifted |= found
        else:
            guarded |= found
    return guarded, lifted


def reflagged(
    rows: pd.DataFrame,
    settings: DetectionSettings,
    guarded: NDArray[np.bool_],
    lifted: NDArray[np.bool_],
    raises: Mapping[str, Sequence[Raise]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Rows of anomaly_scores of metrics that are judged by `settings`, which have no budget, as these flag them: is_anomaly, threshold and
    severity. `raises`: by series, as what people call false alarms raises thresholds."""
    raw: NDArray[np.float64] = rows["raw_score"].to_numpy(float)
    scored: NDArray[np.bool_] = (rows["state"] == "scored").to_numpy()
    value, expected = rows["value"].to_numpy(float), rows["expected"].to_numpy(float)
    threshold: float = settings.surprise_threshold
    cut = _raised(rows, threshold, value - expected, raises)
    with np.errstate(invalid="ignore"):
        if not settings.ensemble.by_flags and any(not detector.is_guard for detector in settings.active()):
            flagged = ((raw >= threshold) | lifted) & _outside(rows, NEAR)
        else:  # the detectors' own flags decide, and they are as before
            flagged = raw >= _surprise(rows["threshold"]) * (1 - NEAR)
        flagged &= ~settings.is_small(value - expected, expected)
        if settings.direction != "both":
            is_spike = value > expected
            flagged &= is_spike if settings.direction == "spike" else ~is_spike
        flagged &= ~((cut > threshold) & (raw < cut))
        found = (scored & (flagged | guarded)) | (guarded & np.isnan(value))
        surprise: NDArray[np.float64] = np.where(lifted | guarded, np.maximum(raw, threshold), raw)
    ratio = surprise / threshold
    severity = np.where(ratio >= CRITICAL_RATIO, "critical", np.where(ratio >= WARNING_RATIO, "warning", "info")).astype(object)
    severity[~found] = None
    return rows.assign(is_anomaly=found, threshold=to_anomaly_score(cut), severity=severity)


def _raised(
    rows: pd.DataFrame, threshold: float, deviations: NDArray[np.float64], raises: Mapping[str, Sequence[Raise]]
) -> NDArray[np.float64]:
    cut = np.full(len(rows), threshold)
    if raises:
        times = rows["observed_at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        for name, own in rows.groupby("series", observed=True).indices.items():
            if str(name) in raises:
                cut[own] = raised(raises[str(name)], threshold, deviations[own], times[own])
    return cut


def _outside(rows: pd.DataFrame, near: float) -> NDArray[np.bool_]:
    value, lower, upper = (rows[name].to_numpy(float) for name in ("value", "lower", "upper"))
    with np.errstate(invalid="ignore"):
        slack = near * np.fmax(np.abs(value), np.fmax(np.abs(lower), np.abs(upper)))
        return (value < lower - slack) | (value > upper + slack)


def _surprise(scores: pd.Series) -> NDArray[np.float64]:
    given: NDArray[np.float64] = scores.to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return to_surprise(given)
