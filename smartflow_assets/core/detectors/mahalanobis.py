"""How far the metrics of a source, taken together, are from moving as they usually do."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, History, Result
from smartflow_assets.core.detectors.feature_detector import robust_center, scaled
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.preparation.features import SIBLING_PREFIX
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets.core.series.series_id import metric_and_dimensions

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAINING_ROWS = 5000
LEAST_ROWS = 50
FINEST = 1e-3
"""Share of the mean variance that is added to each: otherwise metrics that are copies of each other would find every rounding strange."""
LEAST_RAW = 2.0**-10  # never exactly 0: calm rows must count in the history


class Mahalanobis(BaseDetector, frozen=True):
    """Mahalanobis distance of the residuals of all metrics of a source at one time: of series with the same dimensions.

    It finds metrics that are fine each and wrong together, as memory that rises while requests do not. Not averaged with other
    detectors: it flags by its own surprise, and only in the series whose metric stands out most, so that one event is one
    anomaly. Each metric's share in the distance is in the contributions. A source of one metric has nothing to compare.

    >>> cpu, noise = np.random.default_rng(0).normal(size=(2, 400))
    >>> together = np.column_stack([cpu, cpu + 0.1 * noise])
    >>> history = History({"cpu": cpu, "memory": cpu}, {"cpu": together, "memory": together}, ("residual of cpu", "residual of memory"))
    >>> detector = Mahalanobis()
    >>> fitted = detector.fit(history)
    >>> distance, shares = detector.distances(fitted, 0, np.array([[2.0, 2.0], [1.0, -1.0]]))
    >>> bool(distance[0] < 4 < 10 < distance[1]), shares[1].round(1).tolist()
    (True, [0.5, 0.5])
    """

    type: Literal["mahalanobis"] = "mahalanobis"
    anomalies: ClassVar[tuple[str, ...]] = ("multivariate",)
    is_guard: ClassVar[bool] = True
    is_joint: ClassVar[bool] = True
    needs_features: ClassVar[bool] = True
    covariance: Literal["robust", "shrunk"] = Field(
        default="robust",
        description="robust: of the half of the training rows that lie closest together; shrunk: of all, for short histories",
    )
    surprise: float = Field(default=4.0, gt=0, description="flag above this surprise; 4 is one row in ten thousand")

    def fit(self, history: History) -> ModelParts:
        at = [i for i, name in enumerate(history.feature_names) if name.startswith(SIBLING_PREFIX)]
        names = [history.feature_names[i].removeprefix(SIBLING_PREFIX) for i in at]
        parameters: dict[str, Any] = {"columns": names, "at": at, "series": {}}
        arrays: dict[str, NDArray[Any]] = {}
        groups: dict[str, list[str]] = {}
        for name in history.features:
            groups.setdefault(metric_and_dimensions(name)[1], []).append(name)
        for number, members in enumerate(groups.values() if at else ()):
            longest = max(members, key=lambda name: len(history.values[name]))
            learnt = self._learn(history.features[longest][np.isfinite(history.values[longest])][:, at])
            if learnt is not None:
                arrays |= {f"{number}/{key}": value for key, value in learnt.items()}
                parameters["series"] |= dict.fromkeys(members, number)
        return ModelParts(parameters, arrays)

    def columns(self, fitted: ModelParts, feature_names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(fitted.parameters["columns"])

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        metric = metric_and_dimensions(facts.name)[0]
        if facts.name not in fitted.parameters["series"] or metric not in fitted.parameters["columns"]:
            return {}
        return {"group": fitted.parameters["series"][facts.name], "own": fitted.parameters["columns"].index(metric)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        width = len(fitted.parameters["columns"])
        if not state or rows.features is None:
            return Result(np.zeros(rows.count), np.zeros(rows.count, np.bool_), contributions=np.zeros((rows.count, width)))
        distance, shares = self.distances(fitted, state["group"], rows.features[:, fitted.parameters["at"]])
        stands_out = (shares.argmax(axis=1) == state["own"]) & (distance > LEAST_RAW)
        return Result(distance, stands_out, contributions=shares)

    def distances(self, fitted: ModelParts, group: int, residuals: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distance of each row (NaN = unknown metric, which takes no part), and the share of each metric in it (rows x metrics)."""
        from smartflow_assets.core.kernels import mahalanobis as kernel

        model = {key: fitted.arrays[f"{group}/{key}"] for key in ("center", "unit", "covariance")}
        is_known = np.isfinite(residuals) & (np.diag(model["covariance"]) > 0)
        rows = np.ascontiguousarray(np.where(is_known, scaled(residuals, model["center"], model["unit"]), 0.0))
        distance, shares = np.zeros(len(rows)), np.zeros(rows.shape)
        patterns, which = np.unique(is_known, axis=0, return_inverse=True)
        for number, known in enumerate(patterns):
            if known.sum() < 2:
                continue
            precision = np.zeros((len(known), len(known)))
            precision[np.ix_(known, known)] = np.linalg.inv(model["covariance"][np.ix_(known, known)])
            at = np.flatnonzero(which.ravel() == number)
            found, parts = np.empty(len(at)), np.empty((len(at), len(known)))
            kernel.score(rows[at], precision, found, parts)
            distance[at], shares[at] = found, parts
        return np.maximum(distance, LEAST_RAW), shares

    def _learn(self, residuals: NDArray[np.float64]) -> dict[str, NDArray[np.float64]] | None:
        """Centre, unit and covariance (0 for metrics that are mostly absent or do not move); None when there is too little."""
        center, unit = robust_center(residuals)
        is_used = (np.isfinite(residuals).mean(axis=0) > 0.5) if len(residuals) else np.zeros(residuals.shape[1], np.bool_)
        is_used[is_used] = np.nanmax(residuals[:, is_used], axis=0) > np.nanmin(residuals[:, is_used], axis=0)
        rows = scaled(residuals, center, unit)[np.isfinite(residuals[:, is_used]).all(axis=1)][:, is_used]
        if is_used.sum() < 2 or len(rows) < max(LEAST_ROWS, 5 * is_used.sum()):
            return None
        model = self._estimate(rows[:: -(-len(rows) // TRAINING_ROWS)])
        variance = max(float(np.trace(model.covariance_)) / len(model.covariance_), 1e-6)
        found = model.covariance_ + FINEST * variance * np.eye(len(model.covariance_))
        covariance = np.zeros((len(is_used), len(is_used)))
        covariance[np.ix_(is_used, is_used)] = found
        center = center.copy()
        center[is_used] += unit[is_used] * model.location_
        return {"center": center, "unit": unit, "covariance": covariance}

    def _estimate(self, rows: NDArray[np.float64]) -> Any:
        """A fitted covariance of scikit-learn's."""
        from sklearn.covariance import LedoitWolf, MinCovDet  # pyright: ignore[reportMissingTypeStubs]

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what has no full rank is mended afterwards
            if self.covariance == "robust":
                robust: Any = MinCovDet(random_state=0)
                try:
                    return robust.fit(rows)
                except ValueError:  # half of the rows are the same: the metrics mostly stand still
                    pass
            shrunk: Any = LedoitWolf()
            return shrunk.fit(rows)
