"""The registry of detectors: the discriminated union `Detector` over every model of this package.

Being listed here registers a detector: YAML may name it, the JSON schema documents it, the conformance tests run it. A
user's own detector is a subclass of `BaseDetector` that an entry point of the group `smartflow.detectors` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smartflow_assets.core.detectors.attention import Attention
from smartflow_assets.core.detectors.autoencoder import Autoencoder
from smartflow_assets.core.detectors.autoregressive import Autoregressive
from smartflow_assets.core.detectors.base import BaseDetector
from smartflow_assets.core.detectors.difference import Difference
from smartflow_assets.core.detectors.flatline import Flatline
from smartflow_assets.core.detectors.forecast import Forecast
from smartflow_assets.core.detectors.iqr import Iqr
from smartflow_assets.core.detectors.isolation_forest import IsolationForest
from smartflow_assets.core.detectors.level_shift import LevelShift
from smartflow_assets.core.detectors.local_outlier_factor import LocalOutlierFactor
from smartflow_assets.core.detectors.lstm import Lstm
from smartflow_assets.core.detectors.mad import Mad
from smartflow_assets.core.detectors.mahalanobis import Mahalanobis
from smartflow_assets.core.detectors.missing import Missing
from smartflow_assets.core.detectors.moving_average import MovingAverage
from smartflow_assets.core.detectors.one_class_svm import OneClassSvm
from smartflow_assets.core.detectors.percentile import Percentile
from smartflow_assets.core.detectors.prophet import Prophet
from smartflow_assets.core.detectors.range_excess import RangeExcess
from smartflow_assets.core.detectors.sarima import Sarima
from smartflow_assets.core.detectors.seasonal import Seasonal
from smartflow_assets.core.detectors.seasonal_neighbours import SeasonalNeighbours, SeasonalShape
from smartflow_assets.core.detectors.spectral_residual import SpectralResidual
from smartflow_assets.core.detectors.subsequence_neighbours import SubsequenceNeighbours
from smartflow_assets.core.detectors.subsequence_pca import SubsequencePca
from smartflow_assets.core.detectors.variability import Variability
from smartflow_assets.core.detectors.zero_run import ZeroRun
from smartflow_assets.core.detectors.zscore import ZScore
from smartflow_assets.core.extensions import registry_on_demand

BUILT_IN: tuple[type[BaseDetector], ...] = (
    ZScore,
    Iqr,
    MovingAverage,
    Mad,
    Percentile,
    Seasonal,
    IsolationForest,
    LocalOutlierFactor,
    OneClassSvm,
    Mahalanobis,
    Prophet,
    Sarima,
    Autoencoder,
    Lstm,
    Attention,
    Forecast,
    Difference,
    SeasonalNeighbours,
    SeasonalShape,
    Autoregressive,
    LevelShift,
    RangeExcess,
    SpectralResidual,
    SubsequencePca,
    SubsequenceNeighbours,
    Variability,
    Flatline,
    Missing,
    ZeroRun,
)

if TYPE_CHECKING:
    DETECTORS: dict[str, type[BaseDetector]]
    """Every detector by its type; a built-in one cannot be replaced by a plug-in."""
    Detector = BaseDetector
else:
    __getattr__ = registry_on_demand(__name__, ("DETECTORS", "Detector"), "smartflow.detectors", BaseDetector, BUILT_IN)

AUTO: tuple[BaseDetector, ...] = (
    Forecast(),
    Difference(),
    Seasonal(),
    SeasonalNeighbours(),
    SeasonalShape(),
    SubsequenceNeighbours(),
    Autoregressive(),
    RangeExcess(),
)
"""What `detectors: auto` means: eight diverse components with equal weight, of which those that do not suit a series sit out."""

GUARDS: tuple[BaseDetector, ...] = (Flatline(), Missing(), ZeroRun())
"""Always on, beside whatever detectors are listed; listing one of them sets its parameters."""
