"""`do: quarantine`: a load goes no further."""

from typing import Literal

from smartflow_assets.core.remediation.base import BaseAction, Done, Hands
from smartflow_assets.core.remediation.matter import Matter


class Quarantine(BaseAction, frozen=True):
    """Blocks the load that brought the newest rows of the time, as a contract would; `smartflow quarantine` lists it, releases and drops.

    A load of which a person has decided is left alone.
    """

    type: Literal["quarantine"] = "quarantine"

    def describe(self) -> str:
        return "keep the load that brought the rows out of everything downstream"

    def carry_out(self, matter: Matter, hands: Hands) -> Done:
        return hands.block_load(matter, f"quarantined by a remedy: {matter.title}")
