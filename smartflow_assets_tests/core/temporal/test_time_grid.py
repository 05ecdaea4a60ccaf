"""The grid of buckets, in UTC and across changes of the clock."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.time_grid import TimeGrid


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def grid(every: str, zone: str = "UTC") -> TimeGrid:
    return TimeGrid(pd.Timedelta(every).to_pytimedelta(), Calendar(timezone=zone))


def test_buckets_start_on_round_times():
    assert grid("5min").floor(at("2026-01-07 09:37:12")) == at("2026-01-07 09:35")
    assert grid("1h").floor(at("1969-12-31 23:59")) == at("1969-12-31 23:00")


def test_days_start_at_local_midnight():
    assert grid("1D", "America/New_York").floor(at("2026-01-07 04:59")) == at("2026-01-06 05:00")


def test_weeks_start_on_monday():
    assert grid("7D").floor(at("2026-01-11 23:59")) == at("2026-01-05")


def test_days_of_a_clock_change_are_odd():
    berlin = grid("1D", "Europe/Berlin")
    days = berlin.numbers(at("2026-03-27 23:00"), at("2026-03-30 22:00"))
    assert berlin.is_odd(days).tolist() == [False, True, False]
    assert np.diff(berlin.start(np.append(days, days[-1] + 1))).astype("timedelta64[h]").astype(int).tolist() == [24, 23, 24]


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("America/Sao_Paulo", "2018-11-04 12:00", "2018-11-04 03:00"),  # no midnight: the day starts at one o'clock
        ("America/Havana", "2025-11-02 12:00", "2025-11-02 04:00"),  # two midnights: the day starts at the first
    ],
)
def test_days_without_or_with_two_midnights(zone, day, start):
    assert grid("1D", zone).floor(at(day)) == at(start)
    assert grid("1D", zone).number([at(start), at(start) - pd.Timedelta("1us")]).tolist() == [
        grid("1D", zone).number([at(day)])[0],
        grid("1D", zone).number([at(day)])[0] - 1,
    ]


def test_window_ends_are_half_open():
    starts = grid("5min").starts(at("2026-01-07 00:01"), at("2026-01-07 00:15"))
    assert starts.tolist() == [at("2026-01-07 00:05"), at("2026-01-07 00:10")]
    assert len(grid("5min").starts(at("2026-01-07"), at("2026-01-06"))) == 0


@given(
    st.sampled_from([timedelta(seconds=7), timedelta(minutes=5), timedelta(hours=6), timedelta(days=1), timedelta(days=14)]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.integers(0, 2_000_000_000_000_000),
)
def test_every_time_lies_in_its_bucket(every, zone, microseconds):
    time = pd.Timestamp(microseconds, unit="us", tz="UTC")
    cut = TimeGrid(every, Calendar(timezone=zone))
    assert cut.floor(time) <= time < cut.step(time, 1)
    assert cut.floor(cut.floor(time)) == cut.floor(time)
