"""`do: reingest`: the origin is read anew."""

from datetime import timedelta
from typing import Literal

from smartflow_assets.core.remediation.base import BaseAction, Done, Hands
from smartflow_assets.core.remediation.matter import Kind, Matter

MARGIN = timedelta(days=1)
"""So much before the matter begins is read as well."""
_OF_A_TIME: frozenset[Kind] = frozenset({"gap", "freshness", "anomaly", "volume", "profile"})


class Reingest(BaseAction, frozen=True):
    """Reads anew what files and servers have of the time, whether it was read before or not; other incidents, all that there is.

    What is there already is not doubled: rows are compared as by every load.
    """

    type: Literal["reingest"] = "reingest"

    def describe(self) -> str:
        return "read the origin anew"

    def carry_out(self, matter: Matter, hands: Hands) -> Done:
        is_of_a_time = matter.since is not None and (_OF_A_TIME & matter.kinds or not matter.kinds)
        return hands.read_anew(matter.since - MARGIN if is_of_a_time and matter.since is not None else None)
