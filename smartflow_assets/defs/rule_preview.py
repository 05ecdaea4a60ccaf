"""The job `preview_rules`: what other settings of a source would have found in the last weeks, as a table and a picture.

Nothing is written. Its source is a partition, so the Launchpad offers those that there are; its fields have bounds. What a preview is
stands in `stages.experiments.rule_preview`; the API offers the same, with any change that may be made over it.
"""

import os
from datetime import timedelta
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field

from smartflow_assets.adapters.files.access import private
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.configuration_edit import proposed
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.core.rules import RatioToMedian, Threshold
from smartflow_assets.defs.metadata import counted, numbers, picture, plain_markdown, small_table
from smartflow_assets.defs.names import PREVIEW_JOB, prefixed
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.stages.experiments.rule_preview import RulePreview, previewer

_SHOWN = ["series", "started_at", "ended_at", "severity", "rules", "value", "expected"]


class Sensitivity(Enum):
    """As in the YAML, or as it is there."""

    as_it_is = "as_it_is"
    low = "low"
    medium = "medium"
    high = "high"


class PreviewOptions(dg.Config):
    """What is tried. As they stand the fields change nothing."""

    days: int = Field(default=28, ge=1, le=366, description="So many days before the newest row, 1 to 366.")
    sensitivity: Sensitivity = Field(default=Sensitivity.as_it_is, description="Where the threshold on the scores lies.")
    score: float = Field(
        default=0.0, ge=0, le=0.9999, description="Anomaly score from which a row is anomalous, 0.5 to 0.9999. 0: as it is."
    )
    ratio: float = Field(default=0.0, ge=0, le=20, description="`at_least` of each rule ratio_to_median, up to 20. 0: as it is.")
    times_limits: float = Field(
        default=1.0, ge=0.1, le=10, description="Times `above` of each rule threshold, 0.1 to 10: 0.9 is a tenth lower. 1: as it is."
    )

    def changes(self, source: Source) -> dict[str, Any]:
        """The same as changes of its YAML."""
        found = dict[str, Any]()
        if self.sensitivity is not Sensitivity.as_it_is:
            found["sensitivity"] = self.sensitivity.value
        if self.score:
            found["threshold.score"] = self.score
        listed = [(f"rules.{place}", rule) for place, rule in enumerate(source.rules)]
        listed += [
            (f"metrics.{at}.rules.{place}", rule) for at, metric in enumerate(source.metrics) for place, rule in enumerate(metric.rules)
        ]
        for path, rule in listed:
            if self.ratio and isinstance(rule, RatioToMedian) and rule.at_least is not None:
                found[f"{path}.at_least"] = self.ratio
            if self.times_limits != 1 and isinstance(rule, Threshold) and rule.above is not None:
                found[f"{path}.above"] = rule.above * self.times_limits
        return found


@dg.op(
    name=f"{prefixed(PREVIEW_JOB)}_op",
    out=dg.Out(dg.Nothing),
    description="Count the anomalies and messages that changed settings would have led to, on the published copy.",
)
def _preview(context: dg.OpExecutionContext, config: PreviewOptions) -> None:
    settings, name = Settings.from_environment(os.environ), context.partition_key
    catalogue = Catalogue.load(settings)
    source = catalogue.source(name)
    edit = proposed(settings, catalogue, name, config.changes(source))
    with private():
        made = previewer(name, settings, catalogue, timedelta(days=config.days))
        found = made.preview(edit.source)
        strangest = found.after.anomalies["series"].value_counts().index[:1].tolist()
        title = f"{name} {strangest[0] if strangest else ''}"
        drawn = picture(context, lambda: made.picture(edit.source, strangest[0]), title) if strangest else {}
    context.log.info(_summary(found))
    context.add_output_metadata(
        {
            "summary": dg.MetadataValue.md(plain_markdown(_summary(found))),
            "change": dg.MetadataValue.md(f"```diff\n{edit.diff}\n```" if edit.is_change else "none"),
            **numbers(
                {
                    "anomalies_before": found.before.counts.anomaly_count,
                    "anomalies_after": found.after.counts.anomaly_count,
                    "alerts_per_week_before": found.before.counts.alerts_per_week,
                    "alerts_per_week_after": found.after.counts.alerts_per_week,
                }
            ),
            "anomalies": small_table(found.after.anomalies.sort_values("started_at", ascending=False), _SHOWN),
            **drawn,
        }
    )


def _summary(found: RulePreview) -> str:
    before, after = found.before.counts, found.after.counts
    told = "; ".join(found.notes)
    return (
        f"{counted(after.anomaly_count, 'anomaly', 'anomalies')} and {after.alerts_per_week:g} alerts a week, with the present settings "
        f"{counted(before.anomaly_count, 'anomaly', 'anomalies')} and {before.alerts_per_week:g}"
        f"{f' ({told})' if told else ''}"
    )


@dg.job(
    name=prefixed(PREVIEW_JOB),
    partitions_def=SOURCES,
    executor_def=dg.in_process_executor,
    description="Preview other settings of one source on its last weeks: how many anomalies and messages they would have led to, and which "
    "anomalies. Nothing is written and nobody is told.",
)
def preview_rules_job() -> None:
    """One step."""
    _preview()
