"""Types of Great Expectations that judge rows one by one, or values against each other, as SQL.

Each function says when SQL means the same: by the type that a column is stored as and the arguments. Any other case is left to
Great Expectations, by None.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from smartflow_assets.adapters.aggregation.row_filter import as_sql_or_null
from smartflow_assets.adapters.expectations.check import Check, Compiler, Finding, is_number, number, of_counts, of_rows
from smartflow_assets.adapters.expectations.patterns import for_duckdb
from smartflow_assets.adapters.expectations.rows import BrokenCheckError, Column, Rows
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.core.contracts.expectations import Expectation
from smartflow_assets.core.preparation.row_condition import parse_condition

_EXTRA = frozenset({"mostly"})


def _column(expectation: Expectation, rows: Rows, *known: str) -> Column | None:
    """The one column of an expectation, if all its other arguments are known here."""
    column = rows.column(str(expectation.arguments["column"]))
    return column if set(expectation.arguments) <= {"column", *known, *_EXTRA} else None


def _not_null(expectation: Expectation, rows: Rows) -> Check | None:
    column = _column(expectation, rows)
    return column and of_counts(expectation, "count(*)", f"count(*) - count({column.sql})", bad=f"{column.sql} IS NULL")


def _null(expectation: Expectation, rows: Rows) -> Check | None:
    column = _column(expectation, rows)
    return column and of_counts(expectation, "count(*)", f"count({column.sql})", bad=f"{column.sql} IS NOT NULL", shown=column.sql)


def _between(expectation: Expectation, rows: Rows) -> Check | None:
    column = _column(expectation, rows, "min_value", "max_value", "strict_min", "strict_max")
    bounds = [(key, value) for key in ("min_value", "max_value") if (value := expectation.arguments.get(key)) is not None]
    if column is None or not bounds or column.kind in ("", "boolean"):
        return None
    if column.kind == "text" and all(is_number(value) for _, value in bounds):
        return _impossible(column, "is text, and a number is no limit of it")
    limits = {key: _limit(column, value) for key, value in bounds}
    if None in limits.values():
        return None
    return of_rows(expectation, f"count({column.sql})", _outside(expectation, column.sql, limits), shown=column.sql)


def _outside(expectation: Expectation, measured: str, limits: Mapping[str, str | None]) -> str:
    """That what is measured lies beyond one of the limits, by the names of their arguments."""
    signs = {"min_value": "<=" if expectation.arguments.get("strict_min") else "<"}
    signs["max_value"] = ">=" if expectation.arguments.get("strict_max") else ">"
    return f"({' OR '.join(f'{measured} {signs[key]} {limit}' for key, limit in limits.items())})"


def _limit(column: Column, value: Any) -> str | None:
    """A number for numbers, and for times an ISO text with its offset: without one Great Expectations refuses to compare."""
    if column.is_numeric:
        return number(value) if is_number(value) else None
    if column.kind != "timestamp" or not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return f"CAST({quoted_text(moment.astimezone(UTC).isoformat())} AS TIMESTAMPTZ)" if moment.tzinfo else None


def _impossible(column: Column, why: str) -> Check:
    """Values that cannot be compared are a broken check, once there is one."""

    def judge(figures: Mapping[str, Any]) -> Finding:
        count = int(figures["considered"])
        return Finding(count == 0, count, None if count else 0, error=f"{column.name} {why}" if count else "")

    return Check({"considered": f"count({column.sql})"}, judge)


def _members(column: Column, values: Any) -> list[str] | None:
    """The values of a set as SQL; those that the column cannot hold are left out."""
    if not isinstance(values, list | tuple) or not values:
        return None
    if column.kind == "text" and all(isinstance(value, str) for value in values):
        return [quoted_text(value) for value in values]
    if column.is_numeric and all(is_number(value) for value in values):
        if column.kind == "integer":
            return [str(int(value)) for value in values if float(value).is_integer()] if all(abs(v) < 2**53 for v in values) else None
        return [number(value) for value in values]
    return None


def _set(is_allowed: bool) -> Compiler:
    def compile_(expectation: Expectation, rows: Rows) -> Check | None:
        column = _column(expectation, rows, "value_set")
        members = column and _members(column, expectation.arguments.get("value_set"))
        if column is None or members is None:
            return None
        is_member = f"{column.sql} IN ({', '.join(members)})" if members else f"{column.sql} IS NULL"  # null is looked at by neither
        bad = f"NOT ({is_member})" if is_allowed else f"({is_member} AND {column.sql} IS NOT NULL)"
        return of_rows(expectation, f"count({column.sql})", bad, shown=column.sql)

    return compile_


def _regex(negation: str) -> Compiler:
    def compile_(expectation: Expectation, rows: Rows) -> Check | None:
        column = _column(expectation, rows, "regex")
        pattern = expectation.arguments.get("regex")
        written = for_duckdb(pattern) if isinstance(pattern, str) else None
        if column is None or column.kind != "text" or written is None:
            return None
        text, is_ascii = written
        bad = f"{negation}regexp_matches({column.sql}, {quoted_text(text)})"
        guard = f"count(*) FILTER (WHERE strlen({column.sql}) <> length({column.sql}))" if is_ascii else None
        return of_rows(expectation, f"count({column.sql})", bad, shown=column.sql, guard=guard)

    return compile_


def unlike_pattern(expectation: Expectation, rows: Rows, values_of: Callable[[str], Sequence[str]]) -> str | None:
    """The condition that a text is one of those that Python says do not match, or do; None where that is not what is asked. `values_of`
    answers a query of texts."""
    signs = {"expect_column_values_to_match_regex": False, "expect_column_values_to_not_match_regex": True}
    column = _column(expectation, rows, "regex") if expectation.type in signs else None
    if column is None or column.kind != "text":
        return None
    pattern, is_bad = re.compile(str(expectation.arguments["regex"])), signs[expectation.type]
    values = values_of(f"SELECT DISTINCT {column.sql} FROM {rows.relation} AS judged WHERE {column.sql} IS NOT NULL")
    bad = [quoted_text(value) for value in values if bool(pattern.search(value)) == is_bad]
    return f"coalesce({column.sql} IN ({', '.join(bad)}), FALSE)" if bad else "FALSE"


def _lengths(expectation: Expectation, rows: Rows) -> Check | None:
    column = _column(expectation, rows, "min_value", "max_value", "strict_min", "strict_max")
    given = [(key, value) for key in ("min_value", "max_value") if (value := expectation.arguments.get(key)) is not None]
    bounds = {key: value for key, value in given if is_number(value)}
    if column is None or column.kind != "text" or not bounds or len(bounds) < len(given):
        return None
    bad = _outside(expectation, f"length({column.sql})", {key: number(value) for key, value in bounds.items()})
    return of_rows(expectation, f"count({column.sql})", bad, shown=column.sql)


def _length(expectation: Expectation, rows: Rows) -> Check | None:
    column = _column(expectation, rows, "value")
    value = expectation.arguments.get("value")
    if column is None or column.kind != "text" or not is_number(value):
        return None
    return of_rows(expectation, f"count({column.sql})", f"length({column.sql}) <> {number(value)}", shown=column.sql)


def _unique(expectation: Expectation, rows: Rows) -> Check | None:
    column = _column(expectation, rows)
    if column is None:
        return None
    plain = rows.of_base.column(column.name).sql
    return _no_two_alike(expectation, rows, f"count({column.sql})", column.sql, plain, f"{plain} IS NOT NULL", shown=column.sql)


def _compound(expectation: Expectation, rows: Rows) -> Check | None:
    arguments = expectation.arguments
    ignored = arguments.get("ignore_row_if", "all_values_are_missing")
    joiners = {"all_values_are_missing": " OR ", "any_value_is_missing": " AND "}
    if not set(arguments) <= {"column_list", "ignore_row_if", *_EXTRA} or ignored not in (*joiners, "never"):
        return None
    columns = [rows.column(str(name)) for name in arguments["column_list"]]
    plain = [rows.of_base.column(column.name).sql for column in columns]

    def judged(names: list[str]) -> str:
        return "TRUE" if ignored == "never" else f"({joiners[ignored].join(f'{name} IS NOT NULL' for name in names)})"

    inner = [column.sql for column in columns]
    considered = f"count(*) FILTER (WHERE {judged(inner)})"
    shown = f"concat_ws(', ', {', '.join(f'CAST({name} AS VARCHAR)' for name in inner)})"
    check = _no_two_alike(expectation, rows, considered, _key(inner), _key(plain), judged(plain), shown=shown, groups=", ".join(plain))
    return check if check.bad is None else Check(check.figures, check.judge, f"({judged(inner)} AND {check.bad})", shown)


def _key(columns: list[str]) -> str:
    """Several values as one, in which null equals null."""
    return f"struct_pack({', '.join(f'k{at} := {name}' for at, name in enumerate(columns))})"


def _no_two_alike(
    expectation: Expectation, rows: Rows, considered: str, key: str, plain: str, judged: str, *, shown: str, groups: str = ""
) -> Check:
    """Every row whose key comes more than once is to blame, the first among them. For all rows of the source, only keys that the judged
    rows have are counted: a load of a hundred rows does not group the whole past."""
    groups = groups or plain
    is_whole = expectation.scope != "source" or rows.relation == rows.all_rows
    among, found = rows.of_base.base if is_whole else rows.of_base.all_base, judged
    if not is_whole:
        found += f" AND {plain} IN (SELECT {plain} FROM {rows.of_base.base} AS judged WHERE {judged})"
    repeated = f"SELECT {plain} FROM {among} AS among WHERE {found} GROUP BY {groups} HAVING count(*) > 1"
    bad = f"({key} IN ({repeated}))"
    if is_whole:
        sizes = f"SELECT count(*) AS size FROM {among} AS among WHERE {judged} GROUP BY {groups}"
        unexpected = f"(SELECT coalesce(sum(size), 0) FROM ({sizes}) AS sizes WHERE size > 1)"
    else:
        unexpected = f"(SELECT count(*) FROM {rows.of_base.base} AS judged WHERE {judged} AND {plain} IN ({repeated}))"
    return of_counts(expectation, considered, unexpected, bad=bad, shown=shown)


def _pair(is_order: bool) -> Compiler:
    def compile_(expectation: Expectation, rows: Rows) -> Check | None:
        arguments = expectation.arguments
        ignored = arguments.get("ignore_row_if", "both_values_are_missing")
        joiners = {"both_values_are_missing": " OR ", "either_value_is_missing": " AND "}
        known = {"column_A", "column_B", "ignore_row_if", *_EXTRA} | ({"or_equal"} if is_order else set())
        first, second = rows.column(str(arguments["column_A"])), rows.column(str(arguments["column_B"]))
        is_alike = first.kind == second.kind != "" or (first.is_numeric and second.is_numeric)
        is_alike |= first.category == second.category == "timestamp"  # a day begins at midnight UTC; pandas compares it with no time
        if not set(arguments) <= known or ignored not in joiners or not is_alike or first.kind == "boolean":
            return None
        if not is_order or arguments.get("or_equal"):
            good = f"{first.sql} {'>=' if is_order else '='} {second.sql}"
        else:
            good = f"{first.sql} > {second.sql}"
        considered = f"({first.sql} IS NOT NULL{joiners[ignored]}{second.sql} IS NOT NULL)"
        shown = f"concat(coalesce(CAST({first.sql} AS VARCHAR), 'nothing'), ' and ', coalesce(CAST({second.sql} AS VARCHAR), 'nothing'))"
        bad = f"({considered} AND NOT coalesce({good}, FALSE))"
        return of_rows(expectation, f"count(*) FILTER (WHERE {considered})", bad, shown=shown)

    return compile_


def _rows_query(expectation: Expectation, rows: Rows) -> Check | None:
    """A condition, a reference to another source, or a query of one's own for the rows that are not as expected."""
    arguments = expectation.arguments
    if "condition" in arguments:
        condition = parse_condition(str(arguments["condition"]), is_across=True)
        bad = f"NOT ({as_sql_or_null(condition, lambda name: rows.column(name).sql, lambda name: _as_number(rows.column(name)))})"
        shown = ", ' and ', ".join(f"coalesce(CAST({rows.column(name).sql} AS VARCHAR), 'nothing')" for name in expectation.columns)
        return of_rows(expectation, "count(*)", bad, shown=f"concat({shown})")
    if "source" in arguments:
        return _reference(expectation, rows)
    try:
        query = str(arguments["unexpected_rows_query"]).format(batch=rows.relation).strip().rstrip(";")
    except (KeyError, IndexError, ValueError) as error:
        raise BrokenCheckError(f"the query has a brace that is not {{batch}} ({error}); write other braces twice") from None
    return of_counts(expectation, "count(*)", f"(SELECT count(*) FROM ({query}) AS found)", bad=None)


