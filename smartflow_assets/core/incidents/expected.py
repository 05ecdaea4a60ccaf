"""How large what belongs to an incident is by now: what an expectation is compared with (`core/feedback/expectations`)."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from smartflow_assets.core.incidents.event_log import Row


class Deviations:
    """How far the anomalous ones of judged rows (of `grouping.merge_violations`) are from what was expected."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows, self._known = rows, dict[str, tuple[Any, Any]]()

    def largest(self, series: str, anomalies: Iterable[Row], direction: str | None) -> float | None:
        """The largest of some anomalies of a series that go this way, without a sign; None where nothing was expected. Of rows, since the
        strangest row of an anomaly, whose deviation it has, may be another one once it has grown."""
        times, deviations = self._of(series)
        found = list[float]()
        for anomaly in anomalies:
            is_in = (times >= anomaly["started_at"]) & (times < anomaly["ended_at"])
            found += [float(each) for each in deviations[is_in]]
            found += [] if anomaly["deviation"] is None else [float(anomaly["deviation"])]
        own = [abs(each) for each in found if direction is None or (each > 0) == (direction == "spike")]
        return max(own, default=None)

    def _of(self, series: str) -> tuple[Any, Any]:
        if series not in self._known:
            own = self._rows[(self._rows["series"] == series) & self._rows["is_anomalous"]]
            deviation = (own["value"] - own["expected"]).to_numpy(float)
            is_known = np.isfinite(deviation)
            self._known[series] = own.loc[is_known, "observed_at"], deviation[is_known]
        return self._known[series]
