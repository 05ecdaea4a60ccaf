"""Readings: the values of metrics, held to what is declared of them, with label sets that do not grow without bound.

A home may have a thousand sources, and each label value is a series that Prometheus keeps for weeks. The first sources by name have
their own; the others become one, by what their metric says of folding. No name of a series and no free text ever gets here.
"""

from collections.abc import Collection, Iterator, Mapping

from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.serve.metrics.declarations import METRICS, MOST_CHANNELS, MOST_SOURCES, OTHER, Metric

Labels = tuple[str, ...]


class Readings:
    """Values by metric and labels. `sources` are those that have a file: what is left of others is of no interest, and would be old."""

    def __init__(self, sources: Collection[str] = (), channels: Collection[str] = ()) -> None:
        self.sources, self.channels = sorted(sources)[:MOST_SOURCES], sorted(channels)[:MOST_CHANNELS]
        self.is_folded = len(sources) > MOST_SOURCES
        self._all_sources = {*sources, OF_NO_SOURCE, OTHER}
        self._own = {"source": {*self.sources, OF_NO_SOURCE}, "channel": set(self.channels)}
        self._values: dict[str, dict[Labels, list[float]]] = {}

    def add(self, name: str, value: float | None, **labels: str) -> None:
        """Takes a value down; None is none. KeyError for a metric, ValueError for labels, that are not declared."""
        metric = METRICS[name]
        if tuple(labels) != metric.labels:
            raise ValueError(f"{name} has the labels {metric.labels}, not {tuple(labels)}")
        if value is None or value != value or labels.get("source", OTHER) not in self._all_sources:
            return
        key = tuple(self._bounded(label, text) for label, text in labels.items())
        self._values.setdefault(name, {}).setdefault(key, []).append(float(value))

    def zero(self, name: str, **labels: Collection[str]) -> None:
        """Says 0 for each combination of these label values that has no value yet: a series that is missing alerts nobody."""
        combinations: list[dict[str, str]] = [{}]
        for label, values in labels.items():
            combinations = [{**known, label: value} for known in combinations for value in values]
        known = self._values.setdefault(name, {})
        for combination in combinations:
            if tuple(combination.values()) not in known:
                self.add(name, 0.0, **combination)

    def beside(self, others: "Readings") -> "Readings":
        """These values with those of `others`, of other metrics of the same home."""
        self._values |= others._values
        return self

    @property
    def of_sources(self) -> list[str]:
        """The values of the label `source`, but for `*`."""
        return [*self.sources, *([OTHER] if self.is_folded else [])]

    def __iter__(self) -> Iterator[tuple[Metric, Mapping[Labels, float]]]:
        """Each metric that has values, in the order of the declarations, with one value for each set of labels."""
        for name, metric in METRICS.items():
            if values := self._values.get(name):
                yield metric, {key: metric.fold(each) for key, each in values.items()}

    def _bounded(self, label: str, text: str) -> str:
        own = self._own.get(label)
        return text if own is None or text in own else OTHER
