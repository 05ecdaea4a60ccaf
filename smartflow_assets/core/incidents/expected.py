"""How large what belongs to an incident is by now: what an expectation is compared with (`core/feedback/expectations`)."""

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

import pandas as pd

from smartflow_assets.core.incidents.event_log import Row


class Deviations:
    """How far the anomalous ones of judged rows (of `grouping.merge_violations`) are from what was expected."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._of = defaultdict[str, list[tuple[datetime, float]]](list)
        flagged = rows[rows["is_anomalous"]]
        deviations = (flagged["value"] - flagged["expected"]).to_numpy(float)
        for series, at, deviation in zip(flagged["series"], flagged["observed_at"], deviations, strict=True):
            if math.isfinite(deviation):
                self._of[series].append((at, float(deviation)))

    def largest(self, series: str, anomalies: Iterable[Row], direction: str | None) -> float | None:
        """The largest of some anomalies of a series that go this way, without a sign; None where nothing was expected. Of rows, since the
        strangest row of an anomaly, whose deviation it has, may be another one once it has grown."""
        found = list[float]()
        for anomaly in anomalies:
            found += [deviation for at, deviation in self._of[series] if anomaly["started_at"] <= at < anomaly["ended_at"]]
            found += [] if anomaly["deviation"] is None else [float(anomaly["deviation"])]
        own = [abs(each) for each in found if direction is None or (each > 0) == (direction == "spike")]
        return max(own, default=None)
