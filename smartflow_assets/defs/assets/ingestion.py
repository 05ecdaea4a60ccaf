"""Ingestion: the rows of a source as they came, once each."""

import dagster as dg

from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS
from smartflow_assets.defs.metadata import NOTE, OWNERS, counted, numbers
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import ingestion

READABLE = dg.AssetCheckSpec(
    "every_row_was_readable",
    asset="raw_records",
    partitions_def=SOURCES,
    description="No row of this run was put into quarantine because its time or a metric could not be read.",
)


@dg.asset(
    partitions_def=SOURCES,
    group_name="ingestion",
    owners=OWNERS,
    kinds={"duckdb", "python"},
    check_specs=[READABLE],
    description="The rows of a source as they came, in the table raw.<source>: each row once, with where it came from. Columns of the "
    "source itself stand before these.",
    metadata={
        "dagster/table_name": "raw.<source>",
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(name=column.name, type=column.type, description=column.description) for column in RAW_COLUMNS]
        ),
    },
)
def raw_records(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Read what is new, quarantine what cannot be read, commit both at once."""
    read = ingestion.raw_records(options.run)
    context.log.info(
        f"{counted(read.new_rows, 'new row')} from {', '.join(read.origins)}; {read.duplicate_count:,} were there already, "
        f"{read.quarantined_count:,} are in quarantine; {counted(read.removed_count, 'stored row')} corrected or removed"
        + (f", {counted(read.missing_count, 'stored row')} not in the file any more" if read.missing_count else "")
        if read.origins
        else "nothing new to read"
    )
    reader = options.run.source.read
    check = dg.AssetCheckResult(
        check_name=READABLE.name,
        passed=read.quarantined_count == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=_readability(read.row_count, read.quarantined_count),
        metadata=numbers({"quarantined_rows": read.quarantined_count}),
    )
    assumed = {NOTE: ingestion.assumption(read.assumed_zone)} if read.assumed_zone else {}
    return dg.MaterializeResult(
        check_results=[check],
        metadata={"reads": f"{reader.type}: {reader.describe()}"}
        | assumed
        | numbers(
            {
                "dagster/row_count": ingestion.stored_rows(options.run),
                "rows_in": read.new_rows,
                "rows_read": read.row_count,
                "duplicate_rows": read.duplicate_count,
                "quarantined_rows": read.quarantined_count,
                "removed_rows": read.removed_count,
                "missing_rows": read.missing_count,
                "withheld_rows": read.withheld_count,
            }
        ),
    )


def _readability(readable: int, quarantined: int) -> str:
    """What the check says.

    >>> _readability(12095, 1)
    '1 of 12,096 rows could not be read: see quarantined_records for the reason.'
    >>> _readability(0, 0)
    'Nothing new was read.'
    """
    if quarantined:
        return f"{quarantined:,} of {counted(readable + quarantined, 'row')} could not be read: see quarantined_records for the reason."
    return f"All of {counted(readable, 'row')} could be read." if readable else "Nothing new was read."
