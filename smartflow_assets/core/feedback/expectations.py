"""What is expected: incidents like one that a person has called so, at its recurring time, of which nobody needs to hear.

A look-alike is of the same series and direction, begins in the recurring time, is at most `SIZE` times as large, and is over at most
`LONGER` after that time. Whether an incident is one follows from its rows and from nothing else, so runs may cut the data as they will.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from smartflow_assets.core.temporal.recurring_time import RecurringTime

SIZE = 1.25
"""Times the deviation of what was called expected: so large a look-alike may be."""
LONGER = timedelta(hours=1)
"""So long after the recurring time a look-alike may still be seen."""


@dataclass(frozen=True)
class Expectation:
    """What a person expects of a series until `until_at`, in the time of its data. `direction` None: either way; `deviation` in the unit,
    without a sign, None: of any size."""

    feedback_id: str
    series: str
    cause: str
    direction: str | None
    deviation: float | None
    recurs: RecurringTime
    timezone: str
    until_at: datetime

    def why_not(self, seen: "Seen") -> str | None:
        """In which way what was seen is more than this; None where it is not. Asked of what began in the recurring time."""
        end = self.recurs.end_of(seen.opened_at, self.timezone)
        if end is None or seen.opened_at >= self.until_at:
            return "it began at another time"
        if self.deviation is not None and (seen.deviation is None or seen.deviation > SIZE * self.deviation):
            return f"larger than {SIZE:g} times what was called expected"
        if seen.last_seen_at > end + LONGER:
            return f"still there {LONGER // timedelta(minutes=60)} h after its time, {self.recurs.said}"
        return None

    def is_of(self, seen: "Seen") -> bool:
        """Whether it speaks of such an incident at all."""
        return (self.series, self.cause) == (seen.series, seen.cause) and self.direction in (None, seen.direction)


@dataclass(frozen=True)
class Seen:
    """What is known of an incident by now: from the start of its first bucket to the end of its last anomaly, and its largest deviation
    from what was expected, in the unit and without a sign."""

    series: str
    cause: str
    direction: str | None
    deviation: float | None
    opened_at: datetime
    last_seen_at: datetime


def expected_by(expectations: Iterable[Expectation], seen: Seen) -> Expectation | None:
    """The expectation that an incident is a look-alike of, of several the first by id; None where there is none."""
    found = (each for each in expectations if each.is_of(seen) and each.why_not(seen) is None)
    return min(found, key=lambda each: each.feedback_id, default=None)
