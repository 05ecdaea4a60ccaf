"""Serving: the copy of the warehouse that analysts read at any time, and the latest anomalies as files."""

from typing import Any

import dagster as dg

from smartflow_assets.defs.failed_partitions import UNFAILED, gone_well
from smartflow_assets.defs.metadata import decoration, numbers, stage_asset
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import exporting
from smartflow_assets.stages.scheduling.looks import note_nothing_new


@stage_asset(
    "snapshot_info",
    "serving",
    ["python"],
    deps=["alert_sends"],
    check_specs=[UNFAILED],
    description="analyst.duckdb: a copy of the warehouse, replaced in one step as the run is closed, seconds after its last stage and "
    "whether it succeeded or not. Notebooks and BI tools that hold it open block nobody; its schema `marts` holds the documented views.",
)
def analyst_snapshot(options: RunOptions) -> dg.MaterializeResult:
    """The copy is made by `run_closing`, with the row of the run in it: copying here as well would write every file twice. All else is
    done by now, so what the next looks rest on is written down."""
    note_nothing_new(options.run_with_bucket)
    live = options.run.warehouse.path
    size = live.stat().st_size if live.exists() else 0
    return dg.MaterializeResult(
        metadata=numbers({"dagster/row_count": 1, "megabytes": size / 1e6})
        | {"file": dg.MetadataValue.path(options.run.warehouse.published)},
        check_results=[gone_well()],
    )


@stage_asset(
    "anomalies",
    "serving",
    ["csv", "json"],
    deps=["anomalies", "incidents"],
    description="data/exports/<source>/anomalies.csv and .json: the anomalies of the last 7 days of the source's data, newest first, each "
    "with its incident. For programs that want files; each is replaced in one step. `smartflow export` writes any other span.",
)
def anomaly_exports(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Write both files anew where they would change; where that fails those of the last run stay."""

    def write() -> dict[str, Any]:
        exported = exporting.anomaly_exports(options.run)
        return {
            **numbers({"dagster/row_count": exported.row_count, "bytes": sum(path.stat().st_size for path in exported.files)}),
            "csv": dg.MetadataValue.path(exported.files[0]),
            "json": dg.MetadataValue.path(exported.files[1]),
        }

    return dg.MaterializeResult(metadata=decoration(context, "the files of the latest anomalies", write))
