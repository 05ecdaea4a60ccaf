"""Expectations asked of rows: one statement for the types of the columns, one for all figures, one for examples of what failed.

What SQL cannot say as Great Expectations means it goes to Great Expectations, on a frame of the columns that it needs. A statement
that DuckDB refuses is asked again expectation by expectation, so that a broken check is told by name and hides no other.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import duckdb
import pandas as pd

from smartflow_assets.adapters.expectations.check import Check, Compiler, Finding
from smartflow_assets.adapters.expectations.figure_checks import FIGURE_CHECKS, span_word
from smartflow_assets.adapters.expectations.row_checks import ROW_CHECKS, unlike_pattern
from smartflow_assets.adapters.expectations.rows import BrokenCheckError, Rows
from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.core.contracts.expectations import MASK, MOST_EXAMPLES, Engine, Expectation, Verdict
from smartflow_assets.core.contracts.sentences import Told, sentence
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.core.json_value import json_value

Read = Callable[[str, list[Any]], pd.DataFrame]

STANDARD: Mapping[str, Compiler] = {**ROW_CHECKS, **FIGURE_CHECKS}
"""The types that SQL knows, as far as the types of columns and the arguments allow."""

_NOT_THE_CHECK = (
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.InterruptException,
    duckdb.FatalException,
    duckdb.InternalException,
)
_SHOWN_LENGTH = 80


@dataclass(frozen=True)
class _Answer:
    finding: Finding
    engine: Engine
    examples: tuple[str, ...] = ()
    first_at: pd.Timestamp | None = None


def evaluate(
    read: Read,
    relation: str,
    expectations: Sequence[Expectation],
    *,
    all_rows: str,
    time_column: str,
    references: Mapping[str, str],
    bucket: timedelta | None = None,
    zone: str = "UTC",
) -> list[Verdict]:
    """A verdict on each expectation, in their order.

    `read` asks DuckDB. `relation` is the SQL of the rows to judge, a name or a query in brackets, `all_rows` that of all stored rows of the
    source, these among them and with the same columns; `references` those of other sources, by name. `bucket` is the length of a
    bucket, for row counts per bucket, and `zone` the time zone in which days begin. Errors of the database that no expectation is to
    blame for (memory, disk, locks) are raised; so are those of a relation that cannot be read.
    """
    if not expectations:
        return []
    read = _unwrapped(read)
    rows = rows_of(read, relation, all_rows=all_rows, time_column=time_column, references=_needed(references, expectations))
    rows = replace(rows, bucket=bucket, zone=zone)
    checks: dict[int, Check] = {}
    answers: dict[int, _Answer] = {}
    for at, expectation in enumerate(expectations):
        try:
            compiler = STANDARD.get(expectation.type)
            check = compiler(expectation, rows) if compiler else None
        except BrokenCheckError as error:
            answers[at] = _broken(str(error))
        else:
            if check is not None:
                checks[at] = check
    figures = _figures(read, rows, checks)
    for at, found in figures.items():
        if isinstance(found, str):
            answers[at] = _broken(_without_values(expectations[at], found))
        elif not found.get("guard"):
            answers[at] = _Answer(checks[at].judge(found), "duckdb")
    answers |= _with_examples(read, rows, checks, answers)
    left = [at for at in range(len(expectations)) if at not in answers]
    if left:
        from smartflow_assets.adapters.expectations.great_expectations_engine import judge

        for at, (finding, examples) in zip(left, judge(read, rows, [expectations[at] for at in left]), strict=True):
            finding = replace(finding, error=_without_values(expectations[at], finding.error))
            answers[at] = _Answer(finding, "great_expectations", examples)
    return [_verdict(expectation, answers[at], rows) for at, expectation in enumerate(expectations)]


def _unwrapped(read: Read) -> Read:
    """The same, with DuckDB's own errors, which say whether an expectation is to blame, in the place of what a warehouse makes of them."""

    def asked(sql: str, params: list[Any]) -> pd.DataFrame:
        try:
            return read(sql, params)
        except SmartflowError as error:
            if isinstance(error.__cause__, duckdb.Error) and not isinstance(error.__cause__, _NOT_THE_CHECK):
                raise error.__cause__ from None
            raise

    return asked


def bad_rows(expectation: Expectation, rows: Rows, read: Read | None = None) -> str | None:
    """The SQL of a condition over the columns of `rows.relation`, true for each row that an expectation blames; None where no single row is
    to blame, or where Great Expectations alone knows. With `read`, a pattern that RE2 reads otherwise is asked of the values themselves."""
    compiler = STANDARD.get(expectation.type)
    try:
        check = compiler(expectation, rows.inline) if compiler else None
        if read is not None and (check is None or (check.guard and _is_guarded(read, rows, check.guard))):
            return unlike_pattern(expectation, rows, lambda sql: read(sql, []).iloc[:, 0].tolist())
    except BrokenCheckError:
        return None
    return None if check is None or check.bad is None else f"coalesce({check.bad}, FALSE)"


