"""Which metrics of a source share a model: those that are judged by the same settings, on the same ruler."""

import hashlib
import json
from dataclasses import dataclass

import pandas as pd

from smartflow_assets.core.detection import DetectionSettings
from smartflow_assets.stages.run import SourceRun


@dataclass(frozen=True)
class MetricGroup:
    """Metrics of a source that are judged by the same settings, on the same ruler: `is_log` says that it is logarithmic. `label`
    stands in `trained_models.series`: * or the metrics."""

    label: str
    metrics: tuple[str, ...]
    settings: DetectionSettings
    is_log: bool = False

    @property
    def detector(self) -> str:
        """What the training is called: auto, or the detectors by type."""
        detectors = self.settings.detectors
        return "auto" if detectors == "auto" else "+".join(detector.type for detector in detectors)

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of these metrics."""
        return frame[frame["metric"].isin(self.metrics)].reset_index(drop=True)


def metric_groups(run: SourceRun) -> list[MetricGroup]:
    """The metrics that have clean rows, grouped by their settings and their ruler."""
    metrics = run.warehouse.read("SELECT DISTINCT metric FROM clean_series WHERE source = ? ORDER BY metric", [run.name])["metric"]
    groups: dict[tuple[DetectionSettings, bool], list[str]] = {}
    for metric in metrics:
        groups.setdefault((run.source.detection(metric), run.source.metric(metric).transform == "log"), []).append(metric)
    return [
        MetricGroup("*" if len(groups) == 1 else ", ".join(names), tuple(names), settings, is_log)
        for (settings, is_log), names in groups.items()
    ]


def fingerprint(run: SourceRun, group: MetricGroup) -> str:
    """What a model depends on: how its rows are made, and how they are judged."""
    text = json.dumps([run.source.fingerprint, group.settings.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
