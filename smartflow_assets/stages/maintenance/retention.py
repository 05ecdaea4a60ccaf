"""Retention: what is older than somebody wants to keep goes, without anything being scored again or told again.

Rows that models learn from stay as long as their training window reaches, whatever is asked. A source without a YAML file
whose last run is older goes altogether.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.retention import PRUNABLE
from smartflow_assets.adapters.warehouse.tables import TABLES, raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Delete, Prune
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages.model_ledger import standing_models
from smartflow_assets.stages.record_models import remove_models

LEARNT_FROM = ("clean_series", "series_features")  # and the raw rows, from which they are made anew
RUN_ID = "prune"


@dataclass(frozen=True)
class Pruned:
    """What went of one source: rows by table, and from when on the rows stay that its models learn from."""

    source: str
    rows: dict[str, int]
    is_gone: bool = False
    learnt_from: datetime | None = None


def prune(warehouse: Warehouse, models: ModelStore, catalogue: Catalogue, *, before: datetime) -> Iterator[Pruned]:
    """Source by source, each in one commit."""
    for source in stored_sources(warehouse):
        declared = catalogue.sources.get(source)
        if source not in catalogue.names and source != "*" and _last_run(warehouse, source) < before:
            yield _remove(warehouse, models, source)
            continue
        learnt_from = before
        if declared is not None:
            newest = warehouse.read("SELECT max(observed_at) AS at FROM clean_series WHERE source = ?", [source])["at"].iloc[0]
            if not pd.isna(newest):
                learnt_from = min(before, newest.to_pydatetime() - declared.training.window, _learnt_from(warehouse, source) or before)
        writes = [Prune(table, source, learnt_from if table in LEARNT_FROM else before) for table in PRUNABLE]
        if declared is not None:
            writes.insert(0, Prune(raw_table(source), source, learnt_from, declared.time_column))
        elif source in catalogue.broken:
            writes = [write for write in writes if write.table not in LEARNT_FROM]  # how far its models look back is not known
        counts = warehouse.commit(RUN_ID, writes).row_counts
        rows = {name: count for name, count in counts.items() if count}
        yield Pruned(source, rows, learnt_from=learnt_from if learnt_from < before else None)


def stored_sources(warehouse: Warehouse) -> list[str]:
    """Every source that has rows in some table."""
    parts = [f"SELECT source FROM {spec.name}" for spec in TABLES.values() if spec.has_source and spec.name != "writes"]
    rows = warehouse.read(f"SELECT DISTINCT source FROM ({' UNION '.join(parts)}) WHERE source IS NOT NULL ORDER BY source")
    return rows["source"].tolist()


def _learnt_from(warehouse: Warehouse, source: str) -> datetime | None:
    """The first row that a standing model has learnt from: its state is rebuilt from there on."""
    first = standing_models(warehouse, source)["trained_from"].min()
    return None if pd.isna(first) else first.to_pydatetime()


def _last_run(warehouse: Warehouse, source: str) -> datetime:
    newest = warehouse.read("SELECT max(started_at) AS at FROM run_log WHERE source = ?", [source])["at"].iloc[0]
    return pd.Timestamp(0, tz="UTC").to_pydatetime() if pd.isna(newest) else newest.to_pydatetime()


def _remove(warehouse: Warehouse, models: ModelStore, source: str) -> Pruned:
    names = [spec.name for spec in TABLES.values() if spec.has_source and spec.name not in ("writes", "ingestions", "quarantined_records")]
    counts = warehouse.commit(RUN_ID, [Delete(raw_table(source), source), *(Delete(name, source) for name in names)]).row_counts
    models.remove(source)
    remove_models(models, source)
    return Pruned(source, {name: count for name, count in counts.items() if count}, is_gone=True)
