"""Exporting: the latest anomalies of a source as files, for those who want files."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from smartflow_assets.adapters.files.access import make_folder, offer
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.home import share_of
from smartflow_assets.stages.run import SourceRun


@dataclass(frozen=True)
class Exported:
    """The files, and the rows in each; None where they were left as they are."""

    files: tuple[Path, ...]
    row_count: int | None


SHOWN = ("anomalies", "clean_series", "configurations", "incident_events", "incidents")
"""The tables that marts.anomalies_latest is made of."""


def anomaly_exports(run: SourceRun) -> Exported:
    """Write the anomalies of the last 7 days of the source's data to `exports/<source>/anomalies.csv` and `.json`, newest first.

    Each file is replaced in one step, so that a program which reads it never meets half of one. Files that say what the warehouse
    says stay as they are.
    """
    run.report("anomaly_exports")
    folder, share = run.settings.exports / run.name, share_of(run.settings)
    for shared in (run.settings.exports, folder):
        make_folder(shared, share)
    query = f"SELECT * FROM marts.anomalies_latest WHERE source = {quoted_text(run.name)} ORDER BY started_at DESC, series"
    files = {form: folder / f"anomalies.{form}" for form in ("csv", "json")}
    changed_at = _changed_at(run)
    if changed_at is not None and all(path.exists() and path.stat().st_mtime_ns == changed_at for path in files.values()):
        return Exported(tuple(files.values()), None)
    counts = [run.warehouse.export(query, path, form) for form, path in files.items()]
    for path in files.values():
        offer(path, share)
        if changed_at is not None:
            os.utime(path, ns=(changed_at, changed_at))  # a time of writing could hide what another process commits meanwhile
    return Exported(tuple(files.values()), counts[0])


def _changed_at(run: SourceRun) -> int | None:
    """When something was written last that the files show, in nanoseconds since 1970; None where nothing was."""
    at = run.warehouse.read(
        "SELECT max(written_at) AS at FROM writes WHERE source = ? AND list_contains(?, table_name)", [run.name, list(SHOWN)]
    )["at"].iloc[0]
    return None if pd.isna(at) else int(at.timestamp() * 1_000_000) * 1000


def published_sources(warehouse: Warehouse) -> list[str]:
    """Every source of which the published copy holds rows or a run, by name."""
    rows = warehouse.published_read("SELECT source FROM clean_series UNION SELECT source FROM run_log")
    return sorted(rows["source"])
