"""Weeks are those of ISO 8601 in a zone, whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from smartflow_assets.core.temporal.week import Period, last_week, week_named

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_week_in_which_clocks_change_is_an_hour_longer_or_shorter() -> None:
    assert [week_named(f"2026-W{number}", "Europe/Berlin") for number in (13, 43)] == [
        Period("2026-W13", datetime(2026, 3, 22, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC), "Europe/Berlin"),
        Period("2026-W43", datetime(2026, 10, 18, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC), "Europe/Berlin"),
    ]


@pytest.mark.parametrize("number", range(1, 53))
def test_the_weeks_before_end_where_it_begins(number: int) -> None:
    week = week_named(f"2026-W{number:02}", "Europe/Berlin")
    earlier = [week.earlier(back) for back in (4, 3, 2, 1)] + [week]
    assert all(one.end == other.start for one, other in pairwise(earlier))
    local = [each.start.astimezone(BERLIN) for each in earlier]
    assert {(each.weekday(), each.hour, each.minute) for each in local} == {(0, 0, 0)}


def test_the_last_week_is_over() -> None:
    for hour in range(14 * 24):
        now = datetime(2026, 10, 19, tzinfo=UTC) + timedelta(hours=hour)
        week = last_week(now, "Europe/Berlin")
        assert week.end <= now < week.end + timedelta(days=7, hours=1) and week_named(week.name, "Europe/Berlin") == week
    assert last_week(datetime(2027, 1, 4, tzinfo=UTC), "UTC").name == "2026-W53"


@pytest.mark.parametrize("text", ["2026-W54", "2025-W53", "2026-48", "W48", "", "2026-W48x", "0000-W01", "2026-W00"])
def test_what_is_no_week_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no week"):
        week_named(text, "UTC")


def test_a_time_of_any_length_has_others_before_it() -> None:
    start = datetime(2026, 3, 2, 5, tzinfo=UTC)
    assert Period("since", start, start + timedelta(hours=6), "UTC").earlier(2).start == start - timedelta(hours=12)
