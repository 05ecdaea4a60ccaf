"""What forecasting networks share: what they see of a row, how their error is measured, and how little of that needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, History, Result, band_result
from smartflow_assets.core.detectors.baseline_history import baseline_history
from smartflow_assets.core.detectors.network_training import LEAST_SEQUENCES, LENGTH, sequences, train
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SERIES, MOST_SEQUENCES = 50, 400
"""Series that the network learns from, the longest ones, and sequences of 32 rows that are taken from them in all."""
FARTHEST = 20.0  # usual residuals: a correction beyond this is clipped
FINEST = 1e-3  # of the usual spread of the series: without any noise in training, rounding would be strange
NORMAL_95 = 1.96  # standard deviations that 95 % of a normal noise stay within


@dataclass(frozen=True)
class _Seen:
    """A history as the network sees it: inputs (rows x k) and, in `unit`, what the baseline left of each row."""

    inputs: NDArray[np.float64]
    targets: NDArray[np.float64]
    unit: float
    is_known: NDArray[np.bool_]


class NetworkForecaster(BaseDetector, frozen=True):
    """Parent of the detectors that learn to correct the baseline's forecast, one network for all series of a source.

    The network sees what the baseline left of the row before and where its six forecasts lie, and says what will be left of this
    row; the sum is the expected value. So it need not learn seasons. A subclass says what the network is, for torch (`build`) and
    in a kernel (`walk`). The raw score is the error over what 95 % of the training's errors stayed below, as standard deviations.
    """

    anomalies: ClassVar[tuple[str, ...]] = ("contextual", "point")
    epochs: int = Field(default=100, ge=1, le=2000, description="most passes over the training rows; it ends once it gets no better")
    sigmas: float = Field(default=4.0, gt=0, description="own band and flag: so many times the usual error in training")
    seed: int = Field(default=0, ge=0, description="seed of the first weights")

    @property
    def lead(self) -> int:
        """Rows before those that are learnt from: as many as it takes until the network knows what it will know."""
        return 32

    def minimum_rows(self, facts: SeriesFacts) -> int:
        return (self.lead + LEAST_SEQUENCES * LENGTH) * 3 // 2  # a third is left to the baseline

    def fit(self, history: History) -> ModelParts:
        longest = sorted(history.values, key=lambda name: -int(np.isfinite(history.values[name]).sum()))[:MOST_SERIES]
        most = MOST_SEQUENCES // max(len(longest), 1)
        learnt = [
            sequences(seen.inputs, seen.targets, seen.is_known, self.lead, most) for name in longest if (seen := _seen(history, name))
        ]
        weights = train(self.build, learnt, detector=self.type, lead=self.lead, epochs=self.epochs, seed=self.seed)
        names, units, noises = list[str](), list[float](), list[float]()
        for name in history.values if weights else ():
            seen = _seen(history, name)
            if seen is None or not seen.is_known.any():
                continue
            errors = seen.unit * np.abs(seen.targets - self._say(self.begin(weights), weights, seen.inputs, 0))
            names.append(name)
            units.append(seen.unit)
            noises.append(max(float(np.quantile(errors[seen.is_known], 0.95)) / NORMAL_95, FINEST))
        return ModelParts({"series": names}, {"unit": np.array(units), "noise": np.array(noises), **weights}) if names else ModelParts()

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        if facts.name not in fitted.parameters.get("series", ()):
            return {}
        place = fitted.parameters["series"].index(facts.name)
        known = {"unit": float(fitted.arrays["unit"][place]), "noise": float(fitted.arrays["noise"][place])}
        return {**known, "last": np.zeros(1), "memory": self.begin(fitted.arrays)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import network_inputs

        if not state:
            return Result(np.zeros(rows.count), np.zeros(rows.count, np.bool_))
        seen = np.empty((rows.count, network_inputs.INPUTS))
        network_inputs.walk(rows.forecasts, rows.expected, rows.tamed, rows.offset, rows.count, state["unit"], state["last"], seen)
        expected = rows.expected + state["unit"] * self._say(state["memory"], fitted.arrays, seen, rows.first)
        raw, band = np.abs(rows.values - expected) / state["noise"], self.sigmas * state["noise"]
        return band_result(raw, self.sigmas, expected, expected - band, expected + band)

    def _say(self, memory: State, weights: Mapping[str, NDArray[Any]], inputs: NDArray[np.float64], first: int) -> NDArray[np.float64]:
        said = np.empty(len(inputs))
        self.walk(memory, weights, inputs, first, said)
        return np.clip(said, -FARTHEST, FARTHEST)

    def build(self, torch: Any, inputs: int) -> Any:
        """The network as a torch module: sequences x rows x inputs in, sequences x rows out; it says 0 before it has learnt."""
        raise NotImplementedError

    def begin(self, weights: Mapping[str, NDArray[Any]]) -> State:
        """What the network remembers before the first row."""
        raise NotImplementedError

    def walk(
        self, memory: State, weights: Mapping[str, NDArray[Any]], inputs: NDArray[np.float64], first: int, out: NDArray[np.float64]
    ) -> None:
        """Write what the trained network says of each row; the memory is changed in place. `first`: row number of the first."""
        raise NotImplementedError


def _seen(history: History, name: str) -> _Seen | None:
    from smartflow_assets.core.kernels import network_inputs

    look = baseline_history(history, name)
    if look is None:
        return None
    left = look.values - look.expected
    unit, inputs = max(float(np.quantile(np.abs(left), 0.75)), FINEST), np.empty((len(left), network_inputs.INPUTS))
    network_inputs.walk(look.forecasts, look.expected, look.tamed, 0, len(left), unit, np.zeros(1), inputs)
    return _Seen(inputs, np.clip(left / unit, -FARTHEST, FARTHEST), unit, ~look.is_missing)