def _as_number(column: Column) -> str:
    return f"CAST({column.sql} AS DOUBLE)" if column.is_numeric else f"TRY_CAST(CAST({column.sql} AS VARCHAR) AS DOUBLE)"


def _reference(expectation: Expectation, rows: Rows) -> Check:
    arguments = expectation.arguments
    column, source = rows.column(str(arguments["column"])), str(arguments["source"])
    if source not in rows.references:
        raise BrokenCheckError(f"there are no rows of {source} to refer to")
    try:
        other = rows.references[source].column(str(arguments["source_column"]))
    except BrokenCheckError as error:
        raise BrokenCheckError(f"{error} in {source}") from None
    mine, theirs = column.sql, other.sql
    if column.is_numeric != other.is_numeric and "text" in (column.kind, other.kind):
        mine, theirs = (f"TRY_CAST({sql} AS DOUBLE)" if each.kind == "text" else sql for each, sql in ((column, mine), (other, theirs)))
    known = f"SELECT {theirs} FROM {rows.references[source].base} AS referred WHERE {theirs} IS NOT NULL"
    bad = f"({column.sql} IS NOT NULL AND coalesce({mine} NOT IN ({known}), TRUE))"
    plain = _reference_count(rows, bad) if not rows.is_inline else "0"
    return of_counts(expectation, f"count({column.sql})", plain, bad=bad, shown=column.sql)


def _reference_count(rows: Rows, bad: str) -> str:
    return f"(SELECT count(*) FROM {rows.base} AS judged WHERE {bad})"  # an aggregate's FILTER takes no subquery


ROW_CHECKS: Mapping[str, Compiler] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _set(is_allowed=True),
    "expect_column_values_to_not_be_in_set": _set(is_allowed=False),
    "expect_column_values_to_match_regex": _regex("NOT "),
    "expect_column_values_to_not_match_regex": _regex(""),
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": _length,
    "expect_column_values_to_be_unique": _unique,
    "expect_compound_columns_to_be_unique": _compound,
    "expect_column_pair_values_a_to_be_greater_than_b": _pair(is_order=True),
    "expect_column_pair_values_to_be_equal": _pair(is_order=False),
    "unexpected_rows_expectation": _rows_query,
}
