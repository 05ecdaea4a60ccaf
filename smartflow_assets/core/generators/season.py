"""How busy people keep a public site over the day and the week: the season that synthetic domains share."""
import numpy as np
import pandas as pd


def busyness(times: pd.DatetimeIndex, weekend: float) -> np.ndarray:
    """Load of a public site at each time, 1 at the evening peak of a working day: a quiet night, office hours, an evening
    peak at half past eight. Weekends reach `weekend` of it, rise later, and blend in around midnight without a step."""
    hour = ((times - times.normalize()) / pd.Timedelta(hours=1)).to_numpy(dtype=float)
    of_week = times.day_of_week.to_numpy() * 24 + hour
    is_weekend = _rise(of_week - 120) - _rise(of_week - 168) + _rise(-of_week)
    return (1 - is_weekend) * _day(hour, 8.2, 0.52, 0.75) + is_weekend * weekend * _day(hour, 9.6, 0.42, 0.78)


def _day(hour: np.ndarray, starts: float, office: float, evening: float) -> np.ndarray:
    from_peak = (hour - 20.4 + 12) % 24 - 12
    at_work = _rise((hour - starts) / 0.9) * _rise((17.8 - hour) / 1.1)
    return 0.18 + office * at_work + evening * np.exp(-0.5 * (from_peak / 1.6) ** 2)


def _rise(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))
