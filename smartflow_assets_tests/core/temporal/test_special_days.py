"""Special days: one role a day, the days of events, and what is no event."""

from datetime import date

import pytest
from pydantic import ValidationError

from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.special_days import special_days


def told(calendar: Calendar, first: str, last: str) -> dict[str, str]:
    return {f"{special.day:%m-%d}": str(special) for special in special_days(calendar, date.fromisoformat(first), date.fromisoformat(last))}


def test_each_day_has_one_role():
    calendar = Calendar(holidays="US", events=({"name": "black friday", "dates": ["2026-11-27"]},))
    assert told(calendar, "2026-11-20", "2026-12-31") == {
        "11-25": "the day before Thanksgiving Day",
        "11-26": "Thanksgiving Day",
        "11-27": "black friday",
        "12-24": "the day before Christmas Day",
        "12-25": "Christmas Day",
        "12-26": "the day after Christmas Day",
        "12-31": "the day before New Year's Day",
    }


def test_a_working_day_between_a_holiday_and_a_weekend_is_a_bridge():
    calendar = Calendar(holidays="DE")
    assert told(calendar, "2026-05-13", "2026-05-16") == {
        "05-13": "the day before Ascension Day",
        "05-14": "Ascension Day",
        "05-15": "the bridge day of Ascension Day",
    }
    assert told(calendar, "2026-04-30", "2026-05-04") == {  # a Friday: a long weekend needs no bridge
        "04-30": "the day before Labor Day",
        "05-01": "Labor Day",
        "05-02": "the day after Labor Day",
    }


def test_days_beside_a_holiday_of_the_next_year_are_known():
    assert told(Calendar(holidays="US"), "2026-12-31", "2026-12-31") == {"12-31": "the day before New Year's Day"}


def test_events_need_no_country():
    calendar = Calendar(events=({"name": "sale", "dates": [{"from": "2026-02-27", "to": "2026-03-01"}]},))
    assert list(told(calendar, "2026-02-01", "2026-04-01")) == ["02-27", "02-28", "03-01"]
    assert told(Calendar(), "2026-01-01", "2026-12-31") == {}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([{"name": "sale", "dates": []}], "has no dates"),
        ([{"name": "sale", "dates": ["soon"]}], "write a day such as 2026-11-27"),
        ([{"name": "sale", "dates": ["2026-02-30"]}], "2026-02-30 is no date"),
        ([{"name": "sale", "dates": [20260203]}], "write a day such as"),
        ([{"name": "sale", "dates": [{"from": "2026-02-03"}]}], "Field required"),
        ([{"name": "", "dates": ["2026-02-03"]}], "at least 1 character"),
        ([{"name": "sale", "dates": [{"from": "2026-02-03", "to": "2026-02-01"}]}], "from its first day to its last"),
        ([{"name": "sale", "dates": [{"from": "2026-02-03", "to": "2028-02-01"}]}], "at most 366 days"),
        ([{"name": "sale", "dates": ["2026-02-03"]}, {"name": "sale", "dates": ["2026-03-03"]}], "sale is named twice"),
        ([{"name": "sale", "dates": ["2026-02-03"]}, {"name": "fair", "dates": ["2026-02-03"]}], "a day has one event"),
        ([{"name": "sale", "dates": ["2026-02-03"], "effect": 2}], "Extra inputs"),
    ],
)
def test_what_is_no_event_is_refused(events, said):
    with pytest.raises(ValidationError, match=said):
        Calendar.model_validate({"events": events})
