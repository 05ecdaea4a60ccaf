"""What the domains of evenly spaced series share: a domain says how its calm series behave, the events are drawn into them."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from smartflow_assets.core.generators.anomaly_events import Event, inject, labels_of
from smartflow_assets.core.generators.base import BaseGenerator, Generated
from smartflow_assets.core.generators.random_streams import Chance


class SeriesGenerator(BaseGenerator, frozen=True):
    """A domain of series: `calm` series within `bounds`."""

    def calm(self, times: pd.DatetimeIndex, chance: Chance) -> dict[str, np.ndarray]:
        """One array of floats per series, as long as `times`, in which nothing happens."""
        raise NotImplementedError

    def planned(self, times: pd.DatetimeIndex, values: dict[str, np.ndarray]) -> list[Event]:
        """Events at times given by the parameters; written into `values`, which still hold the calm series."""
        return []

    def table(self, times: pd.DatetimeIndex, values: Mapping[str, np.ndarray], chance: Chance) -> pd.DataFrame:
        """The series as the rows of a file: one row for each time, one column for each series."""
        return pd.DataFrame({"timestamp": times, **values})

    def piece(self, times: pd.DatetimeIndex, chance: Chance, anomaly_rate: float) -> Generated:
        calm = {name: self.bounds[name].applied(values) for name, values in self.calm(times, chance).items()}
        changed = {name: values.copy() for name, values in calm.items()}
        events = self.planned(times, changed)
        is_endless = chance.block is not None
        budget = anomaly_rate * len(times) if is_endless else round(anomaly_rate * len(times))
        for k, (name, bounds) in enumerate(self.bounds.items()):
            own = [event for event in events if event.series == name]
            events += inject(name, changed[name], bounds, own, budget, chance.rng(1000 + k), is_endless=is_endless)
        changed = {name: self.bounds[name].applied(values) for name, values in changed.items()}
        labels = self._labels(times, events, calm, changed)
        return Generated(self.table(times, changed, chance), labels, self.table(times, calm, chance))

    def _labels(
        self,
        times: pd.DatetimeIndex,
        events: Iterable[Event],
        calm: Mapping[str, np.ndarray],
        changed: Mapping[str, np.ndarray],
    ) -> pd.DataFrame:
        rows: list[tuple[str, pd.Timestamp, pd.Timestamp, str, float]] = []
        widths = {name: bounds.width(calm[name]) for name, bounds in self.bounds.items()}
        for event in sorted(events, key=lambda event: (event.first, event.series)):
            inside = slice(event.first, event.last + 1)
            change = np.abs(changed[event.series][inside] - calm[event.series][inside]).max() / widths[event.series]
            rows.append((event.series, times[event.first], times[event.last], event.type, round(float(change), 2)))
        return labels_of(rows)
