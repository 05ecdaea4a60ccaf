"""`do: pause`: a source is not run by its schedule."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from smartflow_assets.core.remediation.base import BaseAction, Done, Hands
from smartflow_assets.core.remediation.matter import Matter
from smartflow_assets.core.temporal.notation import Duration, format_duration


class Pause(BaseAction, frozen=True):
    """Stops the schedule of the source. `smartflow run` and files that are dropped run it all the same."""

    type: Literal["pause"] = "pause"
    lasting: Duration | None = Field(
        default=None, gt=timedelta(0), description="How long. Default: until somebody undoes it, `smartflow remediate SOURCE --undo pause`."
    )

    def describe(self) -> str:
        return "stop the schedule" + (f" for {format_duration(self.lasting)}" if self.lasting else " until somebody undoes that")

    def carry_out(self, matter: Matter, hands: Hands) -> Done:
        return hands.pause(self.lasting)
