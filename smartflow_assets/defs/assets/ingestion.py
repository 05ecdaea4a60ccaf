"""Ingestion: the rows of a source as they came, once each."""

import dagster as dg

from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS
from smartflow_assets.defs.metadata import INCIDENT, NOTE, OWNERS, counted, numbers
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import ingestion

READABLE = dg.AssetCheckSpec(
    "every_row_was_readable",
    asset="raw_records",
    partitions_def=SOURCES,
    description="No row of this run was put into quarantine because its time or a metric could not be read.",
)
TAKEN = dg.AssetCheckSpec(
    "every_file_was_taken",
    asset="raw_records",
    partitions_def=SOURCES,
    description="No file of the inbox was set aside because it is a link or cannot be used. Red until it is mended or gone.",
)


@dg.asset(
    partitions_def=SOURCES,
    group_name="ingestion",
    owners=OWNERS,
    kinds={"duckdb", "python"},
    check_specs=[READABLE, TAKEN],
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
        f"{read.quarantined_count:,} are in quarantine"
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
    taken = dg.AssetCheckResult(
        check_name=TAKEN.name,
        passed=not read.set_aside,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(map(str, read.set_aside)) or "No file was set aside.",
        metadata=numbers({"files_set_aside": len(read.set_aside)}) | {INCIDENT: "warning"},
    )
    notes = ingestion.told(read)
    return dg.MaterializeResult(
        check_results=[check, taken],
        metadata={"reads": f"{reader.type}: {reader.describe()}"}
        | ({NOTE: "; ".join(notes)} if notes else {})
        | numbers(
            {
                "dagster/row_count": ingestion.stored_rows(options.run),
                "rows_in": read.new_rows,
                "rows_read": read.row_count,
                "duplicate_rows": read.duplicate_count,
                "quarantined_rows": read.quarantined_count,
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
