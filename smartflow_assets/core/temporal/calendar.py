"""The calendar that a source lives in: its time zone, its public holidays and the days that its business knows.

Days are cut, hours of the day are read and holidays are looked up here, so that "Monday nine o'clock" means the same in
cleaning, features, detectors and plots. Everything stored stays in UTC; only the questions are asked in local time.
The holidays library is loaded for a calendar that names a country. What the days around a holiday are is in `special_days`.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.temporal.event import Event
from smartflow_assets.core.temporal.time_zone import TimeZone

Times = pd.Series | pd.DatetimeIndex | Sequence[pd.Timestamp]


class Calendar(Declared):
    """Time zone, holidays and events of a source.

    >>> Calendar(timezone="Europe/Berlin", holidays="DE").is_holiday([pd.Timestamp("2026-12-24T23:30Z")])
    array([ True])
    """

    timezone: TimeZone = Field(
        default="UTC",
        description="IANA name of the zone in which days are cut and hours, weekdays and holidays are read.",
        examples=["UTC", "Europe/Berlin"],
    )
    holidays: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
        description="Country whose public holidays count, ISO 3166 code, with a subdivision if wanted; without one only days that all of "
        "the country has (GB: those that its four nations share, GB-ENG has Easter Monday too).",
        examples=["US", "DE-BY"],
    )
    events: tuple[Event, ...] = Field(
        default=(),
        description="Days that your business knows, past ones to learn from and future ones to expect; with or without `holidays`.",
    )

    @field_validator("holidays")
    @classmethod
    def _is_country_known(cls, country: str | None) -> str | None:
        if country is not None:
            _holiday_names(country, ())
        return country

    @field_validator("events")
    @classmethod
    def _is_each_event_told_once(cls, events: tuple[Event, ...]) -> tuple[Event, ...]:
        names = [event.name for event in events]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice} is named twice; write all of its dates below one name")
        taken: dict[date, str] = {}
        for event in events:
            if clash := next((day for day in event.days if day in taken), None):
                raise ValueError(f"{clash} is a day of {taken[clash]} and of {event.name}; a day has one event")
            taken |= dict.fromkeys(event.days, event.name)
        return events

    @property
    def has_special_days(self) -> bool:
        """Whether it names holidays or events."""
        return self.holidays is not None or bool(self.events)

    def local(self, times: Times) -> pd.DatetimeIndex:
        """UTC times (aware) as times of this calendar's zone, aware."""
        return pd.DatetimeIndex(pd.to_datetime(pd.Index(times), utc=True)).tz_convert(self.timezone)

    def is_holiday(self, times: Times) -> np.ndarray:
        """For each time: does it lie on a public holiday of the calendar? All False when no country is named.
        ValueError when the holidays library does not know the country."""
        days = self.local(times).tz_localize(None).to_numpy().astype("datetime64[D]")
        if self.holidays is None or not len(days):
            return np.zeros(len(days), dtype=bool)
        years = np.unique(days.astype("datetime64[Y]")).astype(int) + 1970
        return np.isin(days, np.array(sorted(self.holiday_names(tuple(map(int, years)))), dtype="datetime64[D]"))

    def holiday_names(self, years: tuple[int, ...]) -> Mapping[date, str]:
        """The public holidays of these years; none when no country is named. ValueError when the holidays library does not
        know the country."""
        return {} if self.holidays is None else _holiday_names(self.holidays, years)


@lru_cache(maxsize=64)
def _holiday_names(country: str, years: tuple[int, ...]) -> Mapping[date, str]:
    import holidays

    code, _, subdivision = country.partition("-")
    try:
        return dict(holidays.country_holidays(code, subdiv=subdivision or None, years=years))
    except NotImplementedError as unknown:
        raise ValueError(f"{unknown}; write an ISO 3166 code such as US, with a subdivision if wanted, such as DE-BY") from None
