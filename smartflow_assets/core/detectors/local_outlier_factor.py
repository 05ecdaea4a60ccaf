"""How much emptier it is around the row than around its neighbours among the features (Breunig et al., 2000)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.feature_detector import FeatureDetector
from smartflow_assets.core.model_parts import ModelParts

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_RAW = 2.0**-10
"""A raw score of exactly 0 would not count as a calm row, and the first strange one would have nothing to be compared with."""


class LocalOutlierFactor(FeatureDetector, frozen=True):
    """Density of the row's neighbours over its own among up to 3,000 training rows, one model for all series of a source.

    As scikit-learn's `LocalOutlierFactor(novelty=True)`. It finds a row between two heaps, where a forest sees nothing. The
    raw score is the factor less 1; the own flag is set by `contamination`. Rows with features are needed.

    >>> from smartflow_assets.core.detectors.base import History
    >>> grid = np.random.default_rng(0).normal(size=(400, 2))
    >>> detector = LocalOutlierFactor()
    >>> fitted = detector.fit(History({"load": grid[:, 0]}, {"load": grid}, ("a", "b")))
    >>> calm, strange = detector.measure(detector.prepare(fitted), np.array([[0.0, 0.1], [6.0, -5.0]]))
    >>> bool(calm < fitted.parameters["limit"] < strange)
    True
    """

    type: Literal["local_outlier_factor"] = "local_outlier_factor"
    training_rows: ClassVar[int] = 3000
    n_neighbors: int = Field(default=20, ge=2, le=500, description="neighbours that a row is compared with")
    contamination: float = Field(default=0.01, gt=0, le=0.5, description="share of training rows that its own flag and vote mark")

    def learn(self, rows: NDArray[np.float64]) -> ModelParts:
        from sklearn.neighbors import NearestNeighbors  # pyright: ignore[reportMissingTypeStubs]

        from smartflow_assets.core.kernels.local_outlier_factor import FINEST

        count = min(self.n_neighbors, len(rows) - 1)
        search: Any = NearestNeighbors(n_neighbors=count)
        distances, who = search.fit(rows).kneighbors()  # without rows: of each but itself
        distance = distances[:, -1]
        density = 1 / (np.maximum(distances, distance[who]).mean(axis=1) + FINEST)
        limit = float(np.quantile(_raw(density[who].mean(axis=1) / density), 1 - self.contamination))
        return ModelParts({"limit": limit, "neighbours": count}, {"rows": rows, "distance": distance, "density": density})

    def prepare(self, fitted: ModelParts) -> dict[str, Any]:
        return {**{name: fitted.arrays[name] for name in ("rows", "distance", "density")}, "neighbours": fitted.parameters["neighbours"]}

    def measure(self, model: dict[str, Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        from smartflow_assets.core.kernels import local_outlier_factor as kernel

        out = np.empty(len(rows))
        trained = np.ascontiguousarray(model["rows"])
        kernel.score(np.ascontiguousarray(rows), trained, model["distance"], model["density"], model["neighbours"], out)
        return _raw(out)


def _raw(factor: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(factor - 1, LEAST_RAW)
