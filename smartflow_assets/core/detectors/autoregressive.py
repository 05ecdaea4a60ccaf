"""Residual of a recursive least squares AR model that forgets slowly."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts


class Autoregressive(BaseDetector, frozen=True):
    """Error of an AR(12) model that recursive least squares keeps up to date, over its usual size.

    Forgets with .9995 a row; errors are clipped before they are learnt from, so that a spike does not bend it.

    >>> from smartflow_assets.core.series import baseline
    >>> facts, detector = SeriesFacts(), Autoregressive()
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(np.sin(np.arange(300.0)), 9.0))
    >>> result = detector.score(ModelParts(), detector.start(ModelParts(), facts), rows)
    >>> result.raw_score[[250, 300]].round(1).tolist()
    [0.4, 248.4]
    """

    type: Literal["autoregressive"] = "autoregressive"
    anomalies: ClassVar[tuple[str, ...]] = ("point",)
    surprise: float = Field(default=3.0, gt=0, description="own flag above this surprise; 3 is one row in a thousand")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        from smartflow_assets.core.kernels import autoregressive as kernel
        from smartflow_assets.core.kernels import blocked_window

        level, level_heads = blocked_window.room(kernel.LEVEL_WINDOW)
        return {
            "counts": np.zeros(3, np.int64),
            "level": level,
            "level_heads": level_heads,
            "spread": np.zeros(1),
            "error_scale": np.array([1e-6]),
            "weights": np.zeros(kernel.LAGS + 1),
            "inverse": np.eye(kernel.LAGS + 1) * 10.0,
            "lags": np.zeros(kernel.LAGS),
            "errors": np.zeros(kernel.ERROR_WINDOW),
            "error_ring": np.zeros(kernel.ERROR_WINDOW),
        }

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import autoregressive as kernel

        raw = np.empty(rows.count)
        s = state
        kernel.walk(
            rows.padded, rows.offset, rows.count, rows.first, s["counts"], s["level"], s["level_heads"], s["spread"], s["error_scale"],
            s["weights"], s["inverse"], s["lags"], s["errors"], s["error_ring"], raw,
        )  # fmt: skip
        return Result(raw)
