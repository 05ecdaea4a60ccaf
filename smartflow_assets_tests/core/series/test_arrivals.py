"""When a silence is unusual: feeds that pause, that come in batches, seldom, or late by nature, and that die."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.series.arrivals import Arrivals, usual_delay
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.time_grid import TimeGrid

MONDAY = datetime(2026, 2, 2, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


def feed(every: timedelta, until: datetime, *, zone: str = "UTC", start: datetime = MONDAY, is_open=lambda local: True) -> np.ndarray:
    """The buckets of a feed with a row in each for which `is_open` says so of its local times."""
    grid = TimeGrid(every, Calendar(timezone=zone))
    numbers = grid.numbers(start, until)
    local = grid.calendar.local(grid.start(numbers))
    return numbers[np.broadcast_to(is_open(local), len(numbers))]


def first_alarm(filled: np.ndarray, every: timedelta, since: datetime, until: datetime, zone: str = "UTC") -> pd.Timestamp | None:
    """When the first silence is unusual, looked at in each bucket, with the rows that were there by then."""
    grid = TimeGrid(every, Calendar(timezone=zone))
    for end in grid.numbers(since, until):
        if Arrivals(filled[filled < end], grid).silence(int(end)).is_unusual:
            return grid.start(np.array([end]))[0]
    return None


def office_hours(local: pd.DatetimeIndex) -> np.ndarray:
    return np.asarray((local.day_of_week < 5) & (local.hour >= 8) & (local.hour < 18))


@pytest.mark.parametrize(
    ("every", "alarm_after"),
    [(timedelta(minutes=5), timedelta(minutes=15)), (HOUR, 3 * HOUR), (6 * HOUR, 12 * HOUR), (DAY, DAY)],
    ids=["5min", "1h", "6h", "1 day"],
)
def test_a_feed_that_never_pauses_is_silent_after_some_buckets(every: timedelta, alarm_after: timedelta) -> None:
    end = MONDAY + 3 * WEEK
    assert first_alarm(feed(every, end), every, end, end + WEEK) == end + alarm_after


@pytest.mark.integration  # each quarter of an hour for weeks
@pytest.mark.soak
def test_a_feed_that_pauses_at_night_and_on_weekends_is_silent_only_when_it_does_not_come_back() -> None:
    every, friday = timedelta(minutes=15), MONDAY + 4 * WEEK + timedelta(days=4, hours=18)
    living = feed(every, friday + WEEK, is_open=office_hours)
    assert first_alarm(living, every, friday - 2 * WEEK, friday + WEEK) is None
    dead = feed(every, friday, is_open=office_hours)
    assert first_alarm(dead, every, friday, friday + WEEK) == friday + timedelta(days=2, hours=14, minutes=45), (
        "on Monday, at a quarter to nine"
    )


@pytest.mark.integration  # each quarter of an hour for weeks
def test_a_young_feed_of_office_hours_is_left_alone_through_its_first_nights_and_weekend_and_missed_on_a_working_day() -> None:
    every = timedelta(minutes=15)
    living = feed(every, MONDAY + 2 * WEEK, is_open=office_hours)
    assert first_alarm(living, every, MONDAY + DAY / 2, MONDAY + 2 * WEEK) is None
    thursday = MONDAY + timedelta(days=3, hours=18)
    alarm = first_alarm(feed(every, thursday, is_open=office_hours), every, thursday, thursday + WEEK)
    assert alarm is not None and thursday + DAY <= alarm <= thursday + 5 * DAY


@pytest.mark.soak
def test_a_clock_change_is_no_silence() -> None:
    every, zone, start = HOUR, "Europe/Berlin", datetime(2026, 2, 23, tzinfo=UTC)
    living = feed(every, start + 8 * WEEK, zone=zone, start=start, is_open=office_hours)
    assert first_alarm(living, every, start + 4 * WEEK, start + 6 * WEEK, zone) is None  # the clock is changed on 29 March


@pytest.mark.parametrize("seed", range(5))
def test_rare_events_at_any_time_are_not_missed_before_they_are_much_later_than_ever(seed: int) -> None:
    grid = TimeGrid(HOUR)
    numbers = grid.numbers(MONDAY, MONDAY + 12 * WEEK)
    events = numbers[np.random.default_rng(seed).random(len(numbers)) < 0.15]
    for split in range(len(events) // 2, len(events) - 1):
        assert not Arrivals(events[: split + 1], grid).silence(int(events[split + 1])).is_unusual
    assert Arrivals(events, grid).silence(int(events[-1] + 7 * 24)).is_unusual


def test_an_outage_once_is_no_measure_of_what_is_usual() -> None:
    every = timedelta(minutes=5)
    outage = (MONDAY + 2 * WEEK, MONDAY + 2 * WEEK + DAY)
    end = MONDAY + 4 * WEEK + DAY
    arrivals = feed(every, end, is_open=lambda local: np.asarray((local < outage[0]) | (local >= outage[1])))
    assert first_alarm(arrivals, every, end, end + DAY) == end + timedelta(minutes=15)


def test_a_long_silence_is_told_from_a_short_one() -> None:
    every, end = timedelta(minutes=5), MONDAY + 3 * WEEK
    grid = TimeGrid(every)
    arrivals = Arrivals(feed(every, end), grid)
    last = int(grid.number([pd.Timestamp(end)])[0])
    assert not arrivals.silence(last + 11).is_long and arrivals.silence(last + 12).is_long


def test_without_rows_there_is_no_silence_and_one_row_waits_for_a_day() -> None:
    grid = TimeGrid(HOUR)
    assert not Arrivals(np.array([], dtype=int), grid).silence(100).is_unusual
    monday = int(grid.number([pd.Timestamp(MONDAY)])[0])
    assert not Arrivals(np.array([monday]), grid).silence(monday + 20).is_unusual
    assert Arrivals(np.array([monday]), grid).silence(monday + 26).is_unusual


def test_the_usual_delay_is_that_of_nearly_all_loads_and_one_backfill_does_not_count() -> None:
    ages = np.full(40, 3 * 86400.0)
    ages[20] = 90 * 86400
    assert usual_delay(ages) == 3 * DAY
    assert usual_delay(ages[18:27]) == 3 * DAY, "of few loads the one in the middle"
    assert usual_delay(ages[18:30]) == 3 * DAY
    assert usual_delay(ages[:0]) == timedelta(0)
