"""Hours, days and years as curves: how busy people are, when it is warm. The seasons that synthetic domains share."""

import numpy as np
import pandas as pd


def busyness(times: pd.DatetimeIndex, weekend: float) -> np.ndarray:
    """Load of a public site at each time, 1 at the evening peak of a working day: a quiet night, office hours, an evening
    peak at half past eight. Weekends reach `weekend` of it, rise later, and blend in around midnight without a step."""
    hour = hour_of(times)
    of_week = times.day_of_week.to_numpy() * 24 + hour
    is_weekend = _rise(of_week - 120) - _rise(of_week - 168) + _rise(-of_week)
    return (1 - is_weekend) * _day(hour, 8.2, 0.52, 0.75) + is_weekend * weekend * _day(hour, 9.6, 0.42, 0.78)


def hour_of(times: pd.DatetimeIndex) -> np.ndarray:
    """Hours since midnight, with their fraction."""
    return ((times - times.normalize()) / pd.Timedelta(hours=1)).to_numpy(dtype=float)


def bump(hour: np.ndarray, at: float | np.ndarray, width: float) -> np.ndarray:
    """A daily bell of height 1 around an hour, over midnight too; `width` is its standard deviation in hours."""
    away = (hour - at + 12) % 24 - 12
    return np.exp(-0.5 * (away / width) ** 2)


def yearly(times: pd.DatetimeIndex, peak_day: float) -> np.ndarray:
    """A wave over the year, 1 on its day `peak_day` and -1 half a year later."""
    day = times.day_of_year.to_numpy() - 1 + hour_of(times) / 24
    return np.cos(2 * np.pi * (day - peak_day) / 365.25)


def _day(hour: np.ndarray, starts: float, office: float, evening: float) -> np.ndarray:
    at_work = _rise((hour - starts) / 0.9) * _rise((17.8 - hour) / 1.1)
    return 0.18 + office * at_work + evening * bump(hour, 20.4, 1.6)


def _rise(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))
