"""Preparation: regular series from raw rows, what models see of them, and what the business rules say."""

import dagster as dg

from smartflow_assets.defs.metadata import NOTE, kept, numbers, small_table, stage_asset
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import preparation


@stage_asset("clean_series", "preparation", ["pandas"], deps=["raw_records", "schema_checks"])
def clean_series(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Closed, settled buckets on a regular grid; every repair labelled."""
    cleaned = preparation.clean_series(options.run_with_bucket)
    context.log.info(str(cleaned))
    noted = {NOTE: cleaned.note} if cleaned.note else {}
    return dg.MaterializeResult(
        metadata=noted
        | numbers(
            {
                "dagster/row_count": cleaned.table_rows,
                "buckets": cleaned.row_count,
                "missing_buckets": cleaned.missing_count,
                "filled_buckets": cleaned.filled_count,
                "series": cleaned.series_count,
                "lag_seconds": cleaned.lag_seconds,
            }
        )
    )


@stage_asset("series_features", "preparation", ["pandas"], deps=["clean_series"])
def series_features(options: RunOptions) -> dg.MaterializeResult:
    """Rolling, lag, cyclic and calendar features; none looks ahead."""
    made = preparation.series_features(options.run_with_bucket)
    return dg.MaterializeResult(
        metadata=numbers({"dagster/row_count": made.table_rows, "feature_rows": made.row_count, "features": made.feature_count})
    )


@stage_asset("rule_violations", "preparation", ["pandas"], deps=["clean_series"])
def rule_violations(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """What the rules of the YAML file say; they override models, budget and warm-up."""
    judged = preparation.rule_violations(options.run_with_bucket)
    metadata = numbers({"dagster/row_count": judged.table_rows, "new_violations": judged.count})
    if len(judged.rows):
        metadata["newest"] = small_table(judged.rows.iloc[::-1], ["observed_at", "series", "rule", "severity", "message"])
    else:
        metadata |= kept(context, "newest")
    return dg.MaterializeResult(metadata=metadata)
