"""Messages that wait: what begins in a maintenance window, and what people have heard of too recently.

A message that waits is planned for later (`due_at`), with the reason beside it. If its incident is over by then nobody hears of either;
what gets worse is looked at anew. Here is decided what waits and until when; `alert_planning` plans and takes back.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import pandas as pd

from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import Row
from smartflow_assets.core.severity import RANK, Severity
from smartflow_assets.core.temporal.notation import format_duration

HELD = "waits "
"""So begins the reason of a message that waits."""
UNTOLD = "over before anybody was told: it waited "
"""So begins the reason of a message whose incident was over by then."""
CAME_BACK = "it came back before anybody was told that it was over"
"""The reason of a recovery that nobody heard of."""


class Hold(NamedTuple):
    """Until when a message waits, and why."""

    until: pd.Timestamp
    why: str


class Telling(NamedTuple):
    """Somebody was told that an incident of a series began, so bad."""

    source: str
    series: str
    cause: str
    channel: str
    at: pd.Timestamp
    severity: Severity


class Holds:
    """What waits, by a policy and by what was told `recently`."""

    def __init__(self, policy: AlertPolicy, recently: Iterable[Telling]) -> None:
        self._policy, self._told = policy, dict[tuple[str, str, str, str], Telling]()
        for telling in sorted(recently, key=lambda each: each.at):
            self.note(telling)

    def note(self, telling: Telling) -> None:
        """Somebody was told: the next incident of that series may wait."""
        self._told[telling[:4]] = telling

    def hold(self, event: Row, channel: str, *, opened_at: datetime | None, ended_at: datetime, now: pd.Timestamp) -> Hold | None:
        """Until when the message of an event that tells of a beginning waits on a channel; None where it goes at once. `ended_at`: when the
        newest of it ended, in the time of the data."""
        return self._maintenance(opened_at, ended_at, now) or self._recent(event, channel, now)

    def _maintenance(self, opened_at: datetime | None, ended_at: datetime, now: pd.Timestamp) -> Hold | None:
        found = None if opened_at is None else self._policy.maintained(opened_at)
        if found is None or ended_at > found[1]:
            return None
        window, end = found
        until = max(now, pd.Timestamp(end + self._policy.reopen_within))
        return Hold(until, f"{HELD}for the end of a maintenance window{f' ({window.why})' if window.why else ''}, {end:%Y-%m-%d %H:%M} UTC")

    def _recent(self, event: Row, channel: str, now: pd.Timestamp) -> Hold | None:
        told = self._told.get((event["source"], event["series"], event["cause"], channel))
        quiet = self._policy.suppress_for
        if told is None or quiet is None or now >= told.at + quiet or RANK[event["severity"]] > RANK[told.severity]:
            return None
        why = f"{HELD}since people heard of this series {told.at:%Y-%m-%d %H:%M} UTC, less than suppress_for {format_duration(quiet)} ago"
        return Hold(told.at + quiet, why)
