"""Detection: a score for every new bucket, and intervals of strange ones as anomalies."""

from datetime import datetime
from typing import Any

import dagster as dg
import pandas as pd

from smartflow_assets.defs.metadata import NOTE, counted, is_drawn_lately, kept, numbers, picture, small_table, stage_asset
from smartflow_assets.defs.names import asset_key
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import detection, quality, records

QUIET = dg.AssetCheckSpec(
    "no_new_anomalies",
    asset=asset_key("anomalies"),
    partitions_def=SOURCES,
    description="Nothing anomalous began in this run. A warning only: incidents and alerts are the business of `incidents`.",
)


@stage_asset("anomaly_scores", "detection", ["pandas", "scikitlearn"], deps=["series_features", "trained_models"])
def anomaly_scores(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Score what has no score yet with the newest model; a score once given stands."""
    scored = detection.anomaly_scores(options.run_with_bucket)
    context.log.info(scored.summary)
    noted = {NOTE: f"warming up: {scored.waiting}"} if scored.waiting and not scored.scored_count else {}
    metadata: dict[str, Any] = noted | numbers(
        {
            "dagster/row_count": scored.table_rows,
            "rows_scored": scored.scored_count,
            "rows_warming_up": scored.warming_count,
            "anomalous_rows": scored.anomalous_count,
            "anomaly_rate": scored.anomaly_rate,
            "highest_score": scored.highest_score,
        }
    )
    if len(scored.strangest):
        metadata["strangest"] = small_table(scored.strangest, ["observed_at", "series", "value", "anomaly_score"])
        if scored.anomalous_count or not is_drawn_lately(context):  # calm rows every few minutes change nothing that one sees
            metadata |= picture(context, lambda: detection.score_picture(options.run_with_bucket, scored.strangest), "newest scores")
        else:
            metadata |= kept(context, "plot")
    else:
        metadata |= kept(context, "strangest", "plot")
    return dg.MaterializeResult(metadata=metadata)


@stage_asset("record_anomalies", "detection", ["pandas", "scikitlearn"], deps=["clean_series"])
def record_anomalies(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Judge the records of each bucket whose raw rows have changed, by the model of its time; keep the strange ones."""
    judged = records.record_anomalies(options.run_with_bucket)
    context.log.info(judged.summary)
    metadata: dict[str, Any] = {"outcome": judged.summary} | numbers(
        {
            "dagster/row_count": judged.table_rows,
            "records_judged": judged.judged_count,
            "strange_records": judged.anomalous_count,
            "anomaly_rate": judged.anomaly_rate,
        }
    )
    if not len(judged.strangest):
        return dg.MaterializeResult(metadata=metadata | kept(context, "strangest", "plot"))
    metadata["strangest"] = small_table(judged.strangest, ["observed_at", "severity", "explanation"])
    metadata |= picture(context, lambda: records.record_picture(options.run_with_bucket), "strange records by bucket")
    return dg.MaterializeResult(metadata=metadata)


@stage_asset(
    "anomalies",
    "detection",
    ["pandas"],
    deps=["anomaly_scores", "rule_violations", "record_anomalies", "data_profile"],
    check_specs=[QUIET],
)
def anomalies(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Rows that the ensemble or a rule calls anomalous, grouped into intervals with type, severity and explanation."""
    grouped = detection.anomalies(options.run_with_bucket)
    check = dg.AssetCheckResult(
        check_name=QUIET.name,
        passed=grouped.new_count == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{counted(grouped.new_count, 'anomaly', 'anomalies')} began in this run.",
        metadata=numbers({"new_anomalies": grouped.new_count}),
    )
    metadata = numbers({"dagster/row_count": grouped.table_rows, "anomaly_count": grouped.new_count})
    if len(grouped.rows):
        newest = grouped.rows.sort_values("started_at", ascending=False)
        metadata["newest"] = small_table(newest, ["started_at", "series", "severity", "explanation"])
        metadata |= picture(context, lambda: detection.anomaly_picture(options.run_with_bucket, newest), "newest anomaly")
    else:
        metadata |= kept(context, "newest", "plot")
    return dg.MaterializeResult(metadata=metadata, check_results=[check])


@stage_asset("detection_quality", "detection", ["scikitlearn"], deps=["anomaly_scores", "rule_violations"])
def detection_quality(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """How well the labelled anomalies of the source were found (a source without labels says so), and what share of the incidents that
    people judged was right."""
    measured = quality.detection_quality(options.run_with_bucket)
    context.log.info(measured.summary)
    metadata: dict[str, Any] = {"outcome": measured.summary} | numbers({"dagster/row_count": measured.table_rows})
    if (said := measured.feedback) is not None:
        counts = {"called_right": said.true_positives, "called_false": said.false_positives}
        metadata |= numbers({"precision_by_feedback": said.precision, **counts})
    if (found := measured.quality) is None:
        return dg.MaterializeResult(metadata=metadata | kept(context, "series", "plot"))
    metadata |= numbers({name: value for name, value in quality.figures(found).items() if not isinstance(value, datetime)})
    metadata["series"] = small_table(
        pd.DataFrame(
            [
                {
                    "series": each.series,
                    "found": f"{each.events.hits} of {each.events.hits + each.events.misses}",
                    "false alerts": each.events.false_alerts,
                    "pr_auc": each.pr_auc,
                }
                for each in sorted(found.series, key=lambda each: each.events.f1)
            ]
        ),
        ["series", "found", "false alerts", "pr_auc"],
    )
    metadata |= picture(context, measured.draw, "ROC and precision-recall curves")
    return dg.MaterializeResult(metadata=metadata)
