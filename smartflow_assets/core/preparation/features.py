"""What models see beside the value: where it stands against the last hour, yesterday, last week and the calendar.

Every feature of a row is a function of that row and the `lookback` before it, never of what follows, and the same to the
last bit however rows are split. Rolling windows end before the row, so that an anomaly does not hide in its own mean. Hours,
weekdays and "the same time of day" are of the calendar's zone.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, cast

import numpy as np
import pandas as pd

from smartflow_assets.core.series.series_id import metric_and_dimensions
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.time_grid import DAY, TimeGrid

SHORT = 12  # buckets: an hour at five minutes
LONG = 1440  # most buckets of the long window, which is a day
SEASONS_BACK = 7  # how many days (for daily buckets: weeks) the seasonal median looks back
CLOCK = timedelta(hours=1)  # a clock is changed by this at most, else "the same time of day" is unknown for a week

SIBLING_PREFIX = "residual of "
FEATURES: dict[str, str] = {
    "rolling_mean_short": "Mean of the 12 buckets before.",
    "rolling_std_short": "Standard deviation of the 12 buckets before.",
    "rolling_median_short": "Median of the 12 buckets before.",
    "rolling_mean_long": "Mean of the day before (a week for daily buckets; at most 1,440 buckets).",
    "rolling_std_long": "Standard deviation of the day before.",
    "rolling_median_long": "Median of the day before.",
    "difference": "Value minus the value one bucket before.",
    "difference_short": "Value minus the value 12 buckets before.",
    "lag_1": "Value one bucket before.",
    "lag_2": "Value two buckets before.",
    "lag_3": "Value three buckets before.",
    "lag_day": "Value at the same time of day, one day before.",
    "lag_week": "Value at the same time of day, one week before.",
    "ratio_to_median": "Value over the median of the day before; 1 is usual.",
    "hour_sin": "Hour of the day on a circle, sine.",
    "hour_cos": "Hour of the day on a circle, cosine.",
    "weekday_sin": "Day of the week on a circle, sine.",
    "weekday_cos": "Day of the week on a circle, cosine.",
    "month_sin": "Month of the year on a circle, sine.",
    "month_cos": "Month of the year on a circle, cosine.",
    "is_weekend": "1 on Saturdays and Sundays.",
    "is_holiday": "1 on public holidays of the calendar's country.",
    "seasonal_residual": "Value minus the median of the same time of day over the last 7 days, less the median of the same over "
    "the 12 buckets before: how far the value leaves its season, whatever the level of today.",
}
"""Every feature and what it means, in the unit of the value where it has one."""


def lookback(step: timedelta) -> timedelta:
    """How far before the first wanted row `compute` must see for exact values."""
    return max(_season(step) * SEASONS_BACK, _long(step) * step) + (SHORT + 1) * step + CLOCK


def residual_column(step: timedelta) -> str:
    """The feature that says how far a value is from what was usual then: the seasonal one where the step has a season."""
    return "seasonal_residual" if _season(step) else "difference"


def compute(frame: pd.DataFrame, *, step: timedelta, calendar: Calendar) -> pd.DataFrame:
    """One row for each of `frame` (series, observed_at, value; NaN = missing), in its order: series, observed_at and one
    float64 column per entry of FEATURES, NaN where the past does not hold enough.

    Rows that lie off the grid of `step` count to the bucket they lie in. Rows whose `lookback` is in the frame are exact.
    Lags of a day and a week, and the seasonal residual, need steps from a minute to a day.
    """
    grid = TimeGrid(step, calendar)
    numbers = grid.number(frame["observed_at"])
    values = frame["value"].to_numpy(dtype=float, na_value=np.nan)
    values = np.where(np.isfinite(values), values, np.nan)
    found = np.full((len(frame), len(FEATURES)), np.nan)
    for rows in frame.groupby("series", sort=False).indices.values():
        rows = rows[np.argsort(numbers[rows], kind="stable")]
        apart = lookback(step) // step + 1  # rows further apart do not see each other: a stray time must not cost memory
        for piece in np.split(rows, np.flatnonzero(np.diff(numbers[rows]) > apart) + 1):
            found[piece] = _of_piece(numbers[piece], values[piece], grid)
    features = pd.DataFrame(found, columns=list(FEATURES))
    _add_calendar(features, frame["observed_at"], calendar)
    return pd.concat([frame[["series", "observed_at"]].reset_index(drop=True), features], axis=1).set_index(frame.index)


def _of_piece(numbers: np.ndarray, values: np.ndarray, grid: TimeGrid) -> np.ndarray:
    """Features (rows x FEATURES) of one stretch of one series; those of the calendar stay NaN."""
    from smartflow_assets.core.kernels import rolling

    before = cast(Any, rolling).before  # numba compiles it, and has no types
    at = numbers - numbers[0]
    series = np.full(at[-1] + 1, np.nan)
    series[at] = values
    short, long = np.empty((3, len(series))), np.empty((3, len(series)))
    before(series, SHORT, *short)
    before(series, _long(grid.every), *long)
    parts = {
        "rolling_mean_short": short[0],
        "rolling_std_short": short[1],
        "rolling_median_short": short[2],
        "rolling_mean_long": long[0],
        "rolling_std_long": long[1],
        "rolling_median_long": long[2],
        "difference": series - _lag(series, 1),
        "difference_short": series - _lag(series, SHORT),
        "lag_1": _lag(series, 1),
        "lag_2": _lag(series, 2),
        "lag_3": _lag(series, 3),
        "ratio_to_median": np.divide(series, long[2], out=np.full(len(series), np.nan), where=long[2] != 0),
    }
    if season := _season(grid.every):
        past = _same_time(series, int(numbers[0]), grid, season)
        parts["lag_day"] = past[1] if season == DAY else _lag(series, 1)
        parts["lag_week"] = past[7 * DAY // season]
        residual = series - _median(past[1:])
        level = np.empty((3, len(series)))
        before(residual, SHORT, *level)
        parts["seasonal_residual"] = residual - level[2]
    return np.column_stack([parts[name][at] if name in parts else np.full(len(at), np.nan) for name in FEATURES])


def _season(step: timedelta) -> timedelta:
    """The season that is looked back on: a day, for daily buckets a week; zero for others, which have none."""
    if timedelta(minutes=1) <= step < DAY and DAY % step == timedelta(0):
        return DAY
    return 7 * DAY if step == DAY else timedelta(0)


def _long(step: timedelta) -> int:
    """Buckets of the long window."""
    return min(LONG, max(SHORT, DAY // step)) if step < DAY else 7


def _lag(series: np.ndarray, rows: int) -> np.ndarray:
    return np.concatenate([np.full(min(rows, len(series)), np.nan), series[:-rows]])


def _same_time(series: np.ndarray, first: int, grid: TimeGrid, season: timedelta) -> np.ndarray:
    """Values 0, 1, .. `SEASONS_BACK` seasons earlier at the same local time (SEASONS_BACK + 1 x rows)."""
    at, past = np.arange(len(series)), np.full((SEASONS_BACK + 1, len(series)), np.nan)
    past[0] = series
    times = grid.start(first + at)
    offset, every = _utc_offset(times, grid), np.timedelta64(grid.every)
    for k in range(1, SEASONS_BACK + 1):
        source = at - k * (season // grid.every)
        if not grid.is_local:
            shift = offset - _utc_offset(times - k * season, grid)  # in summer nine o'clock comes an hour earlier in UTC
            source += (shift + every // 2) // every
            source[np.abs(shift) > np.timedelta64(CLOCK)] = -1
        is_known = source >= 0
        past[k, is_known] = series[source[is_known]]
    return past


def _utc_offset(times: pd.DatetimeIndex, grid: TimeGrid) -> np.ndarray:
    zone = times.tz_convert(grid.calendar.timezone)
    return (zone.tz_localize(None) - times.tz_localize(None)).to_numpy()


def _median(past: np.ndarray) -> np.ndarray:
    """Median of the known values of each column; NaN where there are none. By sorting, as numpy's nanmedian is slow."""
    ordered = np.sort(past, axis=0)  # NaN last
    count = np.isfinite(ordered).sum(axis=0)
    column = np.arange(int(past.shape[1]))
    low, high = ordered[np.maximum(count - 1, 0) // 2, column], ordered[count // 2, column]
    return np.where(count > 0, (low + high) / 2, np.nan)


def _add_calendar(features: pd.DataFrame, times: pd.Series, calendar: Calendar) -> None:
    local = calendar.local(times)
    hour = local.hour + local.minute / 60 + local.second / 3600
    for name, share in (("hour", hour / 24), ("weekday", local.day_of_week / 7), ("month", (local.month - 1) / 12)):
        features[f"{name}_sin"], features[f"{name}_cos"] = np.sin(2 * np.pi * share), np.cos(2 * np.pi * share)
    features["is_weekend"] = (local.day_of_week >= 5).astype(float)
    features["is_holiday"] = calendar.is_holiday(times).astype(float)


def with_siblings(features: pd.DataFrame, *, step: timedelta, names: Collection[str] = ()) -> pd.DataFrame:
    """Features beside those of their siblings, the series with the same dimensions and another metric, for detectors that judge all
    metrics of a source at once.

    `features` (series, observed_at, …) gains a column `residual of <metric>` for each metric in it, in the unit of that metric, at
    the same time; NaN where it has no row then. A residual is the seasonal one, or for steps without a season the change since the
    row before. names: columns that must be there, whether or not their metric has come. Columns that are there stay.
    """
    if not any(str(column).startswith(SIBLING_PREFIX) for column in features.columns):
        parts = {name: metric_and_dimensions(str(name)) for name in features["series"].unique()}
        keys = pd.DataFrame(
            {
                "metric": [parts[name][0] for name in features["series"]],
                "dimensions": [parts[name][1] for name in features["series"]],
                "observed_at": features["observed_at"].to_numpy(),
                "residual": features[residual_column(step)].to_numpy(),
            }
        )
        wide = keys.pivot(index=["dimensions", "observed_at"], columns="metric", values="residual").add_prefix(SIBLING_PREFIX)
        found = wide.reindex(pd.MultiIndex.from_frame(keys[["dimensions", "observed_at"]])).set_index(features.index)
        features = pd.concat([features, found], axis=1)
    return features.assign(**{name: np.nan for name in names if name.startswith(SIBLING_PREFIX) and name not in features.columns})
