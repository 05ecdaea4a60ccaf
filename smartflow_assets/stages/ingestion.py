"""Ingestion: the reader of the source, and one commit."""

from smartflow_assets.adapters.ingest import Ingested, ingest
from smartflow_assets.adapters.sql_quoting import quoted
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.stages.run import SourceRun


def raw_records(run: SourceRun) -> Ingested:
    """Take what is new of the source into raw.<source>; what cannot be read goes to quarantined_records."""
    run.report("raw_records")
    source, settings = run.source, run.settings
    read = ingest(
        run.warehouse,
        run.name,
        source.read,
        wanted=source.wanted,
        now=run.now,
        run_id=run.run_id,
        staging=settings.staging,
        data=settings.data,
        timezone=source.calendar.timezone,
        since=run.since,
        until=run.until,
        on_bad_rows=source.on_bad_rows,
    )
    for note in [*read.notes, *([assumption(read.assumed_zone)] if read.assumed_zone else [])]:
        run.warn(note)
    return read


def assumption(zone: str) -> str:
    """What is told once of a source whose times name no zone and whose YAML names none for them."""
    return f"times without a zone are read as {zone}, the calendar's; `read: {{time: {{timezone: UTC}}}}` says otherwise"


def stored_rows(run: SourceRun) -> int:
    """Rows in raw.<source>."""
    table = raw_table(run.name)
    if not run.warehouse.has_table(table):
        return 0
    return int(run.warehouse.read(f"SELECT count(*) AS n FROM {quoted(table)}")["n"].iloc[0])
