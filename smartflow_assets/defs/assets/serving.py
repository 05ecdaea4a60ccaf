"""Serving: the copy of the warehouse that analysts read at any time."""
import dagster as dg

from smartflow_assets.defs.metadata import asset_arguments, numbers
from smartflow_assets.defs.resources import RunOptions


@dg.asset(**asset_arguments("snapshot_info", "serving", ["python"], deps=["alert_sends"], description=(
    "analyst.duckdb: a copy of the warehouse, replaced in one step after each run. Notebooks and BI tools that hold it open block nobody; "
    "its schema `marts` holds the documented views.")))
def analyst_snapshot(options: RunOptions) -> dg.MaterializeResult:
    """Checkpoint, copy, replace. At once while the file is small, else at most once a minute."""
    run = options.run
    is_published = run.warehouse.publish(run.run_id)
    size = run.warehouse.published.stat().st_size if run.warehouse.published.exists() else 0
    return dg.MaterializeResult(metadata=numbers({"dagster/row_count": 1, "is_published": int(is_published), "megabytes": size / 1e6}))
