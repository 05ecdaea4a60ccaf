"""What was pruned and what is going to be, as `prunings` keeps it.

A pruning that would take more than what has grown old since the last one is announced first: runs, plans and `smartflow doctor` say it,
and it is done when it is due, unless `retention:` says otherwise by then.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from smartflow_assets.adapters.warehouse.vocabularies import PruningState
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append

if TYPE_CHECKING:
    from smartflow_assets.stages.maintenance.kept_times import KeptFrom

GRACE = timedelta(days=14)
"""So long after its announcement a pruning is done."""
SLACK = timedelta(days=31)
"""So much more than the time since the last pruning may go without an announcement: feeds that come once a month, a home that slept."""


@dataclass(frozen=True)
class Pruned:
    """What went of one source, or is going to at `due_at`: rows by table. `learnt_from`: the rows from then on stay that its models learn
    from; `held_by` says what keeps rows longer than was asked; `problem`: why nothing was done, `is_left`: it is none of the pruning,
    since a run had the source or its file is broken."""

    source: str
    rows: Mapping[str, int] = field(default_factory=dict)
    is_gone: bool = False
    learnt_from: datetime | None = None
    due_at: datetime | None = None
    held_by: str = ""
    problem: str = ""
    is_left: bool = False

    @property
    def told(self) -> str:
        """What went, or is going to."""
        rows = ", ".join(f"{count:,} of {table}" for table, count in self.rows.items()) or "nothing"
        held = f"; older rows stay, since {self.held_by}" if self.held_by else ""
        if self.due_at is not None:
            return f"on {self.due_at:%Y-%m-%d %H:%M} old rows are pruned, {rows}; `retention: never` keeps them{held}"
        return f"{'it has no YAML file any more, ' if self.is_gone else ''}{rows} went{held}"

    def __str__(self) -> str:
        if self.problem:
            return f"{self.source}: left to the next pruning: {self.problem}"
        return f"{self.source}: {self.told}"


def coming_prunings(warehouse: Warehouse, source: str | None = None) -> list[Pruned]:
    """What has been announced and is still to go, of one source or of all; the next pruning looks anew at what `retention:` says."""
    rows = warehouse.read(
        "SELECT source, due_at, row_counts FROM prunings WHERE source = coalesce(?, source) "
        "QUALIFY row_number() OVER (PARTITION BY source ORDER BY happened_at DESC, rowid DESC) = 1 AND state = 'announced' ORDER BY source",
        [source],
    )
    return [Pruned(row["source"], json.loads(row["row_counts"]), due_at=row["due_at"].to_pydatetime()) for row in rows.to_dict("records")]


@dataclass(frozen=True)
class Entry:
    """The newest row of `prunings` of a source."""

    state: PruningState
    happened_at: datetime
    due_at: datetime | None
    kept_from: Mapping[str, datetime]

    def reaches(self, kept: "KeptFrom", now: datetime) -> bool:
        """Whether no more goes now than had gone then, and what has grown old since."""
        grown = now - self.happened_at + SLACK
        return all(name in self.kept_from and at - self.kept_from[name] <= grown for name, at in kept.times().items())


def due_at(newest: Entry | None, kept: "KeptFrom", is_gone: bool, now: datetime) -> datetime:
    """When the pruning may be done."""
    if newest is None or newest.state == "withdrawn" or not newest.reaches(kept, now) or (is_gone and newest.state != "announced"):
        return now + GRACE
    return newest.due_at or now


def newest_entry(warehouse: Warehouse, source: str) -> Entry | None:
    rows = warehouse.read("SELECT * FROM prunings WHERE source = ? ORDER BY happened_at DESC, rowid DESC LIMIT 1", [source])
    if rows.empty:
        return None
    row = rows.iloc[0]
    times = {name: datetime.fromisoformat(at) for name, at in json.loads(row["kept_from"]).items()}
    return Entry(row["state"], row["happened_at"].to_pydatetime(), None if pd.isna(row["due_at"]) else row["due_at"].to_pydatetime(), times)


def entry_row(
    source: str, state: PruningState, kept: "KeptFrom", counts: Mapping[str, int], now: datetime, due_at: datetime | None, run_id: str
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
