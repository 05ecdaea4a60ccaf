"""Ingestion: the reader of the source, and one commit."""
from smartflow_assets.adapters.ingest import Ingested, ingest
from smartflow_assets.adapters.table_spec import quoted
from smartflow_assets.adapters.tables import raw_table
from smartflow_assets.stages.run import SourceRun


def raw_records(run: SourceRun) -> Ingested:
    """Take what is new of the source into raw.<source>; what cannot be read goes to quarantined_records."""
    run.report("raw_records")
    return ingest(run.warehouse, run.source, now=run.now, run_id=run.run_id, settings=run.settings, since=run.since, until=run.until)


def stored_rows(run: SourceRun) -> int:
    """Rows in raw.<source>."""
    table = raw_table(run.name)
    if table not in run.warehouse.tables():
        return 0
    return int(run.warehouse.read(f"SELECT count(*) AS n FROM {quoted(table)}")["n"].iloc[0])
