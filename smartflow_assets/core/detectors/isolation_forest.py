"""How few random splits isolate the row among the features of its series (Liu et al., 2008)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.feature_detector import FeatureDetector
from smartflow_assets.core.model_parts import ModelParts

if TYPE_CHECKING:
    from numpy.typing import NDArray

OCTAVES = 16
"""The score of a forest lies within .35 and .8; it is spread over so many octaves, as calibration counts in octaves."""


class IsolationForest(FeatureDetector, frozen=True):
    """scikit-learn's forest on the features of each row, one forest for all series of a source.

    Features are centred and scaled robustly per series, so that series of different units share the trees. The raw score
    is 2^(16 (s - .5)) with s the score of the paper; the own flag is set by `contamination`. Rows with features are needed;
    without enough of them it says nothing.

    >>> from smartflow_assets.core.detectors.base import History
    >>> grid = np.random.default_rng(0).normal(size=(400, 2))
    >>> forest = IsolationForest()
    >>> fitted = forest.fit(History({"load": grid[:, 0]}, {"load": grid}, ("a", "b")))
    >>> calm, strange = forest.measure(forest.prepare(fitted), np.array([[0.0, 0.1], [6.0, -5.0]]))
    >>> bool(calm < fitted.parameters["limit"] < strange)
    True
    """

    type: Literal["isolation_forest"] = "isolation_forest"
    contamination: float = Field(default=0.01, gt=0, le=0.5, description="share of training rows that its own flag and vote mark")
    n_estimators: int = Field(default=100, ge=10, le=1000, description="trees")
    max_samples: int = Field(default=256, ge=16, le=65536, description="training rows a tree is grown on")
    seed: int = Field(default=0, ge=0, description="seed of the trees")

    def learn(self, rows: NDArray[np.float64]) -> ModelParts:
        from sklearn.ensemble import IsolationForest as Forest  # pyright: ignore[reportMissingTypeStubs]

        samples: Any = min(self.max_samples, len(rows))
        forest: Any = Forest(n_estimators=self.n_estimators, max_samples=samples, random_state=self.seed)
        forest.fit(rows)
        limit = float(np.quantile(self.measure(_flatten(forest), rows), 1 - self.contamination))
        return ModelParts({"limit": limit}, estimators={"forest": forest})

    def prepare(self, fitted: ModelParts) -> dict[str, Any]:
        return _flatten(fitted.estimators["forest"])

    def measure(self, model: dict[str, Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        from smartflow_assets.core.kernels import forest as kernel

        out = np.empty(len(rows))
        single = np.ascontiguousarray(rows, dtype=np.float32)  # as scikit-learn compares, so that both see the same splits
        kernel.score(single, model["feature"], model["threshold"], model["left"], model["right"], model["path"], model["usual_path"], out)
        return np.exp2(OCTAVES * (out - 0.5))


def _flatten(forest: Any) -> dict[str, Any]:
    """The trees of a fitted forest, side by side."""
    from smartflow_assets.core.kernels import forest as kernel

    trees = [estimator.tree_ for estimator in forest.estimators_]
    shape = (len(trees), max(tree.node_count for tree in trees))
    flat: dict[str, Any] = {
        "feature": np.full(shape, -1, np.int32),
        "threshold": np.zeros(shape),
        "left": np.zeros(shape, np.int32),
        "right": np.zeros(shape, np.int32),
        "path": np.zeros(shape),
    }
    for i, tree in enumerate(trees):
        n = tree.node_count
        is_leaf = tree.children_left < 0
        depth = np.zeros(n)
        for node in range(n):  # parents come before their children
            if not is_leaf[node]:
                depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
        flat["feature"][i, :n] = np.where(is_leaf, -1, tree.feature)
        flat["threshold"][i, :n] = tree.threshold
        flat["left"][i, :n], flat["right"][i, :n] = tree.children_left, tree.children_right
        flat["path"][i, :n] = depth + kernel.usual_path_length(tree.n_node_samples)
    flat["usual_path"] = float(kernel.usual_path_length(forest.max_samples_))
    return flat
