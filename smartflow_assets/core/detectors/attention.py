"""Error of a small transformer that corrects the baseline's forecast. Trained by torch, scored without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from smartflow_assets.core.detectors.network_forecaster import NetworkForecaster
from smartflow_assets.core.series.blocks import State

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Attention(NetworkForecaster, frozen=True):
    """Error of one transformer block over the last `window` rows (Vaswani et al., 2017), one for all series of a source.

    What is learnt of the distance between rows is added to their likeness, so no place in time is coded. Training needs the extra
    `deep` (torch).

    >>> from smartflow_assets.core.series import baseline
    >>> from smartflow_assets.core.detectors.base import ModelParts, History, SeriesFacts
    >>> calm = np.sin(np.arange(600.0) / 5)
    >>> detector, facts = Attention(epochs=20), SeriesFacts("load")
    >>> fitted = detector.fit(History({"load": calm}))
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(calm, 2.0))
    >>> result = detector.score(fitted, detector.start(fitted, facts), rows)
    >>> bool(result.raw_score[599] < 4 < 8 < result.raw_score[600])
    True
    """

    type: Literal["attention"] = "attention"
    window: int = Field(default=32, ge=4, le=288, description="rows that it looks back on")
    size: int = Field(default=16, ge=2, le=256, description="numbers by which it describes a row; a multiple of heads")
    heads: int = Field(default=2, ge=1, le=16, description="how many kinds of likeness it compares rows by")

    @model_validator(mode="after")
    def _check_size(self) -> Attention:
        if self.size % self.heads:
            raise ValueError(f"size is {self.size}, which is no multiple of heads, {self.heads}")
        return self

    @property
    def lead(self) -> int:
        return max(super().lead, self.window)

    def build(self, torch: Any, inputs: int) -> Any:
        size, heads, window = self.size, self.heads, self.window

        class Network(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()  # pyright: ignore[reportUnknownMemberType]  # torch is not imported here, so its base is Any
                self.embed = torch.nn.Linear(inputs, size)
                self.project = torch.nn.Linear(size, 3 * size, bias=False)
                self.nearness = torch.nn.Parameter(torch.zeros(heads, window))
                self.mix = torch.nn.Linear(size, size)
                self.up = torch.nn.Linear(size, 2 * size)
                self.down = torch.nn.Linear(2 * size, size)
                self.head = torch.nn.Linear(size, 1)
                torch.nn.init.zeros_(self.head.weight)
                torch.nn.init.zeros_(self.head.bias)

            def forward(self, rows: Any) -> Any:
                row = self.embed(rows)
                count, length, _ = row.shape
                lag = torch.arange(length)[:, None] - torch.arange(length)[None]
                query, key, value = self.project(row).view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
                likeness = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + self.nearness[:, lag.clamp(0, window - 1)]
                shares = likeness.masked_fill((lag < 0) | (lag >= window), -torch.inf).softmax(-1)
                row = row + self.mix((shares @ value).transpose(1, 2).reshape(count, length, size))
                return self.head(row + self.down(torch.relu(self.up(row))))[..., 0]

        return Network()

    def begin(self, weights: Mapping[str, NDArray[Any]]) -> State:
        shape = weights["nearness"].shape[1], len(weights["mix.bias"])
        return {"keys": np.zeros(shape), "values": np.zeros(shape)}

    def walk(
        self, memory: State, weights: Mapping[str, NDArray[Any]], inputs: NDArray[np.float64], first: int, out: NDArray[np.float64]
    ) -> None:
        from smartflow_assets.core.kernels import attention_network as kernel

        w = weights
        kernel.walk(
            inputs, first, w["embed.weight"], w["embed.bias"], w["project.weight"], w["nearness"], w["mix.weight"], w["mix.bias"],
            w["up.weight"], w["up.bias"], w["down.weight"], w["down.bias"], w["head.weight"][0], w["head.bias"][0], memory["keys"],
            memory["values"], out,
        )  # fmt: skip