def _is_guarded(read: Read, rows: Rows, guard: str) -> bool:
    return bool(read(f"SELECT {guard} AS n FROM {rows.relation} AS judged", [])["n"].iloc[0])


def rows_of(read: Read, relation: str, *, all_rows: str, time_column: str, references: Mapping[str, str]) -> Rows:
    """The rows with the types of their columns, and those of other sources likewise, as `evaluate` and `bad_rows` take them."""
    others = {name: Rows(other, other, _types(read, other), "") for name, other in references.items()}
    return Rows(relation, all_rows, _types(read, relation), time_column, others)


def _types(read: Read, relation: str) -> dict[str, str]:
    described = read(f"DESCRIBE SELECT * FROM {relation}", [])
    return dict(zip(described["column_name"], described["column_type"], strict=True))


def _needed(references: Mapping[str, str], expectations: Collection[Expectation]) -> dict[str, str]:
    asked = {str(expectation.arguments.get("source", "")) for expectation in expectations}
    return {name: relation for name, relation in references.items() if name in asked}


def _figures(read: Read, rows: Rows, checks: Mapping[int, Check]) -> dict[int, dict[str, Any] | str]:
    """The figures of each check, by its place; a text where DuckDB refuses them, which says why."""
    if not checks:
        return {}
    names: dict[str, str] = {}  # many checks ask for the same count
    for check in checks.values():
        for sql in _asked(check).values():
            names.setdefault(sql, f"f{len(names)}")
    if not names:
        return {at: {} for at in checks}
    try:
        found = read(f"SELECT {', '.join(f'{sql} AS {name}' for sql, name in names.items())} FROM {rows.base} AS judged", []).iloc[0]
    except _NOT_THE_CHECK:
        raise
    except duckdb.Error as error:
        if len(checks) == 1:
            return {next(iter(checks)): str(error).partition("\n")[0]}
        return {at: one for place, check in checks.items() for at, one in _figures(read, rows, {place: check}).items()}
    return {at: {name: _plain(found[names[sql]]) for name, sql in _asked(check).items()} for at, check in checks.items()}


def _asked(check: Check) -> dict[str, str]:
    return {**check.figures, **({"guard": check.guard} if check.guard else {})}


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value.item() if hasattr(value, "item") else value


def _with_examples(read: Read, rows: Rows, checks: Mapping[int, Check], answers: Mapping[int, _Answer]) -> dict[int, _Answer]:
    """The answers that have bad rows, with the time of the first of these and some values."""
    failed = [at for at, answer in answers.items() if answer.finding.unexpected_count and at in checks and checks[at].bad]
    if not failed:
        return {}
    at_sql = f"CAST({quoted_column(rows.column(rows.time_column).name)} AS TIMESTAMPTZ)" if _is_timed(rows) else "CAST(NULL AS TIMESTAMPTZ)"
    parts = [
        f"SELECT * FROM (SELECT {at} AS place, {at_sql} AS seen_at, CAST({checks[at].shown or 'NULL'} AS VARCHAR) AS shown "
        f"FROM {rows.base} AS judged WHERE {checks[at].bad} ORDER BY 2, 3 LIMIT {MOST_EXAMPLES}) AS first_ones"
        for at in failed
    ]
    found = read(f"{' UNION ALL '.join(parts)} ORDER BY 1, 2, 3", [])
    answered: dict[int, _Answer] = {}
    for at in failed:
        own = found[found["place"] == at]
        first = own["seen_at"].iloc[0] if len(own) and not pd.isna(own["seen_at"].iloc[0]) else None
        answered[at] = replace(answers[at], examples=tuple(map(_shown, own["shown"].dropna())), first_at=first)
    return answered


def _is_timed(rows: Rows) -> bool:
    return rows.has(rows.time_column) and rows.column(rows.time_column).category == "timestamp"


def _shown(value: Any) -> str:
    text = str(value).removesuffix(".0")
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def _without_values(expectation: Expectation, error: str) -> str:
    """What an engine says when it cannot ask may quote a value."""
    return "it cannot be asked of these values, which are sensitive" if error and expectation.is_sensitive else error


def _broken(why: str) -> _Answer:
    return _Answer(Finding(False, error=why), "duckdb")


def _verdict(expectation: Expectation, answer: _Answer, rows: Rows) -> Verdict:
    finding = answer.finding
    count, wrong = finding.element_count, finding.unexpected_count
    percent = None if count is None or wrong is None else 100 * wrong / count if count else 0.0
    observed, examples, error = json_value(finding.observed), answer.examples, finding.error
    if expectation.is_sensitive:
        examples = tuple(MASK for _ in examples)
        observed = {key: value if key == "type" else MASK for key, value in observed.items()}
    told = Told(finding.is_passed, count, wrong, observed, examples, error, answer.first_at, span_word(expectation, rows))
    return Verdict(
        expectation, finding.is_passed, count, wrong, percent, observed, examples, answer.engine, error, sentence(expectation, told)
    )
