"""What may be asked of the warehouse: writes as values.

A step builds these without holding a lock or a transaction; `Warehouse.commit` applies a list of them in one transaction
and can do so again as a whole. `row_writes.py`, `load.py`, `reconciliation.py` and `retention.py` say what
they mean in SQL, `tables.py` what a table accepts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from smartflow_assets.adapters.warehouse.vocabularies import LoadState, RowState

MissingRows = Literal["keep", "delete"]
Duplicates = Literal["match", "keep"]


@dataclass(frozen=True)
class Replace:
    """The rows of a source in [since, until) of the table's time column become exactly `frame`. Categorical columns cost least where there
    are many rows (of a map or a list: JSON text).

    `series` narrows it to the named series. An empty frame is refused unless `is_empty_allowed`: a step that computed nothing
    by mistake must not wipe what is there. `fingerprint` is the configuration the rows were made under.
    """

    table: str
    source: str
    frame: pd.DataFrame
    since: datetime
    until: datetime
    series: tuple[str, ...] | None = None
    is_empty_allowed: bool = False
    fingerprint: str | None = None


@dataclass(frozen=True)
class Append:
    """Rows to add; a key that is already there is refused. An empty frame adds nothing."""

    table: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Rewrite:
    """The rows of the named ids become exactly `frame`, for tables that are a fold of others."""

    table: str
    keys: tuple[str, ...]
    frame: pd.DataFrame


@dataclass(frozen=True)
class Delete:
    """All rows of a source in a table go: a rebuild, or a source that was removed.

    `table` may be the source's raw table; its ingestions and quarantined records then go with it.
    """

    table: str
    source: str


@dataclass(frozen=True)
class Prune:
    """Old rows of a source go for good; nothing downstream looks at their times again.

    Rows of series older than `before`, incidents resolved before it with all that was said of them, ledgers but for their newest
    row. `table` may be the source's raw table, whose rows are dated by `time_column`: a file that still holds such rows does not
    bring them back. What is known only by old rows of `writes` is kept there in a shorter form. Of the series `over` all rows go.
    """

    table: str
    source: str
    before: datetime
    time_column: str = ""
    over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Load:
    """The rows of one origin of raw.<source>, from a staged Parquet file, by SQL: no frame holds them.

    The file has the columns as read; the time column is TIMESTAMPTZ and never null. It may bring `_row` (number in the origin, from 1);
    else the order in the file counts. In `replace` the file speaks for the instants that it holds (`row_balance.py`): there the
    origin's rows become those of the file, at its first and last instant they are only added, and at others they stay. `insert` is for
    pages of the server's window that is the origin: rows are only added to it and numbered on (`Reconcile` ends the window), and a page
    that brings nothing and is known leaves no trace. `feed` is then what the origins of all windows of that server begin with,
    `pulled_before` are the pages of the same pull that overlap with this one. `duplicates` says how often a row is kept that other
    origins hold too: the larger of the counts, or their sum. `key` names the columns that make a row the same: it then takes the place
    of the one before, wherever that lies (`row_keys.py`), unless the content `is_old`: known, and only read once more. `types` says
    what a column is to be when it is first seen (else what the file says), `texts` names columns that stay text; a value that does not
    fit its column goes to `<column>__text`. `rejected` is a Parquet file with row_number, record (JSON text) and reason of the rows
    that could not be read. With `on_missing_rows: delete` stored rows that the file does not hold go; a removal of more than 1 % and
    more than 10 rows, or of all by an empty file, is withheld unless `is_removal_accepted`. Where the file was read otherwise before,
    in another zone for one, `held_from` to `held_to` are the times of its rows as they stand: in there the file takes their place as a
    whole. `read_anew` are origins of the same commit whose stored rows are about to give way to others: that they hold a row already
    counts for nothing. `gives_way` are origins that the reader does not cover any more: their rows within the times of the file go.
    Each Load also writes its row of `ingestions`.
    """

    source: str
    origin: str
    content_hash: str
    parquet: Path
    time_column: str
    ingested_at: datetime
    types: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    mode: Literal["replace", "insert"] = "replace"
    rejected: Path | None = None
    on_missing_rows: MissingRows = "keep"
    is_removal_accepted: bool = False
    duplicates: Duplicates = "match"
    key: tuple[str, ...] = ()
    fingerprint: str | None = None
    feed: str = ""
    held_from: datetime | None = None
    held_to: datetime | None = None
    read_anew: tuple[str, ...] = ()
    gives_way: tuple[str, ...] = ()
    pulled_before: tuple["Load", ...] = ()
    is_old: bool = False


@dataclass(frozen=True)
class Reconcile:
    """A server's window was read to its end; `loads` are its pages, in mode `insert`; `first_at` to `last_at` are the times of their rows.

    The answer speaks for the instants that it holds, as a file does: there the feed's rows become those of the answer, so a corrected row
    takes the place of the old one. Its first instant is one of them only where the answer is whole from there on (`is_from_start`: all
    there is, or all from `since` on), else a server that shows its latest hundred rows would lose us those of the same time that it shows
    no more. Rows of other instants stay and are counted, unless `on_missing_rows` is `delete`, which is withheld as for files. Instants
    before `since` are not looked at. With `is_anew` the feed was asked or read otherwise before, and its rows within the times become
    exactly those of the answer. Rows of the origins `gives_way` within the times go. An answer without rows
    takes nothing away. `reached_at` is kept in `ingestions`, where it says from when the next window begins.
    """

    source: str
    origin: str
    content_hash: str
    feed: str
    loads: tuple[Load, ...]
    ingested_at: datetime
    first_at: datetime | None = None
    last_at: datetime | None = None
    since: datetime | None = None
    is_from_start: bool = False
    is_anew: bool = False
    on_missing_rows: MissingRows = "keep"
    is_removal_accepted: bool = False
    gives_way: tuple[str, ...] = ()
    reached_at: datetime | None = None


@dataclass(frozen=True)
class DropHeld:
    """A person needs the held rows of an origin, or of the whole source, no more: they count as dropped, whatever their file still has."""

    source: str
    origin: str | None = None


@dataclass(frozen=True)
class DecideLoad:
    """What becomes of a load (the rows that one run ingested): its rows are blocked, or let through (released by a person, mended by its
    origin), or dropped: out for good. `changed_by` is empty where the contract decides."""

    source: str
    load_id: str
    state: LoadState
    reason: str
    time_column: str
    changed_at: datetime
    changed_by: str = ""


@dataclass(frozen=True)
class LookAgain:
    """What is made of the raw rows of a source in [since, until) is due to be made again, though they stay as they are."""

    source: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class RowPromise:
    """A promise about single rows: `breach` is an SQL condition over raw.<source>, `reason` says it in words without a value. One that
    compares rows (`is_mutual`, such as unique) may be broken by rows that came long before."""

    breach: str
    columns: tuple[str, ...]
    reason: str
    is_mutual: bool = False


@dataclass(frozen=True)
class DivertRows:
    """The rows that break a promise are held, among those of the loads named and of those that are held already; held ones that break none
    any more, or are gone, are `mended`. Rows of loads that are blocked or decided, and rows that a person has decided, stay as they are.
    """

    source: str
    time_column: str
    promises: tuple[RowPromise, ...]
    loads: tuple[str, ...]
    changed_at: datetime


@dataclass(frozen=True)
class DecideRows:
    """A person lets held rows through, or keeps them out for good: all of the source, or those of a load, those that break something of a
    column or for a reason, one by its id (its hash in hexadecimal digits)."""

    source: str
    time_column: str
    state: RowState
    changed_at: datetime
    changed_by: str
    load_id: str = ""
    column: str = ""
    reason: str = ""
    row_id: str = ""


@dataclass(frozen=True)
class MarkProcessed:
    """A table has taken notice of its upstream in [since, until) and had nothing, or not in this table, to write. Without it
    the same windows would be pending for ever."""

    table: str
    source: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class LeavePending:
    """What was pending for a table in [since, until) and this commit did not get to: it stays pending. So a load that is too
    long for memory goes on piece by piece, and after a kill from the piece where it was."""

    table: str
    source: str
    since: datetime
    until: datetime


Write = (
    Replace
    | Append
    | Rewrite
    | Delete
    | Prune
    | Load
    | Reconcile
    | DropHeld
    | DecideLoad
    | DivertRows
    | DecideRows
    | LookAgain
    | MarkProcessed
    | LeavePending
)


@dataclass(frozen=True)
class Loaded:
    """What one Load did: readable rows, those new or changed, stored ones that went, those another origin holds, and the times touched.
    `missing_count` are stored rows that the content does not hold any more and that stay; `withheld_count` those that were to go, had
    it not been so many. `pruned_count` are rows that were left out, since rows of their time were pruned; no other count has them."""

    source: str
    origin: str
    row_count: int
    new_count: int
    gone_count: int
    duplicate_count: int
    quarantined_count: int
    first_at: datetime | None
    last_at: datetime | None
    missing_count: int = 0
    withheld_count: int = 0
    pruned_count: int = 0


@dataclass(frozen=True)
class Committed:
    """What a commit did: rows written by table, the Loads in order, the time that `writes` has for it, and what a person should hear
    of columns whose type is not that of what came."""

    row_counts: Mapping[str, int]
    loads: tuple[Loaded, ...]
    written_at: datetime
    notes: tuple[str, ...] = ()
