"""Exporting: the latest anomalies of a source as files, for those who want files."""

from dataclasses import dataclass
from pathlib import Path

from smartflow_assets.adapters.files.access import make_folder, offer
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.home import share_of
from smartflow_assets.stages.run import SourceRun


@dataclass(frozen=True)
class Exported:
    """The files, and the rows in each."""

    files: tuple[Path, ...]
    row_count: int


def anomaly_exports(run: SourceRun) -> Exported:
    """Write the anomalies of the last 7 days of the source's data to `exports/<source>/anomalies.csv` and `.json`, newest first.

    Each file is replaced in one step, so that a program which reads it never meets half of one.
    """
    run.report("anomaly_exports")
    folder, share = run.settings.exports / run.name, share_of(run.settings)
    for shared in (run.settings.exports, folder):
        make_folder(shared, share)
    query = f"SELECT * FROM marts.anomalies_latest WHERE source = {quoted_text(run.name)} ORDER BY started_at DESC, series"
    files = {form: folder / f"anomalies.{form}" for form in ("csv", "json")}
    counts = [run.warehouse.export(query, path, form) for form, path in files.items()]
    for path in files.values():
        offer(path, share)
    return Exported(tuple(files.values()), counts[0])


def published_sources(warehouse: Warehouse) -> list[str]:
    """Every source of which the published copy holds rows or a run, by name."""
    rows = warehouse.published_read("SELECT source FROM clean_series UNION SELECT source FROM run_log")
    return sorted(rows["source"])
