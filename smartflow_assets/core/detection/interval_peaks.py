"""Flagged rows as intervals, for those who read a list: what lies close together is one line."""

import pandas as pd

from smartflow_assets.core.series.facts import typical_step
from smartflow_assets.core.series.intervals import interval_numbers


def interval_peaks(scores: pd.DataFrame) -> pd.DataFrame:
    """A row for each interval of flagged rows of one series: that of its highest raw score, with `started_at`, `last_at`, the
    number of its flagged rows as `points`, and the worst `severity` in it. `scores` are all rows of the series, as `detect` returns them.
    """
    found = scores[scores["is_anomaly"]]
    step = typical_step(scores["observed_at"].dt.tz_localize(None).to_numpy())
    interval = interval_numbers(found, step)
    spans = found.groupby(interval)["observed_at"].agg(["min", "max", "size"])
    peaks = found.loc[found.groupby(interval)["raw_score"].idxmax()]
    return peaks.assign(
        started_at=spans["min"].to_numpy(),
        last_at=spans["max"].to_numpy(),
        points=spans["size"].to_numpy(),
        severity=found["severity"].groupby(interval).max().to_numpy(),
    )
