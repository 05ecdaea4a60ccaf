"""How far the row lies outside the smallest region that holds nearly all training rows (Schölkopf et al., 2001)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.feature_detector import FeatureDetector
from smartflow_assets.core.model_parts import ModelParts

if TYPE_CHECKING:
    from numpy.typing import NDArray

BORDER = float(np.log(2)) * (1 + 1e-6)
"""Raw score of a row on the border: where all training rows are the same they lie on it, and are not outside."""


class OneClassSvm(FeatureDetector, frozen=True):
    """scikit-learn's machine with a Gaussian kernel on the features of up to 5,000 training rows, for all series of a source.

    The raw score is log(1 + border / f) with f the kernel sum of the row: it ranks as the decision function does, and goes
    on rising where that one has ended. The own flag is a row outside the border. Rows with features are needed.

    >>> from smartflow_assets.core.detectors.base import History
    >>> grid = np.random.default_rng(0).normal(size=(400, 2))
    >>> detector = OneClassSvm()
    >>> fitted = detector.fit(History({"load": grid[:, 0]}, {"load": grid}, ("a", "b")))
    >>> calm, strange = detector.measure(detector.prepare(fitted), np.array([[0.0, 0.1], [6.0, -5.0]]))
    >>> bool(calm < fitted.parameters["limit"] < strange)
    True
    """

    type: Literal["one_class_svm"] = "one_class_svm"
    training_rows: ClassVar[int] = 5000
    nu: float = Field(default=0.01, gt=0, le=0.5, description="share of training rows that may lie outside, which its own flag marks")
    gamma: Literal["scale"] | Annotated[float, Field(gt=0)] = Field(
        default="scale", description="how tightly the region follows the rows; scale: 1 / (columns x variance)"
    )

    def learn(self, rows: NDArray[np.float64]) -> ModelParts:
        from sklearn.svm import OneClassSVM  # pyright: ignore[reportMissingTypeStubs]

        variance = float(rows.var())
        gamma = self.gamma if self.gamma != "scale" else 1 / (rows.shape[1] * variance) if variance else 1.0
        machine: Any = OneClassSVM(nu=self.nu, gamma=gamma)  # pyright: ignore[reportArgumentType]  # a number is allowed
        machine.fit(rows)
        model = {"vectors": machine.support_vectors_, "weights": machine.dual_coef_[0]}
        numbers = {"gamma": gamma, "offset": float(machine.offset_[0])}
        limit = float(np.quantile(self.measure(model | numbers, rows), 1 - self.nu))  # the solver leaves some on the wrong side
        return ModelParts({"limit": max(limit, BORDER), **numbers}, model)

    def prepare(self, fitted: ModelParts) -> dict[str, Any]:
        numbers = {name: fitted.parameters[name] for name in ("gamma", "offset")}
        return {name: fitted.arrays[name] for name in ("vectors", "weights")} | numbers

    def measure(self, model: dict[str, Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        from smartflow_assets.core.kernels import one_class_svm as kernel

        out = np.empty(len(rows))
        vectors = np.ascontiguousarray(model["vectors"])
        kernel.score(np.ascontiguousarray(rows), vectors, model["weights"], model["gamma"], model["offset"], out)
        return out
