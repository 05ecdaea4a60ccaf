"""`do: fill`: gaps get values between those beside them."""

from typing import Literal

from smartflow_assets.core.remediation.base import BaseAction, Done, Hands
from smartflow_assets.core.remediation.matter import Matter


class Fill(BaseAction, frozen=True):
    """Lets a line between the neighbours stand in buckets without a value, however long the gap; `repair` says `interpolated`.

    Nothing learns from such values, and none is judged. It can be undone.
    """

    type: Literal["fill"] = "fill"

    def describe(self) -> str:
        return "fill gaps with a line between their neighbours"

    def carry_out(self, matter: Matter, hands: Hands) -> Done:
        return hands.repair("interpolated", matter)
