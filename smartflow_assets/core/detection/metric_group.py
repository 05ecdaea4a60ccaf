"""Metrics that share a model: those that are judged by the same settings, on the same scale."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from smartflow_assets.core.detection.settings import DetectionSettings

ALL_METRICS = "*"


@dataclass(frozen=True)
class MetricGroup:
    """Metrics that are judged by the same settings; `is_log` says that their detectors see logarithms.

    `label` stands in `trained_models.series`: `*` for all metrics of a source, else their names.
    """

    label: str
    metrics: tuple[str, ...]
    settings: DetectionSettings
    is_log: bool = False

    @classmethod
    def of_all(cls, settings: DetectionSettings, metrics: Iterable[str]) -> "MetricGroup":
        """All metrics there are, judged alike."""
        return cls(ALL_METRICS, tuple(metrics), settings)

    @property
    def detector(self) -> str:
        """What the training is called: auto, or the detectors by type."""
        detectors = self.settings.detectors
        return "auto" if detectors == "auto" else "+".join(detector.type for detector in detectors)

    @property
    def reads_features(self) -> bool:
        """Whether one of the detectors reads features beside the values."""
        return any(detector.needs_features for detector in self.settings.active())

    @property
    def is_joint(self) -> bool:
        """Whether one of the detectors compares all metrics of the source."""
        return any(detector.is_joint for detector in self.settings.active())

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of these metrics."""
        return frame[frame["metric"].isin(self.metrics)].reset_index(drop=True)


def group_metrics(settings: Iterable[tuple[str, DetectionSettings, bool]]) -> list[MetricGroup]:
    """Groups of metrics from (metric, its settings, whether it is judged by logarithms), in the order of their first metrics.

    >>> usual, own = DetectionSettings(), DetectionSettings(sensitivity="high")
    >>> [group.label for group in group_metrics([("a", usual, False), ("b", own, False), ("c", usual, False)])]
    ['a, c', 'b']
    >>> [group.label for group in group_metrics([("a", usual, False), ("c", usual, False)])]
    ['*']
    """
    groups: dict[tuple[DetectionSettings, bool], list[str]] = {}
    for metric, own, is_log in settings:
        groups.setdefault((own, is_log), []).append(metric)
    return [
        MetricGroup(ALL_METRICS if len(groups) == 1 else ", ".join(names), tuple(names), own, is_log)
        for (own, is_log), names in groups.items()
    ]
