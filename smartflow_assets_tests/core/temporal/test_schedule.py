"""Slots: from the clock alone, spread by name, caught up after a pause."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.core.temporal.schedule import Schedule, latest_slot

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@given(st.integers(1, 10_000), st.text("abcxyz_", min_size=1), st.integers(0, 10_000_000))
def test_a_duration_has_one_slot_in_each_interval(minutes, name, seconds):
    now = NOON + timedelta(seconds=seconds)
    slot = latest_slot(f"{minutes}min", name, now)
    assert now - timedelta(minutes=minutes) < slot <= now
    assert latest_slot(f"{minutes}min", name, slot + timedelta(minutes=minutes)) == slot + timedelta(minutes=minutes)


def test_names_spread_over_the_interval():
    slots = {latest_slot("1h", f"source_{k}", NOON) for k in range(100)}
    assert len(slots) > 80


def test_cron_is_read_in_the_zone_of_the_calendar():
    assert latest_slot("0 6 * * *", "web", NOON) == datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
    assert latest_slot("0 6 * * *", "web", NOON, "Europe/Berlin") == datetime(2026, 3, 1, 5, 0, tzinfo=UTC)


def test_cron_is_due_at_its_very_second():
    assert latest_slot("0 12 * * *", "web", NOON) == NOON


def test_manual_is_never_due():
    assert latest_slot("manual", "web", NOON) is None


@pytest.mark.parametrize("text", ["0 6 31 4 *", "0 6 30 2 *", "0 6 31 2,4,6 *"])
def test_a_day_that_no_month_has_is_refused(text):
    with pytest.raises(ValidationError, match="names a day that no month has"):
        TypeAdapter(Schedule).validate_python(text)


@pytest.mark.parametrize("text", ["0 6 29 2 *", "0 6 L 2 *", "0 6 31 * fri", "0 0 * * 5#5"])
def test_a_rare_day_is_a_day(text):
    assert latest_slot(TypeAdapter(Schedule).validate_python(text), "web", NOON) is not None


@pytest.mark.parametrize("text", ["5 parsecs", "61 * * * *", "10s", "", "R 6 * * *", "R(0-9) 6 * * *"])
def test_nonsense_is_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Schedule).validate_python(text)
