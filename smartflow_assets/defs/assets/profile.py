"""The profile of raw rows, bucket by bucket: how many, what they lack, what they are."""

from typing import Any

import dagster as dg
import pandas as pd

from smartflow_assets.defs.metadata import (
    NOTE,
    PICTURE,
    is_drawn_lately,
    kept,
    numbers,
    picture,
    small_table,
    stage_asset,
    told_briefly,
)
from smartflow_assets.defs.names import asset_key
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import profile

_STANDS = "Red for a day after the newest bucket that is not. A warning: incidents are the business of `incidents`."
VOLUMES = dg.AssetCheckSpec(
    profile.VOLUMES_CHECK,
    asset=asset_key("data_profile"),
    partitions_def=SOURCES,
    description=f"As many rows came as usually do at that time of the week. {_STANDS}",
)
VALUES = dg.AssetCheckSpec(
    profile.VALUES_CHECK,
    asset=asset_key("data_profile"),
    partitions_def=SOURCES,
    description=f"As many values are missing as usual, the categories are those that usually come, and columns that no metric measures are "
    f"as large as they usually are. {_STANDS}",
)


@stage_asset("profile_series", "quality", ["pandas", "scikitlearn"], deps=["raw_records"], check_specs=[VOLUMES, VALUES])
def data_profile(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Count and judge each bucket that is over, once, and again where its rows have changed."""
    run = options.run_with_bucket
    made = profile.data_profile(run)
    context.log.info(made.summary)
    metadata: dict[str, Any] = numbers(
        {"dagster/row_count": made.table_rows, "figures": made.figure_count, "unusual_figures": len(made.unusual)}
    )
    if made.left_out:
        metadata[NOTE] = made.left_out
    if not made.figure_count or made.newest_at is None:
        metadata |= kept(context, "unusual", PICTURE)
    else:
        if len(made.unusual):
            metadata["unusual"] = small_table(made.unusual, ["observed_at", "series", "message"])
        metadata |= _pictures(context, made, run)
    checks = [
        _check(made, VOLUMES.name, made.unusual[made.unusual["metric"] == profile.ROW_COUNT], "rows", run.source.calendar.timezone),
        _check(made, VALUES.name, made.unusual[made.unusual["metric"] != profile.ROW_COUNT], "values", run.source.calendar.timezone),
    ]
    return dg.MaterializeResult(metadata=metadata, check_results=checks)


def _pictures(context: dg.AssetExecutionContext, made: profile.Profiled, run: Any) -> dict[str, Any]:
    """The rows, and beside them the figure that is strangest; calm ones once an hour."""
    assert made.newest_at is not None
    newest_at = made.newest_at
    if made.unusual.empty and is_drawn_lately(context):
        return kept(context, PICTURE)
    drawn = picture(context, lambda: profile.profile_picture(run, newest_at, profile.ROW_COUNT, profile.ROW_COUNT), "rows by bucket")
    others = made.unusual[made.unusual["metric"] != profile.ROW_COUNT].sort_values("anomaly_score", ascending=False)
    if len(others):
        series, metric = others[["series", "metric"]].iloc[0]
        strangest = picture(context, lambda: profile.profile_picture(run, newest_at, series, metric), str(series))
        drawn |= {f"{PICTURE}_of_strangest": shown for name, shown in strangest.items() if name == PICTURE}
    return drawn


def _check(made: profile.Profiled, name: str, unusual: pd.DataFrame, what: str, timezone: str) -> dg.AssetCheckResult:
    """Whether anything is unusual, in sentences with their times."""
    said = [f"{at.tz_convert(timezone):%a %H:%M}: {text}" for at, text in zip(unusual["observed_at"], unusual["message"], strict=True)]
    if made.newest_at is None:
        calm = f"Nothing counted yet: {made.summary}."
    else:
        calm = f"Nothing unusual in the {what} of the newest day, up to {made.newest_at.tz_convert(timezone):%Y-%m-%d %H:%M}."
    return dg.AssetCheckResult(
        check_name=name,
        passed=unusual.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=calm if unusual.empty else told_briefly(said),
        metadata=numbers({"unusual_figures": len(unusual), "buckets": int(unusual["observed_at"].nunique())}),
    )
