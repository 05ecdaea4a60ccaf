"""The newest anomaly of a run as a picture: its series with the usual range, and the explanation below it."""

from datetime import timedelta

import pandas as pd

from smartflow_assets.core import plots
from smartflow_assets.stages.detection import judged_rows
from smartflow_assets.stages.run import SourceRun

BEFORE, AFTER = timedelta(days=3), 12  # of the series; AFTER in buckets
LEAST = 48  # buckets before it, where three days have fewer


def anomaly_picture(run: SourceRun, anomalies: pd.DataFrame) -> bytes | None:
    """Of the newest of some anomalies; None when there is none."""
    if anomalies.empty:
        return None
    newest = anomalies.sort_values(["started_at", "anomaly_score"]).iloc[-1]
    step = run.source.time_bucket.every
    rows = judged_rows(run, newest["started_at"] - max(BEFORE, LEAST * step), newest["ended_at"] + AFTER * step)
    rows = rows[rows["series"] == newest["series"]]
    if rows.empty:
        return None
    return plots.series_plot(
        rows,
        rows[rows["is_anomalous"]],
        title=f"{run.name} {newest['series']}",
        unit=run.source.unit(newest["metric"]),
        timezone=run.source.calendar.timezone,
        caption=str(newest["explanation"]),
    )
