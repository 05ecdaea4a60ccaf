"""Single rows that the contract diverts, which are kept aside one by one while the rest of their load goes on.

Which rows break it is asked of columns as they are stored, so that it is a matter of the row and not of the load that brought it. A value
that did not fit a column of numbers lies beside it as text: it is no number within limits and none of a list of numbers, but it is there.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

import pandas as pd

from smartflow_assets.adapters.aggregation.buckets import feed_types
from smartflow_assets.adapters.expectations.evaluation import bad_rows, rows_of
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.adapters.staging.bad_rows import Unreadable, percentage
from smartflow_assets.adapters.warehouse.blocked_loads import accepted_rows, asked_rows
from smartflow_assets.adapters.warehouse.column_types import OVERFLOW
from smartflow_assets.adapters.warehouse.diverted_rows import ROW_ID, breaking_rows, candidates, chosen
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.vocabularies import RowState
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import DecideRows, DivertRows, RowPromise
from smartflow_assets.config.source import Source
from smartflow_assets.core.contracts.contract import Contract
from smartflow_assets.core.contracts.expectations import MASK, MOST_EXAMPLES, Expectation
from smartflow_assets.core.contracts.sentences import reason_of_row
from smartflow_assets.stages.run import SourceRun

_SHOWN_LENGTH = 80
_NO_NUMBER = ("expect_column_values_to_be_between", "expect_column_values_to_be_in_set")
_UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")


@dataclass(frozen=True)
class Diversion:
    """What some loads are asked row by row. `expectations` are those whose rows can be named, `excess` says by load why it is too much to
    divert, so that the load is blocked as a whole."""

    write: DivertRows
    expectations: Sequence[Expectation] = ()
    excess: Mapping[str, str] = field(default_factory=dict[str, str])


def is_diverting(contract: Contract) -> bool:
    """Is there a promise whose rows are kept aside?"""
    return any(each.is_diverting for each in contract.expectations())


def diversion(run: SourceRun, contract: Contract, loads: Collection[str], *, is_final: bool = False) -> Diversion:
    """What the rows of the loads, and those that are held, are asked. `is_final`: the loads are known to go on."""
    write = DivertRows(run.name, run.source.time_column, (), tuple(loads), run.now)
    if not is_diverting(contract) or not run.warehouse.has_table(raw_table(run.name)):
        return Diversion(write)
    named = list(_promises(run, contract, write))
    write = replace(write, promises=tuple(promise for _, promise in named))
    excess = {} if is_final or not loads or not named else _excess(run, write)
    return Diversion(write, [expectation for expectation, _ in named], excess)


def _promises(run: SourceRun, contract: Contract, write: DivertRows) -> Iterator[tuple[Expectation, RowPromise]]:
    """Each promise whose rows can be named, as SQL over the raw table."""
    stored = feed_types(run.warehouse, run.name)
    beside = _beside(stored)
    asked, wanted = asked_rows(run.name, write.loads), [each for each in contract.expectations(stored) if each.is_diverting]
    sources = dict.fromkeys(str(each.arguments["source"]) for each in wanted if "source" in each.arguments)
    rows = rows_of(
        run.warehouse.read,
        candidates(write),
        all_rows=asked,
        time_column=write.time_column,
        references={name: accepted_rows(name) for name in sources if run.warehouse.has_table(raw_table(name))},
    )
    told = set[str]()
    for expectation in wanted:
        breach = bad_rows(_among_all(expectation), rows, run.warehouse.read)
        if breach is None:
            continue
        reason = reason_of_row(expectation)
        for text in (beside[name.lower()] for name in expectation.columns[:1] if name.lower() in beside):
            if expectation.type in _NO_NUMBER and text not in told:
                told.add(text)
                yield (
                    expectation,
                    RowPromise(f"{quoted_column(text)} IS NOT NULL", expectation.columns, f"{expectation.columns[0]} is no number"),
                )
            elif expectation.type == "expect_column_values_to_not_be_null":
                breach = f"({breach} AND {quoted_column(text)} IS NULL)"
        if expectation.type == "expect_column_values_to_not_be_null":
            breach = f"({breach} AND _run_id NOT IN ({_loads_without(run.name, expectation.columns[0])}))"
        if expectation.type in _UNIQUE and expectation.scope == "load":
            breach = f"({breach} AND ({' OR '.join(f'{quoted_column(name)} IS NOT NULL' for name in expectation.columns)}))"
        yield expectation, RowPromise(breach, expectation.columns, reason, is_mutual=expectation.type in _UNIQUE)


def _beside(stored: Mapping[str, str]) -> dict[str, str]:
    """The columns with texts that did not fit, by the names in lower case of the columns of numbers beside which they lie."""
    return {name.lower(): f"{name}{OVERFLOW}" for name, type_ in stored.items() if type_ != "VARCHAR" and f"{name}{OVERFLOW}" in stored}


def _among_all(expectation: Expectation) -> Expectation:
    """What is unique within a load is so together with the load, among all rows."""
    if expectation.type not in _UNIQUE or expectation.scope != "load":
        return expectation
    ignored = expectation.arguments.get("ignore_row_if", "all_values_are_missing")
    arguments = {
        "column_list": [*expectation.columns, "_run_id"],
        "ignore_row_if": "any_value_is_missing" if len(expectation.columns) == 1 else ignored,
    }
    return replace(expectation, type="expect_compound_columns_to_be_unique", scope="source", arguments=arguments)


def _loads_without(source: str, column: str) -> str:
    """SQL of the loads that had no such column: it is not missing in each of their rows, it is not there."""
    has_it = f"list_contains(list_transform(json_keys(column_types), lambda name: lower(name)), {quoted_text(column.lower())})"
    return (
        f"SELECT run_id FROM ingestions WHERE source = {quoted_text(source)} AND column_types IS NOT NULL "
        f"GROUP BY run_id HAVING NOT bool_or({has_it})"
    )


def _excess(run: SourceRun, write: DivertRows) -> dict[str, str]:
    """Why a load is blocked as a whole: as many of its rows break the contract as of a file may not be unreadable."""
    limit = run.source.on_bad_rows.fail_above
    counts = run.warehouse.read(
        f"""
        WITH breaking AS (SELECT DISTINCT ON (row_hash) row_hash, broken[1] AS promise FROM ({breaking_rows(write)}))
        SELECT _run_id, count(promise) AS bad_count, mode(promise) AS promise, count(*) AS row_count
        FROM {quoted(raw_table(run.name))} LEFT JOIN breaking ON row_hash = _row_hash
        WHERE list_contains(?, _run_id) GROUP BY _run_id HAVING count(promise) > 0""",
        [list(write.loads)],
    )
    found = dict[str, str]()
    for load_id, bad, promise, count in counts.itertuples(index=False):
        share = Unreadable(str(load_id), int(bad), int(count) - int(bad))
        if share.share > limit and share.is_worth_refusing:
            reason = write.promises[int(promise) - 1].reason
            found[str(load_id)] = (
                f"{percentage(share.share)} of its rows break the contract, {int(bad):,} of {int(count):,}, "
                f"more than on_bad_rows.fail_above lets be diverted ({limit}): {reason}"
            )
    return found


@dataclass(frozen=True)
class HeldRows:
    """Diverted rows that nobody has decided yet, for one reason; of several reasons a row is counted for each."""

    reason: str
    rows: int
    first_at: datetime


def held_rows(warehouse: Warehouse, source: str) -> tuple[int, list[HeldRows]]:
    """How many diverted rows of a source are held, and why, the most frequent reason first."""
    found = warehouse.read(
        """
        WITH held AS (SELECT reasons, observed_at FROM diverted_rows WHERE source = ? AND state = 'held')
        SELECT reason, count(*) AS n, min(observed_at) AS first_at, (SELECT count(*) FROM held) AS total
        FROM (SELECT unnest(reasons) AS reason, observed_at FROM held) GROUP BY reason ORDER BY n DESC, reason""",
        [source],
    )
    reasons = [HeldRows(str(row["reason"]), int(row["n"]), row["first_at"].to_pydatetime()) for row in found.to_dict("records")]
    return (int(found["total"].iloc[0]) if len(found) else 0), reasons


def examples(warehouse: Warehouse, source: Source, reason: str) -> list[str]:
    """What some of the rows have in the columns that a reason is about; none where the contract does not know it any more."""
    asked = source.contract.expectations() if source.contract else ()
    expectation = next((each for each in asked if each.is_diverting and reason_of_row(each) == reason), None)
    names = expectation.columns if expectation else ()
    rows = shown_rows(warehouse, source, Chosen(reason=reason), limit=MOST_EXAMPLES)
    by_lower = {str(name).lower(): name for name in rows.columns}
    shown = [by_lower[name.lower()] for name in names if name.lower() in by_lower]
    texts = rows[shown].astype("string").fillna("nothing") if shown else rows[:0]
    return list(dict.fromkeys(" and ".join(values)[:_SHOWN_LENGTH] for values in texts.itertuples(index=False, name=None)))


def shown_rows(warehouse: Warehouse, source: Source, which: "Chosen", limit: int | None = None) -> pd.DataFrame:
    """The diverted rows that are held, in the order of their times: row (its id), load, because, and the columns as they were read. Values
    of sensitive columns are masked."""
    if not warehouse.has_table(raw_table(source.name)):
        return pd.DataFrame()
    sensitive = {name.lower() for name in (source.contract or Contract()).sensitive}
    types = feed_types(warehouse, source.name)
    beside, values = _beside(types), list[str]()
    for name in (name for name in types if name not in beside.values()):
        column = quoted_column(name)
        if name.lower() in sensitive:
            value = f"CASE WHEN {column} IS NOT NULL THEN '{MASK}' END"
        else:
            text = beside.get(name.lower())
            value = column if text is None else f"coalesce({quoted_column(text)}, CAST({column} AS VARCHAR))"
        values.append(f"{value} AS {column}")
    condition, bound = chosen(_decision(source, "held", which))
    entries = f"SELECT row_hash, load_id, reasons FROM diverted_rows WHERE {condition}"
    return warehouse.read(
        f"""
        SELECT {ROW_ID} AS "row", load_id AS "load", array_to_string(reasons, '; ') AS because, {", ".join(values)}
        FROM {quoted(raw_table(source.name))} AS stored JOIN ({entries}) AS held ON held.row_hash = stored._row_hash
        QUALIFY row_number() OVER (PARTITION BY row_hash) = 1
        ORDER BY stored.{quoted_column(source.time_column)}, row_hash {"" if limit is None else f"LIMIT {limit}"}""",
        bound,
    )


@dataclass(frozen=True)
class Chosen:
    """Which held rows a person decides: all, those of a load, those that break something of a column or for a reason, one by its id."""

    load_id: str = ""
    column: str = ""
    reason: str = ""
    row_id: str = ""


@dataclass(frozen=True)
class HeldIds:
    """What the diverted rows of a source that are held can be chosen by; `decided` are the rows that a person has decided, and how."""

    rows: Sequence[str]
    loads: Sequence[str]
    columns: Sequence[str]
    reasons: Sequence[str]
    decided: Mapping[str, RowState]


def held_ids(warehouse: Warehouse, source: str) -> HeldIds:
    """The ids of the rows, the loads, the columns and the reasons."""
    rows = f"SELECT {ROW_ID} AS id, load_id, column_names, reasons, state FROM diverted_rows WHERE source = ? AND state <> 'mended'"
    found = warehouse.read(f"{rows} ORDER BY observed_at, id", [source])
    decided = {str(row["id"]): row["state"] for row in found[found["state"] != "held"].to_dict("records")}
    found = found[found["state"] == "held"]
    columns, reasons = (sorted({str(each) for listed in found[name] for each in listed}) for name in ("column_names", "reasons"))
    return HeldIds(found["id"].tolist(), sorted(set(found["load_id"])), columns, reasons, decided)


def decide(warehouse: Warehouse, source: Source, state: RowState, which: Chosen, *, by_whom: str, now: datetime, run_id: str) -> int:
    """A person lets diverted rows through, or keeps them out for good; the next run works on them. -> how many were held."""
    write = replace(_decision(source, state, which), changed_at=now, changed_by=by_whom)
    return warehouse.commit(run_id, [write]).row_counts.get("diverted_rows", 0)


def _decision(source: Source, state: RowState, which: Chosen) -> DecideRows:
    return DecideRows(source.name, source.time_column, state, datetime.now(UTC), "", **asdict(which))
