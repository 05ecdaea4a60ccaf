"""What a small neural network cannot give back of the last window, having learnt the windows of calm rows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, History, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAINING_WINDOWS, LEAST_WINDOWS = 10_000, 50
LARGEST = 10.0  # usual spreads: what lies farther from the level of its window is clipped


class Autoencoder(BaseDetector, frozen=True):
    """Reconstruction error of the last window by scikit-learn's MLPRegressor with a narrow middle, one for all series of a source.

    It learns from up to 10,000 windows without missing rows, each centred on its level. The raw score is the root mean square of
    what is lost, in usual spreads of the series; an anomaly stays in it for `window` rows.

    >>> from smartflow_assets.core.series import baseline
    >>> calm = np.sin(np.arange(400.0) * 2 * np.pi / 24)
    >>> detector, facts = Autoencoder(window=24), SeriesFacts("load")
    >>> fitted = detector.fit(History({"load": calm}))
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(calm, np.tile([1.0, -1.0], 12)))
    >>> result = detector.score(fitted, detector.start(fitted, facts), rows)
    >>> bool(result.raw_score[399] < 0.2 < 0.8 < result.raw_score[423])
    True
    """

    type: Literal["autoencoder"] = "autoencoder"
    anomalies: ClassVar[tuple[str, ...]] = ("collective",)
    window: int = Field(default=32, ge=8, le=288, description="rows whose shape is judged together")
    hidden: int = Field(default=16, ge=2, le=256, description="neurons of the layers before and after the middle")
    bottleneck: int = Field(default=4, ge=1, le=64, description="neurons of the middle; fewer know fewer shapes")
    epochs: int = Field(default=100, ge=5, le=2000, description="most passes over the training windows")
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")
    seed: int = Field(default=0, ge=0, description="seed of the first weights")

    def minimum_rows(self, facts: SeriesFacts) -> int:
        return LEAST_WINDOWS + 2 * self.window

    def fit(self, history: History) -> ModelParts:
        from sklearn.neural_network import MLPRegressor  # pyright: ignore[reportMissingTypeStubs]

        windows = np.concatenate([np.empty((0, self.window)), *(self._windows(values) for values in history.values.values())])
        if len(windows) < LEAST_WINDOWS:
            return ModelParts()
        windows = windows[:: -(-len(windows) // TRAINING_WINDOWS)]
        network: Any = MLPRegressor(
            hidden_layer_sizes=(self.hidden, self.bottleneck, self.hidden), activation="tanh", max_iter=self.epochs, random_state=self.seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it may end before it has converged: the epochs are the limit
            network.fit(windows, windows)
        arrays: dict[str, NDArray[np.float64]] = {
            "weights": np.concatenate([layer.ravel() for layer in network.coefs_]),
            "biases": np.concatenate(network.intercepts_),
        }
        return ModelParts({"sizes": [self.window, self.hidden, self.bottleneck, self.hidden, self.window]}, arrays)

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"sizes": np.array(fitted.parameters["sizes"]), **fitted.arrays} if fitted.arrays else {}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import autoencoder as kernel

        raw = np.zeros(rows.count)
        if state:
            kernel.walk(
                rows.padded, rows.tamed, rows.offset, rows.count, rows.first, state["sizes"], state["weights"], state["biases"],
                LARGEST, raw,
            )  # fmt: skip
        return Result(raw)

    def _windows(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """All windows of a series without missing rows, centred and clipped (windows x rows)."""
        if len(values) < self.window:
            return np.empty((0, self.window))
        windows = np.lib.stride_tricks.sliding_window_view(values, self.window)
        whole = np.flatnonzero(np.isfinite(windows).all(axis=1))
        windows = np.clip(windows[whole[:: max(1, len(whole) // TRAINING_WINDOWS)]], -1e6, 1e6)
        return np.clip(windows - windows.mean(axis=1, keepdims=True), -LARGEST, LARGEST)
