"""`do: run`: a source is run at once."""

from typing import Literal

from pydantic import Field

from smartflow_assets.core.remediation.base import BaseAction, Done, Hands
from smartflow_assets.core.remediation.matter import Matter


class Run(BaseAction, frozen=True):
    """Asks for a run of this or of another source; the schedule starts it within a minute."""

    type: Literal["run"] = "run"
    source: str = Field(default="", description="Which source. Default: the one that it is written for.")

    @property
    def label(self) -> str:
        return f"run {self.source}" if self.source else "run"

    def describe(self) -> str:
        return f"ask for a run of {self.source or 'the source'}"

    def carry_out(self, matter: Matter, hands: Hands) -> Done:
        return hands.ask_for_run(self.source or hands.source)
