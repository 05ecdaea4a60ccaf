"""How strange the numbers of a record are: the two detectors that single records are judged by.

Each learns from the records that `columns` made numbers of, and gives each record a raw score, the same to the bit however
records are split into batches. What a score means is the business of `tail`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

import numpy as np
from pydantic import Field

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.detectors.isolation_forest import IsolationForest
from smartflow_assets.core.model_parts import ModelParts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.records.columns import RecordNumbers

TRIMMED = 0.97
"""Share of the training records that lie closest together and say what is usual; frauds among the others do not."""
FINEST = 1e-6  # of the mean variance, added to each: columns that are copies of each other would else find every rounding strange


class RecordMahalanobis(Declared):
    """Distance of the numeric columns from what is usual for the record's categories, beside each other, plus how rare those are.

    The raw score is the squared Mahalanobis distance of the residuals plus -2 ln(share) of each category, as a likelihood has
    it. Learns in milliseconds from the 97 % of the records that lie closest together.

    >>> from smartflow_assets.core.records.columns import RecordNumbers
    >>> amount = np.random.default_rng(0).normal(size=(2000, 1))
    >>> usual = RecordNumbers(amount, amount, np.zeros((2000, 1)))
    >>> detector = RecordMahalanobis()
    >>> model = detector.prepare(detector.learn(usual))
    >>> calm, strange = detector.measure(model, RecordNumbers(*[np.array([[0.5], [6.0]])] * 2, np.zeros((2, 1))))
    >>> bool(calm < 2 < 30 < strange)
    True
    """

    type: Literal["mahalanobis"] = "mahalanobis"

    def learn(self, numbers: RecordNumbers) -> ModelParts:
        rows, width = numbers.residual, numbers.residual.shape[1]
        if not width:
            return ModelParts(arrays={"precision": np.zeros((0, 0))})
        precision: NDArray[np.float64] = np.eye(width)
        kept = np.ones(len(rows), np.bool_)
        for _ in range(3):
            near = rows[kept]
            covariance = np.atleast_2d(near.T @ near / len(near))
            ridge = FINEST * max(float(np.trace(covariance)) / width, 1e-12)
            precision = np.asarray(np.linalg.inv(covariance + ridge * np.eye(width)), np.float64)
            square = self._squares(precision, rows)
            kept = square <= np.quantile(square, TRIMMED)
        return ModelParts(arrays={"precision": precision})

    def prepare(self, fitted: ModelParts) -> dict[str, Any]:
        return {"precision": np.ascontiguousarray(fitted.arrays["precision"])}

    def measure(self, model: dict[str, Any], numbers: RecordNumbers) -> NDArray[np.float64]:
        square = self._squares(model["precision"], numbers.residual)
        for column in numbers.rarity.T:
            square = square + column
        return square

    def _squares(self, precision: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        from smartflow_assets.core.kernels import mahalanobis as kernel

        distance, shares = np.zeros(len(rows)), np.zeros(rows.shape)
        if rows.shape[1]:
            kernel.score(np.ascontiguousarray(rows), precision, distance, shares)
        return distance**2


class RecordForest(Declared):
    """scikit-learn's forest on the numeric columns, on their residuals and on how rare the categories are.

    The raw score is that of the detector `isolation_forest`. It finds holes within the usual ranges that a distance does not
    see; what lies far outside it cannot tell from what lies just outside.
    """

    type: Literal["isolation_forest"] = "isolation_forest"
    n_estimators: int = Field(default=100, ge=10, le=1000, description="Trees.")
    max_samples: int = Field(default=256, ge=16, le=65536, description="Training records that a tree is grown on.")
    seed: int = Field(default=0, ge=0, description="Seed of the trees.")
    training_rows: ClassVar[int] = IsolationForest.training_rows

    def learn(self, numbers: RecordNumbers) -> ModelParts:
        rows = numbers.matrix
        return self._forest.learn(rows[:: -(-len(rows) // self.training_rows)])

    def prepare(self, fitted: ModelParts) -> dict[str, Any]:
        return self._forest.prepare(fitted)

    def measure(self, model: dict[str, Any], numbers: RecordNumbers) -> NDArray[np.float64]:
        return self._forest.measure(model, numbers.matrix)

    @property
    def _forest(self) -> IsolationForest:
        return IsolationForest(n_estimators=self.n_estimators, max_samples=self.max_samples, seed=self.seed)


BUILT_IN: tuple[type[RecordMahalanobis] | type[RecordForest], ...] = (RecordMahalanobis, RecordForest)
"""Every detector of records; a further one is a class here and a place in this list."""
RecordDetector = Annotated[Union[RecordMahalanobis, RecordForest], Field(discriminator="type")]  # noqa: UP007
