"""The calendar that a source lives in: its time zone and its public holidays.

Days are cut, hours of the day are read and holidays are looked up here, so that "Monday nine o'clock" means the same in
cleaning, features, detectors and plots. Everything stored stays in UTC; only the questions are asked in local time.
The holidays library is loaded at the first question about a holiday.
"""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from smartflow_assets.core.temporal.time_zone import TimeZone

Times = pd.Series | pd.DatetimeIndex | Sequence[pd.Timestamp]


class Calendar(BaseModel):
    """Time zone and holidays of a source.

    >>> Calendar(timezone="Europe/Berlin", holidays="DE").is_holiday([pd.Timestamp("2026-12-24T23:30Z")])
    array([ True])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timezone: TimeZone = Field(
        default="UTC",
        description="IANA name of the zone in which days are cut and hours, weekdays and holidays are read.",
        examples=["UTC", "Europe/Berlin"],
    )
    holidays: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
        description="Country whose public holidays count, ISO 3166 code, with a subdivision if wanted.",
        examples=["US", "DE-BY"],
    )

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
        return np.isin(days, np.array(sorted(_holiday_dates(self.holidays, tuple(map(int, years)))), dtype="datetime64[D]"))


@lru_cache(maxsize=64)
def _holiday_dates(country: str, years: tuple[int, ...]) -> frozenset[date]:
    import holidays

    code, _, subdivision = country.partition("-")
    try:
        return frozenset(holidays.country_holidays(code, subdiv=subdivision or None, years=years))
    except NotImplementedError as unknown:
        raise ValueError(f"calendar.holidays: {unknown}") from None
