"""`do: retrain`: models are to be learnt anew."""

from typing import Literal

from smartflow_assets.core.remediation.base import BaseAction, Done, Hands
from smartflow_assets.core.remediation.matter import Matter


class Retrain(BaseAction, frozen=True):
    """Asks for a training; the daemon starts it, as it does for `smartflow models train`."""

    type: Literal["retrain"] = "retrain"

    def describe(self) -> str:
        return "ask for a training"

    def carry_out(self, matter: Matter, hands: Hands) -> Done:
        return hands.ask_for_training(f"remedy: {matter.title}")
