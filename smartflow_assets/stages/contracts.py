"""What a source's contract says of the loads that came: asked once of each, and what that blocks.

A load is what one run ingested. One that breaks a critical part is blocked: its rows stay in raw.<source> and go nowhere else
(`adapters.warehouse.blocked_loads`), until its origin has sent other rows in the place of the wrong ones, or a person decides. Where
the contract is new or another, the newest load is asked, and is not blocked. Of rows that are diverted one by one, see `diverted_rows`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from smartflow_assets.adapters.expectations.evaluation import evaluate
from smartflow_assets.adapters.sql_quoting import quoted, quoted_text
from smartflow_assets.adapters.warehouse.blocked_loads import LOADS_NOW, accepted_rows, asked_rows
from smartflow_assets.adapters.warehouse.going_on import GOING_ON
from smartflow_assets.adapters.warehouse.row_writes import AN_INSTANT
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.vocabularies import LoadState
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append, DecideLoad, MarkProcessed, Write
from smartflow_assets.config.source import Source
from smartflow_assets.core.contracts.column_changes import Change
from smartflow_assets.core.contracts.contract import Contract
from smartflow_assets.core.contracts.expectations import Expectation, Verdict
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.stages.diverted_rows import Diversion, HeldRows, diversion, held_rows, is_diverting
from smartflow_assets.stages.load_columns import load_columns
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.schema_changes import OpenChange, changes_of, column_history
from smartflow_assets.stages.windows import table_rows

BLOCKED = "load:"
"""How the cause of an incident of a blocked load begins; its id follows."""
COLUMNS_CHECK, VALUES_CHECK, ROW_COUNTS_CHECK = "columns_are_as_agreed", "values_are_as_agreed", "row_counts_are_as_agreed"
"""The checks that show it, by kind."""


@dataclass(frozen=True)
class LoadNow:
    """A load that was ever blocked, as it stands; `rows` as counted when that was decided."""

    load_id: str
    state: LoadState
    reason: str
    rows: int
    blocked_at: datetime
    by_whom: str = ""

    @property
    def is_by_contract(self) -> bool:
        """Whether the contract decided; what a remedy blocks it lets be, until no row of the load is left."""
        return not self.by_whom


@dataclass(frozen=True)
class Asked:
    """What a contract was asked in one run, and how things stand: `verdicts` of the loads that are new or have changed, `standing` the rows
    of `schema_checks` that count now: of the newest load, and of each that is blocked; `held` diverted rows wait, for the
    reasons `held_for`, the most frequent first."""

    verdicts: Sequence[Verdict]
    loads: int
    standing: pd.DataFrame
    blocked: Sequence[LoadNow]
    changes: Sequence[OpenChange]
    accepted: Sequence[str]  # new columns, told
    contract: Contract
    table_rows: int
    held: int = 0
    held_for: Sequence[HeldRows] = ()

    def __str__(self) -> str:
        if not self.verdicts:
            return f"columns of {self.loads} loads looked at; {len(self.changes)} changes stand"
        failed = sum(not verdict.is_passed for verdict in self.verdicts)
        told = f"{len(self.verdicts)} expectations asked of {self.loads} loads, {failed} not met; {len(self.blocked)} loads are blocked"
        return f"{told}, {self.held} rows are diverted" if self.held else told


@dataclass(frozen=True)
class _Looked:
    """What was found of the rows of a load. One from before the contract was as it is blocks nothing (`is_blocking`). The rows that break
    what is `diverted` are kept aside one by one; `excess` says why they are too many for that."""

    load_id: str
    verdicts: Sequence[Verdict] = ()
    changes: Sequence[Change] = ()
    writes: Sequence[Write] = ()
    accepted: Sequence[str] = ()
    is_blocking: bool = True
    diverted: Sequence[Expectation] = ()
    excess: str = ""

    def breaches(self, contract: Contract) -> list[str]:
        """What is critical of it, in sentences. A check that is broken says nothing of the rows."""
        critical = (each for each in self.verdicts if each.expectation.severity == "critical" and each.expectation not in self.diverted)
        wrong = (each for each in critical if not each.is_passed and not each.error)
        return [
            *([self.excess] if self.excess else []),
            *(each.sentence for each in wrong),
            *(str(change) for change in self.changes if contract.on_schema_change == "fail"),
        ]


def schema_checks(run: SourceRun) -> Asked:
    """Look at the columns of the loads that are new, and ask the contract of them and of those that are blocked; block and unblock."""
    run.report("schema_checks")
    contract = run.source.contract or Contract()
    with run.warehouse.reading():
        known, held = loads_now(run.warehouse, run.name), held_rows(run.warehouse, run.name)[0]
        news = _news(run, contract, held) if run.warehouse.has_table(raw_table(run.name)) else _News()
        found = list(_found(run, contract, known, news)) if news else []
        decisions = list(_decisions(run, contract, known, found))
        writes: list[Write] = [*decisions, *_diversions(run, contract, news, found, decisions, held), *_rows(run, contract, news, found)]
        if not writes:  # most runs find nothing, and open the file once
            return _asked(run, contract, found, known)
    run.warehouse.commit(run.run_id, writes)
    with run.warehouse.reading():
        return _asked(run, contract, found, loads_now(run.warehouse, run.name))


def _asked(run: SourceRun, contract: Contract, found: Sequence["_Looked"], loads: Sequence[LoadNow]) -> Asked:
    return Asked(
        [verdict for each in found for verdict in each.verdicts],
        len(found),
        standing(run.warehouse, run.name, contract),
        [load for load in loads if load.state == "blocked"],
        column_history(run.warehouse, run.name).open,
        [text for each in found for text in each.accepted],
        contract,
        table_rows(run, "schema_checks"),
        *held_rows(run.warehouse, run.name),
    )


def _diversions(
    run: SourceRun, contract: Contract, news: "_News", found: Sequence["_Looked"], decisions: Sequence[DecideLoad], held: int
) -> Iterator[Write]:
    """The rows of the loads that go on, and those that are held, are asked one by one."""
    if not (held if not is_diverting(contract) else news):
        return
    blocked = {each.load_id for each in decisions if each.state == "blocked"}
    still = {each.load_id for each in found if each.is_blocking and each.breaches(contract)}
    loads = [each.load_id for each in found if each.is_blocking and each.load_id and each.load_id not in blocked | still]
    yield diversion(run, contract, loads, is_final=True).write


def _rows(run: SourceRun, contract: Contract, news: "_News", found: Sequence["_Looked"]) -> Iterator[Write]:
    """What was found, to be written; that a load, or a decision on single rows, was looked at is said even where nothing is asked, or no
    row is left."""
    rows = [_row(run, contract, each, verdict) for each in found for verdict in each.verdicts]
    for each in found:
        yield from each.writes
    if rows:
        yield Append("schema_checks", pd.DataFrame(rows))
    elif any(each.is_blocking for each in found) or (news.came and is_diverting(contract)):
        yield MarkProcessed("schema_checks", run.name, run.now, run.now + AN_INSTANT)


def loads_now(warehouse: Warehouse, source: str) -> list[LoadNow]:
    """The loads of a source that were ever blocked, the newest first."""
    rows = warehouse.read(f"SELECT * FROM ({LOADS_NOW}) WHERE source = ? ORDER BY blocked_at DESC, load_id", [source])
    return [
        LoadNow(
            str(row["load_id"]),
            row["state"],
            str(row["reason"]),
            int(row["row_count"]),
            row["blocked_at"].to_pydatetime(),
            row["changed_by"] if isinstance(row["changed_by"], str) else "",
        )
        for row in rows.to_dict("records")
    ]


def standing(warehouse: Warehouse, source: str, contract: Contract) -> pd.DataFrame:
    """The rows of `schema_checks` that count now: what was found last, and what was found of each load that is blocked; nothing of what a
    person has decided, nor of a contract that is no more."""
    return warehouse.read(
        f"""
        WITH checks AS (SELECT *, rowid AS place FROM schema_checks WHERE source = ?),
             counted AS (SELECT load_id, arg_max(run_id, place) AS run_id FROM checks WHERE load_id IN (
                             SELECT load_id FROM ({LOADS_NOW}) WHERE source = ? AND state = 'blocked') GROUP BY load_id
                         UNION SELECT load_id, run_id FROM checks WHERE run_id = (SELECT arg_max(run_id, place) FROM checks))
        SELECT checks.* EXCLUDE (place) FROM checks JOIN counted USING (load_id, run_id)
        WHERE contract = ? AND load_id NOT IN (SELECT load_id FROM ({LOADS_NOW}) WHERE source = ?
              AND (state = 'dropped' OR state = 'released' AND severity = 'critical')) ORDER BY place""",
        [source, source, _hash(contract), source],
    )


def blocking_news(run: SourceRun) -> tuple[list[Failure], frozenset[str], str]:
    """What is to be told of loads that are blocked: those of which nobody was told yet, the causes that are over, and why."""
    standing = run.warehouse.read(
        f"SELECT cause FROM incidents WHERE source = ? AND starts_with(cause, ?) AND {GOING_ON}", [run.name, BLOCKED]
    )["cause"]
    if standing.empty and not run.warehouse.read("SELECT 1 FROM blocked_loads WHERE source = ? LIMIT 1", [run.name]).size:
        return [], frozenset(), ""
    loads = {f"{BLOCKED}{load.load_id}": load for load in loads_now(run.warehouse, run.name)}
    blocked = {cause: load for cause, load in loads.items() if load.state == "blocked"}
    ended = frozenset(standing) - blocked.keys()
    return (
        [_told(run.name, cause, load) for cause, load in blocked.items() if cause not in set(standing)],
        ended,
        "; ".join(dict.fromkeys(loads[cause].reason for cause in sorted(ended) if cause in loads)),
    )


def _told(source: str, cause: str, load: LoadNow) -> Failure:
    rows = "1 row is" if load.rows == 1 else f"{load.rows:,} rows are"
    return Failure(
        cause,
        f"{load.reason}. The rows of this load stay in raw.{source} and go no further; other loads do.",
        severity="critical",
        title=f"{rows} blocked: {load.reason}",
        next_step=f"Mend the feed, or run: smartflow quarantine {source} --release --load {load.load_id} (or --drop), then: smartflow run "
        f"{source}",
    )


def decide(warehouse: Warehouse, source: Source, load: LoadNow, state: LoadState, *, by_whom: str, now: datetime, run_id: str) -> None:
    """A person lets the rows of a blocked load through, or keeps them out for good; the next run works on them."""
    reason = f"{'let through' if state == 'released' else 'kept out for good'} by {by_whom}"
    warehouse.commit(run_id, [DecideLoad(source.name, load.load_id, state, reason, source.time_column, now, by_whom)])


@dataclass(frozen=True)
class _News:
    """What has changed since the contract was asked last: whether rows `came` or somebody decided, the `loads` that are new, whether the
    contract `is_another`, and whether this `is_first` of all looks. True when there is anything."""

    came: bool = False
    loads: Sequence[str] = ()
    is_another: bool = False
    is_first: bool = False

    def __bool__(self) -> bool:
        return self.came or self.is_another


def _news(run: SourceRun, contract: Contract, held: int) -> "_News":
    """Rows of sources that are referred to are news too where something waits for them; so is a decision on single rows."""
    referred = [raw_table(str(each.arguments["source"])) for each in contract.expectations() if "source" in each.arguments]
    state = run.warehouse.read(
        """
        WITH asked AS (SELECT max(written_at) AS looked_at FROM writes WHERE source = ? AND table_name = 'schema_checks')
        SELECT (SELECT looked_at FROM asked) AS asked_at, (SELECT arg_max(contract, rowid) FROM schema_checks WHERE source = ?) AS contract,
               list(DISTINCT run_id) FILTER (operation = 'load' AND source = ?) AS loads, count(*) AS news
        FROM writes WHERE (source = ? AND (table_name = ? AND operation = 'load' OR table_name IN ('schema_changes', 'diverted_rows'))
                           OR list_contains(?, table_name) AND (? OR EXISTS (FROM blocked_loads WHERE source = ?)))
        AND written_at > coalesce((SELECT looked_at FROM asked), TIMESTAMPTZ '-infinity')""",
        [run.name, run.name, run.name, run.name, raw_table(run.name), referred, held > 0, run.name],
    ).iloc[0]
    is_first, before = pd.isna(state["asked_at"]), state["contract"]
    is_another = bool(contract.expectations()) and not is_first and (not isinstance(before, str) or before != _hash(contract))
    came = sorted(map(str, state["loads"])) if isinstance(state["loads"], list | np.ndarray) else []
    if is_first:  # those of a run that was killed before it looked are new; those of a version that did not look are history
        looked = "SELECT DISTINCT run_id FROM ingestions WHERE source = ? AND column_types IS NOT NULL"
        came = sorted(set(came) & {run.run_id, *map(str, run.warehouse.read(looked, [run.name])["run_id"])})
    return _News(bool(state["news"]), came, is_another, is_first)


def _found(run: SourceRun, contract: Contract, known: Sequence[LoadNow], news: _News) -> Iterator["_Looked"]:
    """What was found of the loads that came since the last look, and of those that are blocked; of the newest that is there, when none came
    and the contract is another."""
    new, decided, mended = news.loads, {load.load_id: load.state for load in known}, list[str]()
    blocked = [each.load_id for each in known if each.state == "blocked" and (each.is_by_contract or not row_count(run, each.load_id))]
    one_by_one = diversion(run, contract, [*blocked, *(each for each in new if each not in decided)])
    for load_id in blocked:
        for looked in _looked_at(run, contract, load_id, one_by_one, is_new=False):
            mended += [load_id] if not looked.breaches(contract) else []
            yield looked
    stored = _columns_from_before(run, new) if news.is_first else None
    if stored:
        yield stored
    looked_at = [
        looked
        for each in new
        if each not in decided
        for looked in _looked_at(run, contract, each, one_by_one, is_new=not stored, mended=mended)
    ]
    yield from looked_at
    if (news.is_first or news.is_another) and not looked_at:
        newest = run.warehouse.read(f"SELECT arg_max(_run_id, _ingested_at) AS load_id FROM {accepted_rows(run.name)}")["load_id"].iloc[0]
        if isinstance(newest, str):
            yield from (replace(looked, is_blocking=False) for looked in _looked_at(run, contract, newest, one_by_one, is_new=False))


def _columns_from_before(run: SourceRun, new: Sequence[str]) -> "_Looked | None":
    """The columns of rows from before loads were looked at: they are what later ones are compared with."""
    others = f"_run_id NOT IN ({', '.join(map(quoted_text, new))})" if new else "TRUE"
    columns = load_columns(run.warehouse, run.name, "", others)
    count = max((column.value_count for column in columns.values()), default=0)
    return _Looked("", writes=changes_of(run, "", columns, count).noted(run, "")) if count else None


def _looked_at(
    run: SourceRun, contract: Contract, load_id: str, one_by_one: Diversion, *, is_new: bool, mended: Sequence[str] = ()
) -> Iterator["_Looked"]:
    """What is found of the rows of a load; nothing where there are none, but for one that is blocked: all that was wrong is gone.
    `mended`: loads that this run lets through again."""
    raw, condition = quoted(raw_table(run.name)), f"_run_id = {quoted_text(load_id)}"
    count = row_count(run, load_id)
    if not count:
        if not is_new:
            yield _Looked(load_id)
        return
    columns = load_columns(run.warehouse, run.name, load_id, condition)
    changes = changes_of(run, load_id, columns, count)
    chosen = ", ".join(column.sql for column in columns.values())
    rows, wanted = f"(SELECT {chosen} FROM {raw} WHERE {condition})", contract.expectations(columns)
    references = {
        name: accepted_rows(name)
        for name in dict.fromkeys(str(each.arguments["source"]) for each in wanted if "source" in each.arguments)
        if run.warehouse.has_table(raw_table(name))
    }
    verdicts = evaluate(
        run.warehouse.read,
        rows,
        wanted,
        all_rows=f"(SELECT {chosen} FROM {asked_rows(run.name, (load_id, *mended))})",
        time_column=run.source.time_column,
        references=references,
        bucket=run.source.time_bucket.every if run.source.is_bucket_given else None,
        zone=run.source.calendar.timezone,
    )
    writes, told = (changes.noted(run, load_id), changes.told) if is_new else ([], [])
    yield _Looked(
        load_id,
        verdicts,
        changes.standing,
        writes,
        told,
        diverted=one_by_one.expectations,
        excess=one_by_one.excess.get(load_id, ""),
    )


def row_count(run: SourceRun, load_id: str) -> int:
    """The stored rows of a load."""
    return int(run.warehouse.read(f"SELECT count(*) AS n FROM {quoted(raw_table(run.name))} WHERE _run_id = ?", [load_id])["n"].iloc[0])


def _decisions(run: SourceRun, contract: Contract, known: Sequence[LoadNow], found: Sequence["_Looked"]) -> Iterator[DecideLoad]:
    """What becomes of loads, by what was found of them."""
    blocked, asked = {load.load_id for load in known if load.state == "blocked"}, {each.load_id for each in found}
    is_blocking = any(each.severity == "critical" or each.is_diverting for each in contract.expectations())
    if contract.on_schema_change != "fail" and not is_blocking:
        for load_id in sorted({load.load_id for load in known if load.state == "blocked" and load.is_by_contract} - asked):
            yield _decided(run, load_id, "mended", "no part of the contract is critical any more")
    for each in found:
        reasons = each.breaches(contract)
        if reasons and each.is_blocking and each.load_id not in blocked:
            yield _decided(run, each.load_id, "blocked", "; ".join(reasons))
        elif not reasons and each.load_id in blocked:
            yield _decided(run, each.load_id, "mended", "its rows are as agreed now")


def _decided(run: SourceRun, load_id: str, state: LoadState, reason: str) -> DecideLoad:
    return DecideLoad(run.name, load_id, state, reason, run.source.time_column, run.now)


def _row(run: SourceRun, contract: Contract, looked: _Looked, verdict: Verdict) -> Mapping[str, object]:
    expectation = verdict.expectation
    return {
        "source": run.name,
        "load_id": looked.load_id,
        "check_name": expectation.type,
        "column_name": ", ".join(expectation.columns) or None,
        "scope": expectation.scope,
        "is_passed": None if verdict.error else verdict.is_passed,
        "severity": expectation.severity,
        "element_count": verdict.element_count,
        "unexpected_count": verdict.unexpected_count,
        "unexpected_percent": verdict.unexpected_percent,
        "observed": json.dumps(dict(verdict.observed), ensure_ascii=False),
        "message": verdict.sentence,
        "engine": verdict.engine,
        "error": verdict.error or None,
        "contract": _hash(contract),
        "checked_at": run.now,
        "run_id": run.run_id,
    }


def _hash(contract: Contract) -> str:
    return hashlib.sha256(contract.model_dump_json().encode()).hexdigest()[:16]
