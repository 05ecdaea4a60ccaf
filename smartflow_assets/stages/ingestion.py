"""Ingestion: the reader of the source, and the commits of what is new."""

from dataclasses import replace
from datetime import timedelta

from smartflow_assets.adapters.ingest import Ingested, ingest
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.stages.maintenance.announcements import coming_prunings
from smartflow_assets.stages.run import SourceRun

FAR, FEW = timedelta(days=5 * 365), 0.01
"""Rows that lie so far before the newest and are no larger part of all are most likely not of the time that they say."""


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
        is_removal_accepted=run.is_removal_accepted,
        anew_from=run.reads_anew_from,
    )
    if stray := _stray_rows(run, read):
        read = replace(read, column_notes=(*read.column_notes, stray))
    if read.new_rows and (coming := coming_prunings(run.warehouse, run.name)):
        notes = [each.told for each in coming if raw_table(run.name) in each.rows]
        read = replace(read, column_notes=(*read.column_notes, *notes))
    for note in [*read.notes, *told(read)]:
        run.warn(note)
    return read


def _stray_rows(run: SourceRun, read: Ingested) -> str:
    """A few rows of long before all others, as clocks without a battery send them: buckets begin with the first row, and there is one for
    each hour of all the years between."""
    if not read.new_rows or read.first_at is None or read.last_at is None or read.last_at - read.first_at < FAR:
        return ""
    time = quoted_column(run.source.time_column)
    found = run.warehouse.read(
        f"""
        SELECT count(*) FILTER ({time} < ?) AS early, count(*) AS n, min({time}) AS first_at, min({time}) FILTER ({time} >= ?) AS others_at
        FROM {quoted(raw_table(run.name))}""",
        [read.last_at - FAR] * 2,
    ).iloc[0]
    if not 0 < found["early"] <= FEW * found["n"]:
        return ""
    years = (found["others_at"] - found["first_at"]).days // 365
    rows = f"{found['early']:,} rows lie" if found["early"] > 1 else "1 row lies"
    return (
        f"{rows} {years} years before the others, in {found['first_at']:%Y}, and buckets begin with the first row: take such rows out of "
        f"the feed, then `smartflow reset {run.name}` and run it again"
    )


def told(read: Ingested) -> list[str]:
    """What whoever started the run should hear: an assumption, columns that became numbers or stay text, files that were set aside."""
    assumed = [assumption(read.assumed_zone)] if read.assumed_zone else []
    pruned = [read.pruned_note] if read.pruned_note else []
    return [*assumed, *read.column_notes, *pruned, *map(str, read.set_aside)]


def assumption(zone: str) -> str:
    """What is told once of a source whose times name no zone and whose YAML names none for them."""
    return f"times without a zone are read as {zone}, the calendar's; `read: {{time: {{timezone: UTC}}}}` says otherwise"


def stored_rows(warehouse: Warehouse, source: str) -> int:
    """Rows in raw.<source>."""
    table = raw_table(source)
    if not warehouse.has_table(table):
        return 0
    return int(warehouse.read(f"SELECT count(*) AS n FROM {quoted(table)}")["n"].iloc[0])
