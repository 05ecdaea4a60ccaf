"""Retention: what is older than somebody wants to keep goes, without anything being scored again or told again.

By `retention:` it goes each day (`prune_by_settings`). A pruning that would take more than what has grown old since the last one, such as
the first of a home or one after a change of the settings, is announced, and done two weeks later. By hand (`prune`) everything
older than a moment goes at once, except what models learn from. A source without a YAML file whose last run is older goes
altogether.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.retention import PRUNABLE
from smartflow_assets.adapters.warehouse.tables import TABLES, raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Delete, Prune, Write
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.retention import NEVER
from smartflow_assets.config.source import Source
from smartflow_assets.core.errors import SmartflowError, WarehouseBusyError
from smartflow_assets.stages.bucket_resolution import with_known_bucket
from smartflow_assets.stages.maintenance.announcements import Pruned, due_at, entry_row, newest_entry
from smartflow_assets.stages.maintenance.kept_times import KeptFrom, kept_from, of_no_source, of_the_clock, series_without_rows
from smartflow_assets.stages.model_ledger import learnt_from_on
from smartflow_assets.stages.record_models import remove_models

LEARNT_FROM = ("clean_series", "series_features")  # and the raw rows, from which they are made anew
RUN_ID = "prune"
PATIENCE = timedelta(minutes=1)  # for a run that has the source; the next pruning is not far
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_BESIDE = ("writes", "prunings", "ingestions", "quarantined_records")  # of a removed source they stay, or go with its raw table


def prune_by_settings(
    warehouse: Warehouse,
    models: ModelStore,
    catalogue: Catalogue,
    *,
    now: datetime,
    run_id: str,
    is_at_once: bool = False,
    is_dry: bool = False,
) -> Iterator[Pruned]:
    """Source by source, each in one commit, by its `retention:`. Run again it finds nothing.

    `is_at_once`: nothing is announced first, since a person has asked for it. `is_dry`: what would go is counted, nothing is written.
    """
    for source in stored_sources(warehouse):
        if source in catalogue.broken:
            why = "its file cannot be used, so how far it looks back is not known (smartflow validate)"
            yield Pruned(source, problem=why, is_left=True)
            continue
        lock = AdvisoryLock(catalogue.settings.locks / f"{source if source != '*' else 'pruning-all'}.lock")
        try:
            with lock.exclusive(PATIENCE, holder=run_id):
                pruned = _prune_source(warehouse, models, catalogue, source, now, run_id, is_at_once=is_at_once, is_dry=is_dry)
        except SmartflowError as error:
            pruned = Pruned(source, problem=str(error), is_left=isinstance(error, WarehouseBusyError))
        yield pruned


def _prune_source(
    warehouse: Warehouse,
    models: ModelStore,
    catalogue: Catalogue,
    source: str,
    now: datetime,
    run_id: str,
    *,
    is_at_once: bool,
    is_dry: bool,
) -> Pruned:
    declared = catalogue.sources.get(source)
    ages = declared.retention if declared else catalogue.default_retention
    is_gone = declared is None and source != "*" and ages.raw != NEVER and _last_run(warehouse, source) < now - ages.raw
    if declared is not None:
        declared = with_known_bucket(declared, warehouse)
        kept = kept_from(warehouse, declared, ages, now)
        writes: list[Write] = list(_by_age(source, kept))
        if kept.raw is not None:
            writes = [*_of_raw_rows(warehouse, declared, kept.raw), *writes]
    else:
        kept = of_no_source(ages, now) if source == "*" else of_the_clock(ages, now)
        writes = list(_removal(warehouse, source)) if is_gone else list(_by_age(source, kept))
    counts = {name: count for name, count in warehouse.rehearse(run_id, writes).row_counts.items() if count}
    pruned = Pruned(source, counts, is_gone=is_gone, held_by=kept.held_by)
    if is_dry:
        return pruned
    newest = newest_entry(warehouse, source)
    if not counts:
        if newest is not None and newest.state == "announced":
            warehouse.commit(run_id, [entry_row(source, "withdrawn", kept, {}, now, None, run_id)])
        return pruned
    if not is_at_once and (due := due_at(newest, kept, is_gone, now)) > now:
        if newest is None or newest.due_at != due:
            warehouse.commit(run_id, [entry_row(source, "announced", kept, counts, now, due, run_id)])
        return Pruned(source, counts, is_gone=is_gone, due_at=due, held_by=kept.held_by)
    warehouse.commit(run_id, [*writes, entry_row(source, "done", kept, counts, now, None, run_id)])
    if is_gone:
        _remove_models(models, source)
    return pruned


def _by_age(source: str, kept: KeptFrom) -> Iterator[Prune]:
    for table in PRUNABLE:
        spec = TABLES[table]
        assert spec.kept is not None
        if (before := kept.of_table(spec.kept.key)) is not None:
            yield Prune(table, source, before)


def prune(warehouse: Warehouse, models: ModelStore, catalogue: Catalogue, *, before: datetime, is_dry: bool = False) -> Iterator[Pruned]:
    """Everything older than a moment, source by source, each in one commit. `is_dry`: what would go is counted, nothing is written."""
    for source in stored_sources(warehouse):
        declared = catalogue.sources.get(source)
        learnt_from, is_gone = before, source not in catalogue.names and source != "*" and _last_run(warehouse, source) < before
        if is_gone:
            writes: list[Write] = list(_removal(warehouse, source))
        else:
            if declared is not None:
                newest = warehouse.read("SELECT max(observed_at) AS at FROM clean_series WHERE source = ?", [source])["at"].iloc[0]
                if not pd.isna(newest):
                    looked_back = newest.to_pydatetime() - declared.training.window
                    learnt_from = min(before, looked_back, learnt_from_on(warehouse, source) or before)
            writes = [Prune(table, source, learnt_from if table in LEARNT_FROM else before) for table in PRUNABLE]
            if declared is not None:
                writes = [*_of_raw_rows(warehouse, declared, learnt_from), *writes]
            elif source in catalogue.broken:
                writes = [write for write in writes if isinstance(write, Prune) and write.table not in LEARNT_FROM]
        counts = (warehouse.rehearse if is_dry else warehouse.commit)(RUN_ID, writes).row_counts
        if is_gone and not is_dry:
            _remove_models(models, source)
        rows = {name: count for name, count in counts.items() if count}
        yield Pruned(source, rows, is_gone=is_gone, learnt_from=learnt_from if learnt_from < before else None)


def stored_sources(warehouse: Warehouse) -> list[str]:
    """Every source that has rows in some table."""
    parts = [f"SELECT source FROM {spec.name}" for spec in TABLES.values() if spec.has_source and spec.name not in ("writes", "prunings")]
    rows = warehouse.read(f"SELECT DISTINCT source FROM ({' UNION '.join(parts)}) WHERE source IS NOT NULL ORDER BY source")
    return rows["source"].tolist()


def _of_raw_rows(warehouse: Warehouse, source: Source, before: datetime) -> Iterator[Prune]:
    """Raw rows from before that time, and the series of which none is left then."""
    yield Prune(raw_table(source.name), source.name, before, source.time_column)
    over = series_without_rows(warehouse, source, before) if warehouse.has_table(raw_table(source.name)) else ()
    yield from (Prune(table, source.name, _LONG_AGO, over=over) for table in LEARNT_FROM if over)


def _remove_models(models: ModelStore, source: str) -> None:
    models.remove(source)
    remove_models(models, source)


def _last_run(warehouse: Warehouse, source: str) -> datetime:
    newest = warehouse.read("SELECT max(started_at) AS at FROM run_log WHERE source = ?", [source])["at"].iloc[0]
    return pd.Timestamp(0, tz="UTC").to_pydatetime() if pd.isna(newest) else newest.to_pydatetime()


def _removal(warehouse: Warehouse, source: str) -> Iterator[Delete]:
    """All that is stored of a source."""
    yield Delete(raw_table(source), source)
    for spec in TABLES.values():
        if spec.has_source and spec.name not in _BESIDE:
            yield Delete(spec.name, source)
