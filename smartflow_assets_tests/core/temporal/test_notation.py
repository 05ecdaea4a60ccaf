"""Durations as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from smartflow_assets.core.temporal.notation import format_duration, parse_duration
from smartflow_assets.core.temporal.schedule import Schedule, latest_slot


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("5 mins", 5),
        ("5mins", 5),
        ("5 minutes", 5),
        ("1 hour", 60),
        ("2 hrs", 120),
        ("1 HR", 60),
        ("30 secs", 0.5),
        ("2 wks", 20160),
        ("1 hr 30 mins", 90),
    ],
)
def test_units_are_read_as_they_are_spoken(text, minutes):
    assert parse_duration(text) == timedelta(minutes=minutes)
    assert parse_duration(format_duration(parse_duration(text))) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["5 moons", "5", "minutes", "", "5 min utes", "-5 mins", "5 months"])
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_a_schedule_is_such_a_duration():
    now = datetime(2026, 3, 1, 9, 59, tzinfo=UTC)
    assert TypeAdapter(Schedule).validate_python("5 mins") == "5 mins"
    assert latest_slot("5 mins", "web", now) == latest_slot("5min", "web", now)
