"""Ingestion: the rows of a source as they came, once each."""

from collections.abc import Sequence

import dagster as dg

from smartflow_assets.adapters.staging.bad_rows import Unreadable
from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS
from smartflow_assets.defs.metadata import NOTE, OWNERS, counted, numbers
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import ingestion, readability

READABLE = dg.AssetCheckSpec(
    "every_row_was_readable",
    asset="raw_records",
    partitions_def=SOURCES,
    description="No row of a file as it is now is in quarantine because its time or a metric could not be read. Red until they can be "
    "read, somebody drops them, or the file has them no more.",
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
        f"{read.quarantined_count:,} are in quarantine"
        if read.origins
        else "nothing new to read"
    )
    reader, held = options.run.source.read, readability.of_source(options.run.warehouse, options.run.source)
    check = dg.AssetCheckResult(
        check_name=READABLE.name,
        passed=not held,
        severity=dg.AssetCheckSeverity.WARN,
        description=_readability(options.run.name, read.row_count, held),
        metadata=numbers({"quarantined_rows": read.quarantined_count, "held_rows": sum(each.bad_count for each in held)}),
    )
    notes = [ingestion.assumption(read.assumed_zone)] if read.assumed_zone else []
    notes += [readability.told_together(read.unreadable)] if read.unreadable else []
    return dg.MaterializeResult(
        check_results=[check],
        metadata={"reads": f"{reader.type}: {reader.describe()}"}
        | ({NOTE: "; ".join(notes)} if notes else {})
        | numbers(
            {
                "dagster/row_count": ingestion.stored_rows(options.run),
                "rows_in": read.new_rows,
                "rows_read": read.row_count,
                "duplicate_rows": read.duplicate_count,
                "quarantined_rows": read.quarantined_count,
                "held_rows": sum(each.bad_count for each in held),
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
