"""Ingestion: the rows of a source as they came, once each."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from smartflow_assets.adapters.staging.bad_rows import Unreadable
from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS
from smartflow_assets.defs.metadata import INCIDENT, NOTE, counted, described_columns, numbers, stage_asset
from smartflow_assets.defs.names import asset_key
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import ingestion, readability
from smartflow_assets.stages.arrivals import arriving
from smartflow_assets.stages.preparation import bucket_plan

READABLE = dg.AssetCheckSpec(
    "every_row_was_readable",
    asset=asset_key("raw_records"),
    partitions_def=SOURCES,
    description="No row of a file as it is now is in quarantine because its time or a metric could not be read. Red until they can be "
    "read, somebody drops them, or the file has them no more.",
)
TAKEN = dg.AssetCheckSpec(
    "every_file_was_taken",
    asset=asset_key("raw_records"),
    partitions_def=SOURCES,
    description="No file of the inbox was set aside because it is a link or cannot be used. Red until it is mended or gone.",
)


IN_TIME = dg.AssetCheckSpec(
    "rows_arrive_in_time",
    asset=asset_key("raw_records"),
    partitions_def=SOURCES,
    description="Rows come as they usually do at this hour of this weekday, or as `freshness` says. Red while the source is silent, which "
    "is one incident (cause freshness).",
)


@stage_asset(
    "raw.<source>",
    "ingestion",
    ["python"],
    check_specs=[READABLE, TAKEN, IN_TIME],
    columns=described_columns(RAW_COLUMNS),
    description="The rows of a source as they came, in the table `raw.<source>`: each row once, with where it came from. Columns of the "
    "source itself stand before these.",
)
def raw_records(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Read what is new, quarantine what cannot be read, commit both at once."""
    read = ingestion.raw_records(options.run)
    if read.origins:  # a line costs as much as all else of a run that finds nothing
        context.log.info(
            f"{counted(read.new_rows, 'new row')} from {', '.join(read.origins)}; {read.duplicate_count:,} were there already, "
            f"{read.quarantined_count:,} are in quarantine; {counted(read.removed_count, 'stored row')} corrected or removed"
            + (f", {counted(read.missing_count, 'stored row')} not in the file any more" if read.missing_count else "")
        )
    reader = options.run.source.read
    with options.run.warehouse.reading():
        held = readability.of_source(options.run.warehouse, options.run.source)
        stored = ingestion.stored_rows(options.run.warehouse, options.run.name)
        arrived = arriving(options.run_with_bucket, bucket_plan(options.run_with_bucket))
    check = dg.AssetCheckResult(
        check_name=READABLE.name,
        passed=not held,
        severity=dg.AssetCheckSeverity.WARN,
        description=_readability(options.run.name, read.row_count, held),
        metadata=numbers({"quarantined_rows": read.quarantined_count, "held_rows": sum(each.bad_count for each in held)}),
    )
    taken = dg.AssetCheckResult(
        check_name=TAKEN.name,
        passed=not read.set_aside,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(map(str, read.set_aside)) or "No file was set aside.",
        metadata=numbers({"files_set_aside": len(read.set_aside)}) | {INCIDENT: "warning"},
    )
    in_time = dg.AssetCheckResult(
        check_name=IN_TIME.name,
        passed=arrived.severity is None,
        severity=dg.AssetCheckSeverity.ERROR if arrived.severity == "critical" else dg.AssetCheckSeverity.WARN,
        description=arrived.said,
        metadata=numbers({"silent_hours": arrived.silent_for / timedelta(hours=1) if arrived.severity and arrived.silent_for else 0})
        | {INCIDENT: "that of its silence"},
    )
    notes = [*ingestion.told(read), *([readability.told_together(read.unreadable)] if read.unreadable else [])]
    return dg.MaterializeResult(
        check_results=[check, taken, in_time],
        metadata={"reads": f"{reader.type}: {reader.describe()}"}
        | ({"owner": owner} if (owner := options.run.source.owner) else {})
        | ({NOTE: "; ".join(notes)} if notes else {})
        | numbers(
            {
                "dagster/row_count": stored,
                "rows_in": read.new_rows,
                "rows_read": read.row_count,
                "duplicate_rows": read.duplicate_count,
                "quarantined_rows": read.quarantined_count,
                "held_rows": sum(each.bad_count for each in held),
                "removed_rows": read.removed_count,
                "missing_rows": read.missing_count,
                "withheld_rows": read.withheld_count,
                "pruned_rows": read.pruned_count,
            }
        ),
    )


def _readability(source: str, readable: int, held: Sequence[Unreadable]) -> str:
    """What the check says.

    >>> _readability("shop", 12095, [Unreadable("shop.csv", 1, 12095, "n is not a number")])
    '0.1 % of the rows of shop.csv cannot be read, 1 of 12,096: n is not a number. `smartflow quarantine shop` lists them.'
    >>> _readability("shop", 0, [])
    'Nothing new was read, and nothing is in quarantine.'
    """
    if held:
        return f"{readability.told_together(held)}. `smartflow quarantine {source}` lists them."
    return f"All of {counted(readable, 'row')} could be read." if readable else "Nothing new was read, and nothing is in quarantine."
