"""From features to a verdict for each row: settings, training, scoring, calibration, ensemble, budget of false alarms.

Those outside of this folder import from here; the files in it import from each other.
"""

from smartflow_assets.core.detection.false_alarm_budget import with_budget
from smartflow_assets.core.detection.fitted_models import FittedModels
from smartflow_assets.core.detection.interval_peaks import interval_peaks
from smartflow_assets.core.detection.metric_group import MetricGroup, group_metrics
from smartflow_assets.core.detection.pipeline import detect
from smartflow_assets.core.detection.scoring import ScoredRows, Scoring
from smartflow_assets.core.detection.settings import DetectionSettings, ThresholdSettings
from smartflow_assets.core.detection.training import CONTEXT_ROWS, fit_models, minimum_rows
from smartflow_assets.core.detection.verdicts import severity_of

__all__ = [
    "CONTEXT_ROWS",
    "DetectionSettings",
    "FittedModels",
    "MetricGroup",
    "ScoredRows",
    "Scoring",
    "ThresholdSettings",
    "detect",
    "fit_models",
    "group_metrics",
    "interval_peaks",
    "minimum_rows",
    "severity_of",
    "with_budget",
]
