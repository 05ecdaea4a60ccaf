"""Joining rows that lie close together into intervals: one rule for anomalies, for agreement and for alarms.

In time, rows belong together when few buckets lie between them; on row numbers, when few rows do.
"""

from datetime import timedelta

import numpy as np
import pandas as pd

GAP_BUCKETS = 2
"""So many quiet buckets between two anomalous rows do not part them: an anomaly that pauses for breath is one anomaly."""
ALARM_GAP_ROWS = 10
"""Flags that are at most so many rows apart are one alarm; beside a labelled event a flag so near is neither right nor wrong."""


def interval_numbers(rows: pd.DataFrame, step: timedelta) -> np.ndarray:
    """The number, from 1, of the interval that each row belongs to; `rows` are sorted by series and observed_at.

    >>> times = pd.to_datetime(["2026-03-01 00:00", "2026-03-01 03:00", "2026-03-01 07:00"])
    >>> interval_numbers(pd.DataFrame({"series": "cpu", "observed_at": times}), timedelta(hours=1)).tolist()
    [1, 1, 2]
    """
    is_apart = rows["observed_at"].diff() > (GAP_BUCKETS + 1.5) * step  # half a bucket of slack: a day may have 25 hours
    return (is_apart | (rows["series"] != rows["series"].shift())).cumsum().to_numpy()


def flagged_intervals(rows: pd.DataFrame, flags: np.ndarray, step: timedelta) -> np.ndarray:
    """The number of the interval that each flagged row belongs to, 0 for the others; `rows` in any order."""
    numbers = np.zeros(len(rows), int)
    found = rows.loc[flags, ["series", "observed_at"]].assign(place=np.flatnonzero(flags)).sort_values(["series", "observed_at"])
    numbers[found["place"]] = interval_numbers(found, step)
    return numbers


def alarms(flags: np.ndarray) -> list[np.ndarray]:
    """The flagged rows of each alarm.

    >>> [rows.tolist() for rows in alarms(np.isin(np.arange(40), [3, 5, 30]))]
    [[3, 5], [30]]
    """
    at = np.flatnonzero(flags)
    return np.split(at, np.flatnonzero(np.diff(at) > ALARM_GAP_ROWS) + 1) if len(at) else []
