"""How the columns of a source change from load to load: the table `schema_changes`, and what of it is still to be decided.

What is accepted is the fold of the table. A new column is accepted by itself; one that is gone, renamed or of another type stands until a
later load has it as before, or a person accepts it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import pandas as pd

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.vocabularies import ChangeState
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.core.contracts.column_changes import Change, ValueKind, column_changes
from smartflow_assets.core.incidents.event_log import row_dicts
from smartflow_assets.stages.load_columns import LoadColumn
from smartflow_assets.stages.run import SourceRun

FEW_ROWS = 20
"""In so few records of a feed without a header a field may be missing by chance."""
_WITHOUT_HEADER = ("json", "http", "python")
_SAMPLE = 1000  # values of a column, when two are compared


@dataclass(frozen=True)
class OpenChange:
    """A change that nobody has decided yet, and the load in which it was seen first."""

    change: Change
    load_id: str
    seen_at: datetime


@dataclass(frozen=True)
class ColumnHistory:
    """What the table says: the columns as they were accepted, each with its kind (none of a source that never was loaded), and what nobody
    has decided yet, in the order in which it was seen."""

    accepted: Mapping[str, ValueKind]
    open: Sequence[OpenChange]


def column_history(warehouse: Warehouse, source: str) -> ColumnHistory:
    """The fold of the rows of `schema_changes`."""
    accepted, open_ = dict[str, ValueKind](), dict[Change, OpenChange]()
    for row in row_dicts(warehouse.read("SELECT * FROM schema_changes WHERE source = ? ORDER BY rowid", [source])):
        change = Change(*(row[name] for name in ("column_name", "change", "name_before", "type_before", "type_after")))
        open_.pop(change, None)
        if row["state"] == "seen":
            open_[change] = OpenChange(change, str(row["load_id"]), row["changed_at"].to_pydatetime())
        elif row["state"] == "accepted":
            for name in (change.name_before, change.column):
                accepted.pop(name or "", None)
            if change.type_after is not None:
                accepted[change.column] = change.type_after
    return ColumnHistory(accepted, list(open_.values()))


@dataclass(frozen=True)
class LoadChanges:
    """What is other in the columns of a load: `standing` until somebody decides, and `taken` as it is."""

    standing: Sequence[Change]
    taken: Sequence[Change]
    history: ColumnHistory

    @property
    def told(self) -> list[str]:
        """What people hear of what is taken; nothing of the columns of a first load."""
        return [
            f"{change}; {'from now on it is one of the columns of the source' if change.is_additive else 'taken as it is'}"
            for change in self.taken
            if self.history.accepted
        ]

    def noted(self, run: SourceRun, load_id: str) -> list[Append]:
        """What is to be written of a new load."""
        before = [each.change for each in self.history.open]
        news = [_News(change, "accepted") for change in self.taken]
        news += [_News(change, "seen") for change in self.standing if change not in before]
        news += [_News(change, "gone") for change in before if change not in (*self.standing, *self.taken)]
        return [Append("schema_changes", _news_rows(run.name, news, load_id, run.now, run.run_id))] if news else []


def changes_of(run: SourceRun, load_id: str, columns: Mapping[str, LoadColumn], row_count: int) -> LoadChanges:
    """The columns of a load beside those that are accepted. A new column is taken, and all where the contract says so."""
    history = column_history(run.warehouse, run.name)
    found: dict[str, ValueKind] = {
        name: history.accepted.get(name, column.kind) if not column.value_count else column.kind for name, column in columns.items()
    }
    changes = column_changes(history.accepted, found, lambda old, new: _likeness(run, load_id, old, new, found[new]))
    if row_count < FEW_ROWS and run.source.read.type in _WITHOUT_HEADER:
        changes = [change for change in changes if change.kind not in ("removed", "renamed")]
    is_ignored = run.source.contract is not None and run.source.contract.on_schema_change == "ignore"
    taken = [change for change in changes if is_ignored or change.is_additive]
    return LoadChanges([change for change in changes if change not in taken], taken, history)


def accept(warehouse: Warehouse, source: str, changes: Sequence[OpenChange], *, by_whom: str, now: datetime, run_id: str) -> None:
    """A person takes the changes as they are: from now on the columns are as after them. What they block is looked at by the next run."""
    rows = [_news_rows(source, [_News(each.change, "accepted")], each.load_id, now, run_id, by_whom) for each in changes]
    warehouse.commit(run_id, [Append("schema_changes", pd.concat(rows, ignore_index=True))])


def _news_rows(source: str, news: "Sequence[_News]", load_id: str, now: datetime, run_id: str, by_whom: str = "") -> pd.DataFrame:
    """Rows of `schema_changes`."""
    return pd.DataFrame(
        [
            {
                "source": source,
                "column_name": change.column,
                "change": change.kind,
                "name_before": change.name_before,
                "type_before": change.type_before,
                "type_after": change.type_after,
                "state": state,
                "load_id": load_id,
                "changed_at": now,
                "changed_by": by_whom,
                "run_id": run_id,
            }
            for change, state in news
        ]
    )


class _News(NamedTuple):
    """A change and what became of it."""

    change: Change
    state: ChangeState


def _likeness(run: SourceRun, load_id: str, old: str, new: str, kind: ValueKind) -> float:
    """How much what a new column holds in a load is like what the old one held before: the shared part of where most numbers or times
    lie; of texts the share that occurred before, as they are or by their shape (letters and digits)."""
    raw = quoted(raw_table(run.name))
    before, after = (
        f"SELECT {quoted_column(name)} AS x FROM {raw} WHERE _run_id {sign} ? AND {quoted_column(name)} IS NOT NULL "
        f"ORDER BY _row_hash LIMIT {_SAMPLE}"
        for name, sign in ((old, "<>"), (new, "="))
    )
    if kind in ("number", "time"):
        part = "epoch(x)" if kind == "time" else "CAST(x AS DOUBLE)"
        sql = f"""
            WITH old AS (SELECT quantile_cont({part}, 0.1) AS low, quantile_cont({part}, 0.9) AS high FROM ({before})),
                 new AS (SELECT quantile_cont({part}, 0.1) AS low, quantile_cont({part}, 0.9) AS high FROM ({after}))
            SELECT CASE WHEN greatest(old.high, new.high) = least(old.low, new.low) THEN 1.0 ELSE greatest(0, least(old.high, new.high)
                   - greatest(old.low, new.low)) / (greatest(old.high, new.high) - least(old.low, new.low)) END AS share FROM old, new"""
    else:
        shape = "regexp_replace(regexp_replace(CAST(x AS VARCHAR), '[[:alpha:]]', 'a', 'g'), '[0-9]', '9', 'g')"
        sql = f"""
            WITH old AS ({before}), new AS ({after})
            SELECT greatest(avg(CAST(x IN (SELECT x FROM old) AS DOUBLE)),
                            avg(CAST({shape} IN (SELECT {shape} FROM old) AS DOUBLE))) AS share FROM new"""
    share = run.warehouse.read(sql, [load_id, load_id])["share"].iloc[0]
    return 0.0 if pd.isna(share) else float(share)
