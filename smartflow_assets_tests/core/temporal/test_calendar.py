"""The calendar: zones and holidays."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from smartflow_assets.core.temporal.calendar import Calendar

NEW_YEAR_IN_BERLIN = pd.Timestamp("2025-12-31T23:30Z")


def test_holidays_are_those_of_the_local_day():
    assert Calendar(timezone="Europe/Berlin", holidays="DE").is_holiday([NEW_YEAR_IN_BERLIN]).tolist() == [True]
    assert Calendar(timezone="UTC", holidays="DE").is_holiday([NEW_YEAR_IN_BERLIN]).tolist() == [False]


def test_subdivisions_have_their_own_holidays():
    epiphany = [pd.Timestamp("2026-01-06T12:00Z")]
    assert Calendar(holidays="DE-BY").is_holiday(epiphany).tolist() == [True]
    assert Calendar(holidays="DE-BE").is_holiday(epiphany).tolist() == [False]


def test_without_a_country_no_day_is_a_holiday():
    assert Calendar().is_holiday([NEW_YEAR_IN_BERLIN, NEW_YEAR_IN_BERLIN]).tolist() == [False, False]
    assert Calendar(holidays="US").is_holiday(pd.DatetimeIndex([], tz="UTC")).tolist() == np.zeros(0).tolist()


def test_holidays_of_norway_are_not_false():
    assert Calendar(holidays="NO").holidays == "NO"


@pytest.mark.parametrize("wrong", [{"timezone": "Mars/Olympus"}, {"timezone": "../etc/passwd"}, {"holidays": "Germany"}, {"zone": "UTC"}])
def test_what_is_no_calendar_is_refused(wrong):
    with pytest.raises(ValidationError):
        Calendar(**wrong)
