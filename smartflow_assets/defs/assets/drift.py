"""Drift: whether rows are distributed as they were."""

import dagster as dg

from smartflow_assets.core.reports.drift_plot import drift_plot
from smartflow_assets.defs.metadata import INCIDENT, PICTURE, counted, kept, numbers, picture, small_table, stage_asset, told_briefly
from smartflow_assets.defs.names import asset_key
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import drift

USUAL = dg.AssetCheckSpec(
    drift.CHECK,
    asset=asset_key("drift_checks"),
    partitions_def=SOURCES,
    description="The newest days are distributed as those before them, as far as they usually are. Red while the newest comparison says "
    "otherwise; nothing is learnt from a drift by itself.",
)


@stage_asset("drift_checks", "quality", ["scikitlearn"], deps=["raw_records", "schema_checks"], check_specs=[USUAL])
def drift_checks(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Once for each day that has ended: the newest days against those before them, column by column and together."""
    compared = drift.drift_checks(options.run)
    if compared.report is not None:
        context.log.info(compared.summary)
    title, zone = f"Drift of {options.run.name}", options.run.source.calendar.timezone
    rows, drifted = compared.standing, compared.standing[compared.standing["is_drifted"].astype(bool)]
    metadata = numbers(
        {
            "dagster/row_count": compared.table_rows,
            "comparisons": 0 if compared.report is None else len(compared.report.checks),
            "drifted": len(drifted),
        }
    )
    if compared.report is None:
        metadata |= kept(context, "moved", PICTURE)
    else:
        metadata["moved"] = small_table(rows.sort_values("p_value"), ["column_name", "test", "statistic", "limit_value", "message"])
        if (report := compared.report).is_drifted:
            metadata |= picture(context, lambda: drift_plot(report, title=title, timezone=zone), title)
    usual = f"{counted(len(rows), 'comparison')}, none of them unusual." if len(rows) else f"Nothing compared yet: {compared.summary}."
    check = dg.AssetCheckResult(
        check_name=USUAL.name,
        passed=drifted.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=usual if drifted.empty else told_briefly(drifted["message"].tolist()),
        metadata=numbers({"comparisons": len(rows), "drifted": len(drifted)}) | {INCIDENT: "warning"},
    )
    return dg.MaterializeResult(metadata=metadata, check_results=[check])
