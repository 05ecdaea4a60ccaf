"""Retention: what is older than somebody wants to keep goes, without anything being scored again or told again.

By `retention:` it goes each day (`prune_by_settings`). A pruning that would take more than what has grown old since the last one, such as
the first of a home or one after a change of the settings, is announced, and done two weeks later. By hand (`prune`) everything
older than a moment goes at once, except what models learn from. A source without a YAML file whose last run is older goes
altogether.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.retention import PRUNABLE
from smartflow_assets.adapters.warehouse.tables import TABLES, raw_table
from smartflow_assets.adapters.warehouse.vocabularies import PruningState
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append, Delete, Prune, Write
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.retention import NEVER
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.stages.bucket_resolution import with_known_bucket
from smartflow_assets.stages.maintenance.kept_times import KeptFrom, kept_from, of_the_clock, series_without_rows
from smartflow_assets.stages.model_ledger import standing_models
from smartflow_assets.stages.record_models import remove_models

LEARNT_FROM = ("clean_series", "series_features")  # and the raw rows, from which they are made anew
RUN_ID = "prune"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
GRACE = timedelta(days=14)
"""So long after its announcement a pruning is done."""
SLACK = timedelta(days=31)
"""So much more than the time since the last pruning may go without an announcement: feeds that come once a month, a home that slept."""
_BESIDE = ("writes", "prunings", "ingestions", "quarantined_records")  # of a removed source they stay, or go with its raw table


@dataclass(frozen=True)
class Pruned:
    """What went of one source, or is going to at `due_at`: rows by table. `learnt_from`: the rows from then on stay that its models learn
    from; `held_by` says what keeps rows longer than was asked; `problem`: why nothing was done, such as a run that has the source."""

    source: str
    rows: Mapping[str, int] = field(default_factory=dict)
    is_gone: bool = False
    learnt_from: datetime | None = None
    due_at: datetime | None = None
    held_by: str = ""
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return f"{self.source}: left to the next pruning: {self.problem}"
        rows = ", ".join(f"{count:,} of {table}" for table, count in self.rows.items()) or "nothing"
        held = f"; older rows stay, since {self.held_by}" if self.held_by else ""
        if self.due_at is not None:
            return f"{self.source}: at {self.due_at:%Y-%m-%d %H:%M} go {rows}, unless `retention:` says otherwise{held}"
        return f"{self.source}: {'it has no YAML file any more, ' if self.is_gone else ''}{rows} went{held}"


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
            continue  # how far its models look back is not known
        lock = AdvisoryLock(catalogue.settings.locks / f"{source if source != '*' else 'pruning-all'}.lock")
        try:
            with lock.exclusive(timedelta(0), holder=run_id):
                pruned = _prune_source(warehouse, models, catalogue, source, now, run_id, is_at_once=is_at_once, is_dry=is_dry)
        except SmartflowError as error:
            pruned = Pruned(source, problem=str(error))
        yield pruned


def coming_prunings(warehouse: Warehouse, source: str | None = None) -> list[Pruned]:
    """What has been announced and is still to go, of one source or of all; the next pruning looks anew at what `retention:` says."""
    rows = warehouse.read(
        "SELECT source, due_at, row_counts FROM prunings WHERE source = coalesce(?, source) "
        "QUALIFY row_number() OVER (PARTITION BY source ORDER BY happened_at DESC, rowid DESC) = 1 AND state = 'announced' ORDER BY source",
        [source],
    )
    return [Pruned(str(row.source), json.loads(str(row.row_counts)), due_at=row.due_at.to_pydatetime()) for row in rows.itertuples()]


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
        writes: list[Write] = list(_by_age(warehouse, source, kept))
        if kept.raw is not None:
            over = series_without_rows(warehouse, declared, kept.raw)
            writes += [Prune(table, source, _LONG_AGO, over=over) for table in LEARNT_FROM if over]
            writes.insert(0, Prune(raw_table(source), source, kept.raw, declared.time_column))
    else:
        kept = of_the_clock(ages, now)
        writes = list(_removal(warehouse, source)) if is_gone else list(_by_age(warehouse, source, kept))
    counts = {name: count for name, count in warehouse.rehearse(run_id, writes).row_counts.items() if count}
    pruned = Pruned(source, counts, is_gone=is_gone, held_by=kept.held_by)
    if is_dry:
        return pruned
    newest = _newest_of(warehouse, source)
    if not counts:
        if newest is not None and newest.state == "announced":
            warehouse.commit(run_id, [_row(source, "withdrawn", kept, {}, now, None, run_id)])
        return pruned
    if not is_at_once and (due_at := _due_at(newest, kept, is_gone, now)) > now:
        if newest is None or newest.due_at != due_at:
            warehouse.commit(run_id, [_row(source, "announced", kept, counts, now, due_at, run_id)])
        return Pruned(source, counts, is_gone=is_gone, due_at=due_at, held_by=kept.held_by)
    warehouse.commit(run_id, [*writes, _row(source, "done", kept, counts, now, None, run_id)])
    if is_gone:
        models.remove(source)
        remove_models(models, source)
    return pruned


def _by_age(warehouse: Warehouse, source: str, kept: KeptFrom) -> Iterator[Prune]:
    for table in PRUNABLE:
        spec = TABLES[table]
        assert spec.kept is not None
        if (before := kept.of_table(spec.kept.key)) is not None:
            yield Prune(table, source, before)


@dataclass(frozen=True)
class _Entry:
    """The newest row of `prunings` of a source."""

    state: PruningState
    happened_at: datetime
    due_at: datetime | None
    kept_from: Mapping[str, datetime]

    def reaches(self, kept: KeptFrom, now: datetime) -> bool:
        """Whether no more goes now than had gone then, and what has grown old since."""
        grown = now - self.happened_at + SLACK
        return all(name in self.kept_from and at - self.kept_from[name] <= grown for name, at in kept.times().items())


def _due_at(newest: _Entry | None, kept: KeptFrom, is_gone: bool, now: datetime) -> datetime:
    """When the pruning may be done."""
    if newest is None or newest.state == "withdrawn" or not newest.reaches(kept, now) or (is_gone and newest.state != "announced"):
        return now + GRACE
    return newest.due_at or now


def _newest_of(warehouse: Warehouse, source: str) -> _Entry | None:
    rows = warehouse.read("SELECT * FROM prunings WHERE source = ? ORDER BY happened_at DESC, rowid DESC LIMIT 1", [source])
    if rows.empty:
        return None
    row = rows.iloc[0]
    times = {name: datetime.fromisoformat(at) for name, at in json.loads(row["kept_from"]).items()}
    return _Entry(
        row["state"], row["happened_at"].to_pydatetime(), None if pd.isna(row["due_at"]) else row["due_at"].to_pydatetime(), times
    )


def _row(
    source: str, state: PruningState, kept: KeptFrom, counts: Mapping[str, int], now: datetime, due_at: datetime | None, run_id: str
) -> Append:
    row = {
        "source": source,
        "state": state,
        "happened_at": now,
        "due_at": due_at,
        "kept_from": {name: at.isoformat() for name, at in kept.times().items()},
        "row_counts": dict(counts),
        "run_id": run_id,
    }
    return Append("prunings", pd.DataFrame([row]))


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
                    learnt_from = min(before, newest.to_pydatetime() - declared.training.window, _learnt_from(warehouse, source) or before)
            writes = [Prune(table, source, learnt_from if table in LEARNT_FROM else before) for table in PRUNABLE]
            if declared is not None:
                over = series_without_rows(warehouse, declared, learnt_from) if warehouse.has_table(raw_table(source)) else ()
                writes += [Prune(table, source, _LONG_AGO, over=over) for table in LEARNT_FROM if over]
                writes.insert(0, Prune(raw_table(source), source, learnt_from, declared.time_column))
            elif source in catalogue.broken:
                writes = [write for write in writes if isinstance(write, Prune) and write.table not in LEARNT_FROM]
        counts = (warehouse.rehearse if is_dry else warehouse.commit)(RUN_ID, writes).row_counts
        if is_gone and not is_dry:
            models.remove(source)
            remove_models(models, source)
        rows = {name: count for name, count in counts.items() if count}
        yield Pruned(source, rows, is_gone=is_gone, learnt_from=learnt_from if learnt_from < before else None)


def stored_sources(warehouse: Warehouse) -> list[str]:
    """Every source that has rows in some table."""
    parts = [f"SELECT source FROM {spec.name}" for spec in TABLES.values() if spec.has_source and spec.name not in ("writes", "prunings")]
    rows = warehouse.read(f"SELECT DISTINCT source FROM ({' UNION '.join(parts)}) WHERE source IS NOT NULL ORDER BY source")
    return rows["source"].tolist()


def _learnt_from(warehouse: Warehouse, source: str) -> datetime | None:
    """The first row that a standing model has learnt from: its state is rebuilt from there on."""
    first = standing_models(warehouse, source)["trained_from"].min()
    return None if pd.isna(first) else first.to_pydatetime()


def _last_run(warehouse: Warehouse, source: str) -> datetime:
    newest = warehouse.read("SELECT max(started_at) AS at FROM run_log WHERE source = ?", [source])["at"].iloc[0]
    return pd.Timestamp(0, tz="UTC").to_pydatetime() if pd.isna(newest) else newest.to_pydatetime()


def _removal(warehouse: Warehouse, source: str) -> Iterator[Delete]:
    """All that is stored of a source."""
    yield Delete(raw_table(source), source)
    for spec in TABLES.values():
        if spec.has_source and spec.name not in _BESIDE:
            yield Delete(spec.name, source)
