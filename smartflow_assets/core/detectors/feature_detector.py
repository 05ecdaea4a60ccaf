"""What detectors on the features of a row share: which columns they see, and each series' own centre and unit of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, History, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_ROWS = 50


class FeatureDetector(BaseDetector, frozen=True):
    """Parent of the detectors that learn one model of the features of all series of a source.

    A subclass says how it learns from scaled rows (`learn`), what scoring needs of that (`prepare`) and how strange scaled
    rows are (`measure`). What `learn` returns has the parameter `limit`: its own flag is a raw score above it.
    """

    anomalies: ClassVar[tuple[str, ...]] = ("point", "multivariate")
    needs_features: ClassVar[bool] = True
    training_rows: ClassVar[int] = 20_000
    """Most rows that it learns from: every n-th is taken where there are more."""
    features: tuple[str, ...] = Field(
        default=("seasonal_residual", "difference", "difference_short", "rolling_std_short", "ratio_to_median"),
        description="columns of series_features that it sees; where none of them is there it sees all",
    )

    def fit(self, history: History) -> ModelParts:
        chosen = [i for i, name in enumerate(history.feature_names) if name in self.features]
        columns = chosen or list(range(len(history.feature_names)))
        parameters: dict[str, Any] = {"series": list(history.features), "columns": columns, "limit": None}
        known = {name: matrix[np.isfinite(history.values[name])][:, columns] for name, matrix in history.features.items()}
        if not known or sum(map(len, known.values())) < LEAST_ROWS:
            return ModelParts(parameters)
        scales = [robust_center(matrix) for matrix in known.values()]
        center, unit = np.array([c for c, _ in scales]), np.array([u for _, u in scales])
        rows = np.concatenate([scaled(m, c, u) for m, c, u in zip(known.values(), center, unit, strict=True)])
        learnt = self.learn(rows[:: -(-len(rows) // self.training_rows)])
        return ModelParts({**parameters, **learnt.parameters}, {"center": center, "unit": unit, **learnt.arrays}, learnt.estimators)

    def columns(self, fitted: ModelParts, feature_names: tuple[str, ...]) -> tuple[str, ...]:
        places: list[int] = fitted.parameters["columns"]
        return tuple(feature_names[place] for place in places)

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        if fitted.parameters.get("limit") is None or facts.name not in fitted.parameters["series"]:
            return {}
        place = fitted.parameters["series"].index(facts.name)
        return {"center": fitted.arrays["center"][place], "unit": fitted.arrays["unit"][place], "model": self.prepare(fitted)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        if not state or rows.features is None:
            nothing = np.zeros((rows.count, len(fitted.parameters["columns"])))
            return Result(np.zeros(rows.count), np.zeros(rows.count, np.bool_), contributions=nothing)
        seen = scaled(rows.features[:, fitted.parameters["columns"]], state["center"], state["unit"])
        raw = self.measure(state["model"], seen)
        is_strange = raw > fitted.parameters["limit"]
        return Result(raw, is_strange, contributions=self._contributions(state["model"], seen, raw, is_strange))

    def _contributions(
        self, model: dict[str, Any], seen: NDArray[np.float64], raw: NDArray[np.float64], is_strange: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """How much of the score of a strange row goes when a column is what it usually is, as shares; 0 for all other rows."""
        shares = np.zeros_like(seen)
        rows = seen[is_strange]
        for column in range(seen.shape[1] if len(rows) else 0):
            usual = rows.copy()
            usual[:, column] = 0.0
            shares[is_strange, column] = np.maximum(raw[is_strange] - self.measure(model, usual), 0.0)
        total = shares.sum(axis=1, keepdims=True)
        return np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)

    def learn(self, rows: NDArray[np.float64]) -> ModelParts:
        """What is stored of scaled training rows; nothing in them is NaN."""
        raise NotImplementedError

    def prepare(self, fitted: ModelParts) -> dict[str, Any]:
        """What `measure` needs, made once for a series; arrays and numbers."""
        raise NotImplementedError

    def measure(self, model: dict[str, Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw score of each scaled row, the same to the bit however the rows are split."""
        raise NotImplementedError


def robust_center(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and interquartile range of each column; 0 and 1 for a column that is empty or does not move."""
    filled = np.ma.masked_invalid(matrix)
    center = np.array([np.median(column.compressed()) if column.count() else 0.0 for column in filled.T])
    spread = [np.subtract(*np.quantile(column.compressed(), [0.75, 0.25])) if column.count() else 0.0 for column in filled.T]
    return center, np.where(np.array(spread) > 1e-12, spread, 1.0)


def scaled(matrix: NDArray[np.float64], center: NDArray[np.float64], unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scaled features; what is unknown is taken as the median."""
    return np.nan_to_num(np.clip((matrix - center) / unit, -1e6, 1e6), nan=0.0)
