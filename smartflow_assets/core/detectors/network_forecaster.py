"""What forecasting networks share: what they see of a row, how their error is measured, and how little of that needs torch."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, Fitted, History, Result, Rows, SeriesFacts, State, band_result
from smartflow_assets.core.detectors.first_look import first_look
from smartflow_assets.core.detectors.network_training import sequences, train

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_ROWS = 288
FARTHEST = 20.0  # usual residuals: a correction beyond this is cut
FINEST = 1e-3  # of the usual spread of the series: without any noise in training, rounding would be strange
NORMAL_95 = 1.96  # standard deviations that 95 % of a normal noise stay within


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

    def minimum_rows(self, facts: SeriesFacts) -> int:
        return LEAST_ROWS

    def fit(self, history: History) -> Fitted:
        from smartflow_assets.core.kernels import network_inputs

        looks = {name: look for name in history.values if (look := first_look(history, name)) is not None}
        inputs, targets, units = {}, {}, []
        for name, look in looks.items():
            left = look.values - look.expected
            unit = max(float(np.quantile(np.abs(left), 0.75)), FINEST)
            inputs[name] = np.empty((len(left), network_inputs.INPUTS))
            network_inputs.walk(look.forecasts, look.expected, look.tamed, 0, len(left), unit, np.zeros(1), inputs[name])
            targets[name] = np.clip(left / unit, -FARTHEST, FARTHEST)
            units.append(unit)
        cut = [sequences(inputs[name], targets[name], ~look.is_missing) for name, look in looks.items()]
        weights = train(self.build, cut, detector=self.type, epochs=self.epochs, seed=self.seed)
        if not weights:
            return Fitted()
        noise = []
        for name, unit in zip(looks, units, strict=True):
            errors = unit * np.abs(targets[name] - self._say(self.begin(weights), weights, inputs[name], 0))
            noise.append(max(float(np.quantile(errors[~looks[name].is_missing], 0.95)) / NORMAL_95, FINEST))
        return Fitted({"series": list(looks)}, {"unit": np.array(units), "noise": np.array(noise), **weights})

    def start(self, fitted: Fitted, facts: SeriesFacts) -> State:
        if facts.name not in fitted.parameters.get("series", ()):
            return {}
        place = fitted.parameters["series"].index(facts.name)
        known = {"unit": float(fitted.arrays["unit"][place]), "noise": float(fitted.arrays["noise"][place])}
        return {**known, "last": np.zeros(1), "memory": self.begin(fitted.arrays)}

    def score(self, fitted: Fitted, state: State, rows: Rows) -> tuple[Result, State]:
        from smartflow_assets.core.kernels import network_inputs

        if not state:
            return Result(np.zeros(rows.count), np.zeros(rows.count, np.bool_)), state
        seen = np.empty((rows.count, network_inputs.INPUTS))
        network_inputs.walk(
            rows.forecasts, rows.expected, rows.tamed, rows.offset, rows.count, state["unit"], state["last"], seen
        )
        expected = rows.expected + state["unit"] * self._say(state["memory"], fitted.arrays, seen, rows.first)
        raw, band = np.abs(rows.values - expected) / state["noise"], self.sigmas * state["noise"]
        return band_result(raw, self.sigmas, expected, expected - band, expected + band), state

    def _say(self, memory: State, weights: dict[str, NDArray[Any]], inputs: NDArray[np.float64], first: int) -> NDArray[np.float64]:
        said = np.empty(len(inputs))
        self.walk(memory, weights, inputs, first, said)
        return np.clip(said, -FARTHEST, FARTHEST)

    def build(self, torch: Any, inputs: int) -> Any:
        """The network as a torch module: sequences x rows x inputs in, sequences x rows out; it says 0 before it has learnt."""
        raise NotImplementedError

    def begin(self, weights: dict[str, NDArray[Any]]) -> State:
        """What the network remembers before the first row."""
        raise NotImplementedError

    def walk(
        self, memory: State, weights: dict[str, NDArray[Any]], inputs: NDArray[np.float64], first: int, out: NDArray[np.float64]
    ) -> None:
        """Write what the trained network says of each row; the memory is changed in place. `first`: row number of the first."""
        raise NotImplementedError
