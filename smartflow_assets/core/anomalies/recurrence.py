"""When something like an anomaly was there before, and for how long: what an analyst asks first.

Earlier anomalies of the series that lie closer together than an incident needs to be over are one incident, as they were when
people were told of them. The last one that went the same way is named; one that this anomaly still belongs to is not.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

import pandas as pd

LOOKBACK = timedelta(days=90)


class Interval(NamedTuple):
    """An anomaly of a series: from when to when, and whether it was a spike, a drop or neither."""

    started_at: pd.Timestamp
    ended_at: pd.Timestamp
    direction: str | None


def last_similar(earlier: Iterable[Interval], interval: Interval, apart: timedelta) -> tuple[pd.Timestamp, timedelta] | None:
    """Start and length of the last incident of the same direction, within 90 days; None when there was none.

    `earlier`: anomalies of the series, in any order; those that begin at or after the interval are passed over. `apart`: what two
    anomalies of different incidents lie apart at least.

    >>> day = [pd.Timestamp("2026-03-01", tz="UTC") + timedelta(days=n) for n in range(30)]
    >>> past = [Interval(day[3], day[3] + timedelta(hours=1), "spike"), Interval(day[9], day[10], "drop")]
    >>> last_similar(past, Interval(day[24], day[25], "spike"), timedelta(hours=1))
    (Timestamp('2026-03-04 00:00:00+0000', tz='UTC'), Timedelta('0 days 01:00:00'))
    """
    since = interval.started_at - LOOKBACK
    incidents: list[list[Interval]] = []
    for each in sorted((each for each in earlier if since <= each.started_at < interval.started_at), key=lambda each: each[:2]):
        if incidents and each.started_at - max(other.ended_at for other in incidents[-1]) <= apart:
            incidents[-1].append(each)
        else:
            incidents.append([each])
    for incident in reversed(incidents):
        start, end = incident[0].started_at, max(each.ended_at for each in incident)
        if interval.started_at - end > apart and any(each.direction == interval.direction for each in incident):
            return start, end - start
    return None
