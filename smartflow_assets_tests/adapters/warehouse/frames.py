"""Small frames of series rows, for the tests of the warehouse and the processes they start."""

from datetime import datetime, timedelta

import pandas as pd

START = pd.Timestamp("2024-05-01 00:00", tz="UTC")
STEP = timedelta(minutes=5)


def at(index: int) -> datetime:
    """Start of the bucket with this number."""
    return START + index * STEP


def clean(values: list, series: str = "requests", first: int = 0) -> pd.DataFrame:
    """Rows of clean_series, one for each value, from the bucket `first` on."""
    return pd.DataFrame(
        {
            "series": series,
            "metric": "requests",
            "dimensions": [{"region": "eu"}] * len(values),
            "observed_at": pd.DatetimeIndex([at(first + index) for index in range(len(values))]).as_unit("us"),
            "value": pd.Series(values, dtype="float64"),
            "repair": "none",
        }
    )
