"""The clock that a run is given: the past may be replayed, the future has no rows yet.

A run whose clock is ahead would call every source silent, close windows that are open, and stand in the ledgers as newer than all
that follows. So a clock later than the wall's is refused, on the command line and in Dagster alike. SMARTFLOW_ALLOW_FUTURE=1
lets it through, for tests alone.
"""

import os
from datetime import datetime, timedelta

from smartflow_assets.core.errors import SourceError

FUTURE_VARIABLE = "SMARTFLOW_ALLOW_FUTURE"
TOLERANCE = timedelta(minutes=1)
"""How far a clock may be ahead of the wall's: whoever names the time may do so on another machine."""


def refuse_future(clock: datetime, field: str, now: datetime) -> datetime:
    """The clock itself; SourceError, naming the field that gave it, when it is later than `now`, the clock on the wall."""
    if clock > now + TOLERANCE and not os.environ.get(FUTURE_VARIABLE):
        raise SourceError(
            f"{field}: {clock:%Y-%m-%d %H:%M %Z} is later than the clock of this machine, {now.astimezone(clock.tzinfo):%Y-%m-%d %H:%M %Z}",
            remedy=f"Name a time of the past, or leave {field} away for now; if the machine is wrong, set its clock.",
        )
    return clock
