from datetime import UTC, datetime, timedelta

import pytest

from smartflow_assets.core.temporal.recurring_time import RecurringTime

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def hours(text: str, timezone: str = "UTC", days: int = 7) -> list[int]:
    """The hours after Monday midnight that lie in it."""
    time = RecurringTime.parse(text)
    return [hour for hour in range(24 * days) if time.end_of(MONDAY + timedelta(hours=hour), timezone)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mon 09:00-11:00", [9, 10]),
        ("Monday 9:00 - 11:00", [9, 10]),
        ("mon,thu 09:00-10:00", [9, 81]),
        ("daily 02:00-03:00", [2 + 24 * day for day in range(7)]),
        ("tue 23:00-01:00", [47, 48]),
        ("sun 23:00-01:00", [0, 167]),
        ("mon 23:00-24:00", [23]),
        ("sat-mon 00:00-01:00", [0, 120, 144]),
        ("sun 22:00-mon 02:00", [0, 1, 166, 167]),
        ("fri 00:00-mon 00:00", [*range(96, 168)]),
    ],
)
def test_it_holds_its_hours_of_the_week(text: str, expected: list[int]) -> None:
    assert hours(text) == expected
    assert RecurringTime.parse(str(RecurringTime.parse(text))) == RecurringTime.parse(text)


def test_its_hours_are_those_of_the_zone_when_the_clocks_change_too() -> None:
    winter, summer = datetime(2026, 3, 23, 8, tzinfo=UTC), datetime(2026, 3, 30, 7, tzinfo=UTC)
    nine = RecurringTime.parse("mon 09:00-10:00")
    for nine_o_clock in (winter, summer):
        assert nine.end_of(nine_o_clock, "Europe/Berlin") == nine_o_clock + timedelta(hours=1)
        assert nine.end_of(nine_o_clock - timedelta(minutes=1), "Europe/Berlin") is None
        assert nine.end_of(nine_o_clock + timedelta(hours=1), "Europe/Berlin") is None


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        ((2, 9, 40), (2, 10, 20), "mon 08:00-12:00"),
        ((2, 9, 0), (2, 11, 0), "mon 08:00-12:00"),
        ((2, 0, 10), (2, 1, 0), "sun 23:00-02:00"),
        ((2, 1, 0), (2, 23, 0), "mon 00:00-24:00"),
        ((2, 9, 0), (4, 9, 0), "mon 08:00-wed 10:00"),
    ],
)
def test_around_something_is_its_weekday_and_hours_with_slack(first: tuple, last: tuple, text: str) -> None:
    moments = [datetime(2026, 3, *each, tzinfo=UTC) for each in (first, last)]
    time = RecurringTime.around(*moments, timedelta(hours=1), "UTC")
    assert str(time) == text and time.end_of(moments[0], "UTC") is not None
    assert RecurringTime.parse(text) == time


def test_what_lasts_a_week_comes_at_no_time_of_it() -> None:
    with pytest.raises(ValueError, match="lasts 8 days comes at no time of the week"):
        RecurringTime.around(MONDAY, MONDAY + timedelta(days=8), timedelta(hours=1), "UTC")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mon",
        "9:00-11:00",
        "mon 9-11",
        "mo 09:00-11:00",
        "mon 25:00-26:00",
        "mon 09:61-10:00",
        "mon-thu 22:00-fri 02:00",
        "mon 24:00-25:00",
        "mon-tue-wed 09:00-10:00",
    ],
)
def test_what_is_no_such_time_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        RecurringTime.parse(text)
