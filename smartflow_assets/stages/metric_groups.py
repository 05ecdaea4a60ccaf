"""Which metrics of a source share a model, and what that model depends on."""

import hashlib
import json
from collections.abc import Iterable, Sequence

from smartflow_assets.config.source import Source
from smartflow_assets.core.detection import MetricGroup, group_metrics
from smartflow_assets.stages.run import SourceRun


def metric_groups(run: SourceRun) -> list[MetricGroup]:
    """The metrics that have clean rows, grouped by their settings and their scale."""
    metrics = run.warehouse.read("SELECT DISTINCT metric FROM clean_series WHERE source = ? ORDER BY metric", [run.name])["metric"]
    return groups_of(run.source, metrics)


def groups_of(source: Source, metrics: Iterable[str]) -> list[MetricGroup]:
    """These metrics of a source, grouped by the settings that its YAML gives each, and by their scale."""
    return group_metrics((metric, source.detection(metric), source.metric(metric).transform == "log") for metric in metrics)


def featured_metrics(groups: Sequence[MetricGroup]) -> tuple[str, ...]:
    """The metrics whose features a detector reads: those that are judged by one that does, or all of the source where it compares them."""
    metrics = {metric: None for group in groups if group.reads_features for metric in group.metrics}
    if any(group.is_joint for group in groups):
        metrics = {metric: None for group in groups for metric in group.metrics}
    return tuple(metrics)


def fingerprint(run: SourceRun, group: MetricGroup) -> str:
    """What a model depends on: how its rows are made, how they are judged, and which days are special."""
    calendar = run.source.calendar
    special = [calendar.model_dump(mode="json", include={"holidays", "events"}, by_alias=True)] if calendar.has_special_days else []
    text = json.dumps([run.source.fingerprint, group.settings.model_dump(mode="json"), *special], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
