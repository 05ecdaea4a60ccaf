"""How few random cuts isolate the row among the features of its series (Liu et al., 2008)."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Fitted, History, Result, Rows, SeriesFacts, State

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAINING_ROWS = 20_000
LEAST_ROWS = 50
OCTAVES = 16
"""The score of a forest lies within .35 and .8; it is spread over so many octaves, as calibration counts in octaves."""


class IsolationForest(BaseDetector, frozen=True):
    """scikit-learn's forest on the features of each row, one forest for all series of a source.

    Features are centred and scaled robustly per series, so that series of different units share the trees. The raw score
    is 2^(16 (s - .5)) with s the score of the paper; the own flag is set by `contamination`. Rows with features are needed;
    without enough of them it says nothing.

    >>> grid = np.random.default_rng(0).normal(size=(400, 2))
    >>> forest = IsolationForest()
    >>> fitted = forest.fit(History({"load": grid[:, 0]}, {"load": grid}, ("a", "b")))
    >>> calm, strange = forest.raw_scores(fitted, np.array([[0.0, 0.1], [6.0, -5.0]]))
    >>> bool(calm < fitted.parameters["limit"] < strange)
    True
    """

    type: Literal["isolation_forest"] = "isolation_forest"
    anomalies: ClassVar[tuple[str, ...]] = ("point", "multivariate")
    needs_features: ClassVar[bool] = True
    contamination: float = Field(default=0.01, gt=0, le=0.5, description="share of training rows that its own flag and vote mark")
    n_estimators: int = Field(default=100, ge=10, le=1000, description="trees")
    features: tuple[str, ...] = Field(
        default=("seasonal_residual", "difference", "difference_short", "rolling_std_short", "ratio_to_median"),
        description="columns of series_features that it sees; where none of them is there it sees all",
    )
    max_samples: int = Field(default=256, ge=16, le=65536, description="training rows a tree is grown on")
    seed: int = Field(default=0, ge=0, description="seed of the trees")

    def fit(self, history: History) -> Fitted:
        from sklearn.ensemble import IsolationForest as Forest

        chosen = [i for i, name in enumerate(history.feature_names) if name in self.features]
        columns = chosen or list(range(len(history.feature_names)))
        parameters: dict[str, Any] = {"series": list(history.features), "columns": columns, "limit": None}
        known = {name: matrix[np.isfinite(history.values[name])][:, columns] for name, matrix in history.features.items()}
        if not known or sum(map(len, known.values())) < LEAST_ROWS:
            return Fitted(parameters)
        scales = [_robust(matrix) for matrix in known.values()]
        center, unit = np.array([c for c, _ in scales]), np.array([u for _, u in scales])
        rows = np.concatenate([_scaled(m, c, u) for m, c, u in zip(known.values(), center, unit, strict=True)])
        rows = rows[:: -(-len(rows) // TRAINING_ROWS)]
        samples: Any = min(self.max_samples, len(rows))
        forest = Forest(n_estimators=self.n_estimators, max_samples=samples, random_state=self.seed)
        forest.fit(rows)
        fitted = Fitted(parameters, {"center": center, "unit": unit}, {"forest": forest})
        limit = float(np.quantile(self.raw_scores(fitted, rows), 1 - self.contamination))
        return Fitted({**parameters, "limit": limit}, fitted.arrays, fitted.estimators)

    def start(self, fitted: Fitted, facts: SeriesFacts) -> State:
        if fitted.parameters.get("limit") is None or facts.name not in fitted.parameters["series"]:
            return {}
        place = fitted.parameters["series"].index(facts.name)
        return {"center": fitted.arrays["center"][place], "unit": fitted.arrays["unit"][place], "trees": _flatten(fitted)}

    def score(self, fitted: Fitted, state: State, rows: Rows) -> tuple[Result, State]:
        if not state or rows.features is None:
            return Result(np.zeros(rows.count), np.zeros(rows.count, np.bool_)), state
        seen = rows.features[:, fitted.parameters["columns"]]
        raw = _walk(state["trees"], _scaled(seen, state["center"], state["unit"]))
        return Result(raw, raw > fitted.parameters["limit"]), state

    def raw_scores(self, fitted: Fitted, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw scores of rows of scaled features."""
        return _walk(_flatten(fitted), rows)


def _robust(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and interquartile range of each column; 0 and 1 for a column that is empty or does not move."""
    filled = np.ma.masked_invalid(matrix)
    center = np.array([np.median(column.compressed()) if column.count() else 0.0 for column in filled.T])
    spread = [np.subtract(*np.quantile(column.compressed(), [0.75, 0.25])) if column.count() else 0.0 for column in filled.T]
    return center, np.where(np.array(spread) > 1e-12, spread, 1.0)


def _scaled(matrix: NDArray[np.float64], center: NDArray[np.float64], unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scaled features; what is unknown is taken as the median."""
    return np.nan_to_num(np.clip((matrix - center) / unit, -1e6, 1e6), nan=0.0)


def _flatten(fitted: Fitted) -> dict[str, Any]:
    """The trees of the fitted forest, side by side."""
    from smartflow_assets.core.kernels import forest as kernel

    forest = fitted.estimators["forest"]
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


def _walk(trees: dict[str, Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    from smartflow_assets.core.kernels import forest as kernel

    out = np.empty(len(rows))
    single = np.ascontiguousarray(rows, dtype=np.float32)  # as scikit-learn compares, so that both see the same cuts
    kernel.score(
        single, trees["feature"], trees["threshold"], trees["left"], trees["right"], trees["path"], trees["usual_path"], out
    )
    return np.exp2(OCTAVES * (out - 0.5))
