"""Maintenance windows: in which a moment lies, and until when, in the zone of the source."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smartflow_assets.core.incidents.maintenance import MaintenanceWindow, window_of

SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)


def window(**said: object) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate({key.rstrip("_"): value for key, value in said.items()})


@given(hour=st.integers(0, 23), lasting=st.integers(1, 60), at=st.integers(0, 21 * 24 * 60))
def test_a_weekly_window_is_there_each_week_for_so_long(hour: int, lasting: int, at: int):
    weekly = window(cron=f"0 {hour} * * sun", lasting=f"{lasting}h")
    moment = SUNDAY + timedelta(minutes=at)
    begins = [SUNDAY + timedelta(days=7 * week, hours=hour) for week in range(-1, 4)]
    ends = [begin + timedelta(hours=lasting) for begin in begins if begin <= moment < begin + timedelta(hours=lasting)]
    assert weekly.end_of(moment) == (ends[0] if ends else None)


def test_a_window_of_local_nights_moves_with_summer_time():
    nightly = window(cron="0 1 * * *", lasting="1h", timezone="Europe/Berlin")
    zone = ZoneInfo("Europe/Berlin")
    for day in (datetime(2026, 1, 10, 1, 30, tzinfo=zone), datetime(2026, 7, 10, 1, 30, tzinfo=zone)):
        assert nightly.end_of(day.astimezone(UTC)) == day.replace(hour=2, minute=0)
        assert nightly.end_of((day + timedelta(hours=1)).astimezone(UTC)) is None


def test_a_window_of_one_night_is_read_in_its_zone_unless_it_says_one():
    once = window(from_="2026-03-01T22:00", until="2026-03-02T02:00", timezone="America/New_York")
    assert once.end_of(datetime(2026, 3, 2, 3, tzinfo=UTC)) == datetime(2026, 3, 2, 7, tzinfo=UTC)
    assert once.end_of(datetime(2026, 3, 1, 23, tzinfo=UTC)) is None
    aware = window(from_="2026-03-01T22:00Z", until="2026-03-02T02:00+00:00", timezone="America/New_York")
    assert aware.end_of(datetime(2026, 3, 1, 23, tzinfo=UTC)) == datetime(2026, 3, 2, 2, tzinfo=UTC)


def test_of_several_windows_the_one_that_is_over_last_counts():
    first = window(from_="2026-03-01T00:00", until="2026-03-01T02:00", why="backup")
    second = window(from_="2026-03-01T01:30", until="2026-03-01T04:00", why="move")
    third = window(from_="2026-03-01T05:00", until="2026-03-01T06:00")
    found = window_of([first, second, third], SUNDAY + timedelta(minutes=10))
    assert found is not None and found[0].why == "backup" and found[1] == SUNDAY + timedelta(hours=2)
    inside_both = window_of([first, second, third], SUNDAY + timedelta(minutes=100))
    assert inside_both is not None and inside_both[1] == SUNDAY + timedelta(hours=4)
    assert window_of([first, second, third], SUNDAY + timedelta(hours=4, minutes=30)) is None


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"cron": "0 2 * * sun"},
        {"from": "2026-03-01", "lasting": "2h"},
        {"from": "2026-03-01", "until": "2026-03-02", "cron": "0 2 * * sun", "lasting": "1h"},
        {"from": "2026-03-02", "until": "2026-03-01"},
        {"cron": "2h", "lasting": "1h"},
        {"cron": "0 2 31 4 *", "lasting": "1h"},
        {"cron": "0 2 * * sun", "lasting": "90 days"},
    ],
)
def test_a_window_that_is_none_is_refused(said: dict):
    with pytest.raises(ValidationError):
        MaintenanceWindow.model_validate(said)


@pytest.mark.parametrize(
    ("begin", "until", "first", "end"),
    [
        ("2026-10-25T02:00", "2026-10-25T02:59", "2026-10-25T00:00", "2026-10-25T01:59"),  # 02:00 to 02:59 is there twice
        ("2026-10-25T01:00", "2026-10-25T02:30", "2026-10-24T23:00", "2026-10-25T01:30"),
        ("2026-10-25T02:30", "2026-10-25T04:00", "2026-10-25T00:30", "2026-10-25T03:00"),
        ("2026-03-29T01:30", "2026-03-29T02:30", "2026-03-29T00:30", "2026-03-29T01:30"),  # 02:30 is not there
    ],
)
def test_a_window_covers_both_hours_where_clocks_are_turned_back(begin: str, until: str, first: str, end: str):
    once = window(from_=begin, until=until, timezone="Europe/Berlin")
    begins_at, ends_at = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (first, end))
    minutes = [begins_at + timedelta(minutes=number) for number in range(-1, int((ends_at - begins_at) / timedelta(minutes=1)) + 1)]
    assert [once.end_of(at) for at in minutes] == [None, *[ends_at] * (len(minutes) - 2), None]


@pytest.mark.parametrize(
    ("cron", "lasting", "is_refused"),
    [
        ("* * * * *", "1min", True),
        ("0 * * * *", "1h", True),
        ("0 2 * * *", "24h", True),
        ("0 0 * * mon,thu", "4 days", True),
        ("0 0 * * mon,thu", "3 days", False),
        ("0 2 * * *", "23h", False),
        ("* * * 1-11 *", "1h", False),
        ("* 8-18 * * *", "1h", False),
        ("* * * * mon-fri", "1h", False),
    ],
)
def test_a_window_that_is_never_over_is_refused(cron: str, lasting: str, is_refused: bool):
    if not is_refused:
        assert window(cron=cron, lasting=lasting).lasting
        return
    with pytest.raises(ValidationError, match="is never over, so nobody would be told of anything"):
        window(cron=cron, lasting=lasting)
