"""`do: hold_last`: gaps get the last value before them."""

from typing import Literal

from smartflow_assets.core.remediation.base import BaseAction, Done, Hands
from smartflow_assets.core.remediation.matter import Matter


class HoldLast(BaseAction, frozen=True):
    """Lets the last value stand in buckets without one until there is another; `repair` says `carried`.

    Nothing learns from such values, and none is judged. It can be undone.
    """

    type: Literal["hold_last"] = "hold_last"

    def describe(self) -> str:
        return "fill gaps with the last value before them"

    def carry_out(self, matter: Matter, hands: Hands) -> Done:
        return hands.repair("carried", matter)
