"""Error of a recurrent network that corrects the baseline's forecast. Trained by torch, scored without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.network_forecaster import NetworkForecaster
from smartflow_assets.core.series.blocks import State

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Lstm(NetworkForecaster, frozen=True):
    """Error of a long short-term memory network (Hochreiter and Schmidhuber, 1997), one for all series of a source.

    Its memory goes on from row to row, so a row costs the same whatever came before. Training needs the extra `deep` (torch).

    >>> from smartflow_assets.core.series import baseline
    >>> from smartflow_assets.core.detectors.base import ModelParts, History, SeriesFacts
    >>> calm = np.sin(np.arange(600.0) / 5)
    >>> detector, facts = Lstm(epochs=20), SeriesFacts("load")
    >>> fitted = detector.fit(History({"load": calm}))
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(calm, 2.0))
    >>> result = detector.score(fitted, detector.start(fitted, facts), rows)
    >>> bool(result.raw_score[599] < 4 < 8 < result.raw_score[600])
    True
    """

    type: Literal["lstm"] = "lstm"
    hidden: int = Field(default=24, ge=2, le=256, description="size of its memory")

    def build(self, torch: Any, inputs: int) -> Any:
        size = self.hidden

        class Network(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()  # pyright: ignore[reportUnknownMemberType]  # torch is not imported here, so its base is Any
                self.memory = torch.nn.LSTM(inputs, size, batch_first=True)
                self.head = torch.nn.Linear(size, 1)
                torch.nn.init.zeros_(self.head.weight)
                torch.nn.init.zeros_(self.head.bias)

            def forward(self, rows: Any) -> Any:
                return self.head(self.memory(rows)[0])[..., 0]

        return Network()

    def begin(self, weights: Mapping[str, NDArray[Any]]) -> State:
        size = weights["head.weight"].shape[1]
        return {
            "hidden": np.zeros(size),
            "cell": np.zeros(size),
            "gates": np.zeros(4 * size),
            "bias": weights["memory.bias_ih_l0"] + weights["memory.bias_hh_l0"],
        }

    def walk(
        self, memory: State, weights: Mapping[str, NDArray[Any]], inputs: NDArray[np.float64], first: int, out: NDArray[np.float64]
    ) -> None:
        from smartflow_assets.core.kernels import recurrent_network as kernel

        kernel.walk(
            inputs, weights["memory.weight_ih_l0"], weights["memory.weight_hh_l0"], memory["bias"], weights["head.weight"][0],
            weights["head.bias"][0], memory["hidden"], memory["cell"], memory["gates"], out,
        )  # fmt: skip
