"""The features that detectors ask for, beside the values: those given, or computed here, with the siblings of joint detectors."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from smartflow_assets.core.detection.settings import DetectionSettings
from smartflow_assets.core.preparation.features import with_siblings
from smartflow_assets.core.series.series_frame import FeatureTable

if TYPE_CHECKING:
    from smartflow_assets.core.temporal.calendar import Calendar


def needed_features(
    settings: DetectionSettings, rows: pd.DataFrame, features: pd.DataFrame | None, step: timedelta, names: tuple[str, ...] = ()
) -> FeatureTable | None:
    """The features that these settings need, computed where they were not passed; None when no detector needs any."""
    if not any(detector.needs_features for detector in settings.active()):
        return None
    found = computed_features(rows, step, None) if features is None else features
    if any(detector.is_joint for detector in settings.active()):
        found = with_siblings(found, step=step, names=names)
    return FeatureTable.of(found, names)


def computed_features(rows: pd.DataFrame, step: timedelta, calendar: Calendar | None) -> pd.DataFrame:
    """All features of these rows (series, observed_at, value); UTC and no holidays without a calendar."""
    from smartflow_assets.core.preparation import features
    from smartflow_assets.core.temporal.calendar import Calendar

    return features.compute(rows[["series", "observed_at", "value"]], step=step, calendar=calendar or Calendar())
