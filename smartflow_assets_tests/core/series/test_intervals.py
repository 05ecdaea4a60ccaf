"""Joining rows into intervals: the gap that parts them, and the same answer as a model of a few lines."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartflow_assets.core.series.intervals import ALARM_GAP_ROWS, GAP_BUCKETS, alarms, flagged_intervals, interval_numbers

START = pd.Timestamp("2026-03-01", tz="UTC")
HOUR = timedelta(hours=1)


def rows_at(**hours: list[float]) -> pd.DataFrame:
    """Rows of series at these hours, sorted by series and time as they are written."""
    pairs = [(series, START + pd.Timedelta(hours=hour)) for series, own in hours.items() for hour in own]
    return pd.DataFrame(pairs, columns=["series", "observed_at"]).astype({"observed_at": "datetime64[us, UTC]"})


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([], []),
        ([5], [1]),
        ([0, 1, 2], [1, 1, 1]),
        ([0, GAP_BUCKETS + 1], [1, 1]),  # as many quiet buckets as may lie between
        ([0, GAP_BUCKETS + 1.5], [1, 1]),  # half a bucket of slack
        ([0, GAP_BUCKETS + 1.51], [1, 2]),
        ([0, GAP_BUCKETS + 2], [1, 2]),
        ([0, 3, 6, 9], [1, 1, 1, 1]),  # what counts is the distance to the row before, not to the first one
    ],
)
def test_rows_are_parted_by_more_than_the_gap(hours, expected):
    assert interval_numbers(rows_at(cpu=hours), HOUR).tolist() == expected


def test_each_series_has_intervals_of_its_own():
    assert interval_numbers(rows_at(cpu=[0, 1, 9], memory=[9, 10]), HOUR).tolist() == [1, 1, 2, 3, 3]


def test_a_day_of_25_hours_does_not_part_rows():
    days = pd.date_range("2026-10-24", periods=6, tz="Europe/Berlin").tz_convert("UTC").as_unit("us")
    rows = pd.DataFrame({"series": "orders", "observed_at": days[[0, 3]]})
    assert rows["observed_at"].diff().iloc[1] == timedelta(hours=73)  # three local days, one of which is longer
    assert interval_numbers(rows, timedelta(days=1)).tolist() == [1, 1]
    assert interval_numbers(rows.assign(observed_at=days[[0, 4]]), timedelta(days=1)).tolist() == [1, 2]


def test_flags_are_numbered_in_order_of_time_however_the_rows_are_sorted():
    rows = rows_at(memory=[8, 0, 1], cpu=[9, 4, 0])
    flags = np.array([True, True, False, True, False, True])
    assert flagged_intervals(rows, flags, HOUR).tolist() == [4, 3, 0, 2, 0, 1]
    assert flagged_intervals(rows, np.zeros(6, dtype=bool), HOUR).tolist() == [0] * 6


@pytest.mark.parametrize(
    ("flagged", "expected"),
    [
        ([], []),
        ([7], [[7]]),
        ([0, ALARM_GAP_ROWS], [[0, ALARM_GAP_ROWS]]),
        ([0, ALARM_GAP_ROWS + 1], [[0], [ALARM_GAP_ROWS + 1]]),
        ([3, 5, 15, 26], [[3, 5, 15], [26]]),
    ],
)
def test_flags_are_one_alarm_up_to_the_gap(flagged, expected):
    assert [rows.tolist() for rows in alarms(np.isin(np.arange(40), flagged))] == expected


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.booleans()), max_size=40, unique_by=lambda row: row[:2]))
def test_intervals_are_those_of_a_model_that_walks_from_row_to_row(rows):
    frame = pd.DataFrame(
        {
            "series": pd.Series([series for series, _, _ in rows], dtype=object),
            "observed_at": pd.Series([START + hour * HOUR for _, hour, _ in rows], dtype="datetime64[us, UTC]"),
        }
    )
    expected, number, last = dict.fromkeys(range(len(rows)), 0), 0, None
    for series, hour, place in sorted((series, hour, place) for place, (series, hour, flag) in enumerate(rows) if flag):
        is_same = last is not None and last[0] == series and hour - last[1] - 1 <= GAP_BUCKETS
        number, last = number if is_same else number + 1, (series, hour)
        expected[place] = number
    flags = np.array([flag for _, _, flag in rows], dtype=bool)
    assert flagged_intervals(frame, flags, HOUR).tolist() == list(expected.values())


@given(st.lists(st.booleans(), max_size=80))
def test_alarms_hold_each_flag_once_and_lie_apart(flags):
    found = [rows.tolist() for rows in alarms(np.array(flags, dtype=bool))]
    assert [place for rows in found for place in rows] == [place for place, flag in enumerate(flags) if flag]
    assert all(after - before <= ALARM_GAP_ROWS for rows in found for before, after in pairwise(rows))
    assert all(after[0] - before[-1] > ALARM_GAP_ROWS for before, after in pairwise(found))
