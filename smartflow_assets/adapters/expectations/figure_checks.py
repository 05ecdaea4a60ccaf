"""Types of Great Expectations that judge one figure of a column or of the rows as SQL: counts, extremes, mean, spread, quantiles.

One definition of each, that of Great Expectations on pandas: the spread is the standard deviation of a sample (n - 1), the median is the
mean of the two middle values, a quantile q is the value at place (n - 1) q of the sorted values, rounded to the nearest, half to even
(`nearest` of numpy). Infinite values make some of these undefined in ways of their own: there Great Expectations is asked.
"""

from collections.abc import Mapping
from typing import Any

from smartflow_assets.adapters.expectations.check import Check, Compiler, Figures, Finding, is_number, of_figure
from smartflow_assets.adapters.expectations.rows import BrokenCheckError, Column, Rows
from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.core.contracts.contract import TYPE_EXPECTATIONS
from smartflow_assets.core.contracts.expectations import Expectation
from smartflow_assets.core.temporal.notation import format_duration

_BOUNDS = frozenset({"column", "min_value", "max_value", "strict_min", "strict_max"})
CLOSE = 1e-4  # how near a quantile is to a limit to be on it, relative to the limit, as Great Expectations has it


def _exists(expectation: Expectation, rows: Rows) -> Check | None:
    if set(expectation.arguments) != {"column"}:
        return None
    is_there = rows.has(str(expectation.arguments["column"]))
    return Check({}, lambda figures: Finding(is_there))


def _type(expectation: Expectation, rows: Rows) -> Check | None:
    """The five types of a contract; a type that somebody names otherwise is compared by Great Expectations."""
    column = rows.column(str(expectation.arguments["column"]))
    given = {key: value for key, value in expectation.arguments.items() if key != "column"}
    wanted = next((word for word, meant in TYPE_EXPECTATIONS.items() if meant == (expectation.type, given)), None)
    if wanted is None:
        return None
    is_right = column.category == wanted or (wanted == "number" and column.category == "integer")

    def judge(figures: Figures) -> Finding:  # a text column without any value is of every type: nobody has told it yet
        return Finding(is_right or (column.kind == "text" and not figures["there"]), observed={"type": column.category or column.type})

    return Check({"there": f"count({column.sql})"}, judge)


def _figure(sql: str, *, types: str = "numeric", is_undefined_of_infinity: bool = False) -> Compiler:
    """A figure of a column, in which {x} stands for it, with limits."""

    def compile_(expectation: Expectation, rows: Rows) -> Check | None:
        column = rows.column(str(expectation.arguments["column"]))
        is_fit = column.is_numeric if types == "numeric" else column.kind not in ("", "boolean") or types == "any"
        if not set(expectation.arguments) <= _BOUNDS or not is_fit:
            return None
        return of_figure(expectation, sql.format(x=column.sql), guard=_infinite(column) if is_undefined_of_infinity else None)

    return compile_


def _infinite(column: Column) -> str | None:
    return f"count(*) FILTER (WHERE isinf({column.sql}))" if column.kind == "number" else None


def _quantiles(expectation: Expectation, rows: Rows) -> Check | None:
    column = rows.column(str(expectation.arguments["column"]))
    ranges = expectation.arguments.get("quantile_ranges")
    if not column.is_numeric or not set(expectation.arguments) <= {"column", "quantile_ranges"} or not isinstance(ranges, Mapping):
        return None
    quantiles, limits = ranges.get("quantiles"), ranges.get("value_ranges")
    if not _are_quantiles(quantiles, limits) or not isinstance(quantiles, list | tuple) or not isinstance(limits, list | tuple):
        return None
    base = rows.of_base.base
    figures = {
        f"q{at}": f"(SELECT CAST({column.sql} AS DOUBLE) FROM {base} AS judged WHERE {column.sql} IS NOT NULL "
        f"ORDER BY {column.sql} LIMIT 1 "
        f"OFFSET (SELECT CAST(greatest(round_even((count({column.sql}) - 1) * CAST('{float(q)!r}' AS DOUBLE), 0), 0) AS BIGINT) "
        f"FROM {base} AS judged))"
        for at, q in enumerate(quantiles)
    }

    def judge(found: Figures) -> Finding:
        values = [found[f"q{at}"] for at in range(len(quantiles))]
        is_passed = all(_is_within(value, *limit) for value, limit in zip(values, limits, strict=True))
        return Finding(is_passed, observed={"quantiles": dict(zip(map(str, quantiles), values, strict=True))})

    return Check(figures, judge, guard=_infinite(column))


def _are_quantiles(quantiles: Any, limits: Any) -> bool:
    if not isinstance(quantiles, list | tuple) or not isinstance(limits, list | tuple) or len(quantiles) != len(limits):
        return False
    are_pairs = all(isinstance(pair, list | tuple) and len(pair) == 2 and all(v is None or is_number(v) for v in pair) for pair in limits)
    return bool(quantiles) and are_pairs and all(is_number(q) and 0 <= q <= 1 for q in quantiles)


def _is_within(value: float | None, low: float | None, high: float | None) -> bool:
    if value is None:
        return False
    is_near = any(limit is not None and abs(value - limit) <= 1e-8 + CLOSE * abs(limit) for limit in (low, high))
    return is_near or ((low is None or low <= value) and (high is None or value <= high))


def _row_count(expectation: Expectation, rows: Rows) -> Check | None:
    arguments = expectation.arguments
    if not set(arguments) <= {"min_value", "max_value", "strict_min", "strict_max", "value"}:
        return None
    if "value" in arguments:
        value = arguments["value"]
        return Check({"value": "count(*)"}, lambda figures: Finding(figures["value"] == value, observed={"value": int(figures["value"])}))
    return of_figure(expectation, "count(*)") if expectation.scope == "load" else _row_count_of_spans(expectation, rows)


def _row_count_of_spans(expectation: Expectation, rows: Rows) -> Check:
    """Buckets or days from the judged rows' first to their last, each with all its stored rows, those without any too; and the one before,
    which was filling when it was looked at last. The newest may have too few, since it is filling."""
    if expectation.scope == "bucket" and rows.bucket is None:
        raise BrokenCheckError("the length of a bucket is not known yet")
    if not rows.has(rows.time_column):
        raise BrokenCheckError(f"there is no column {rows.time_column}, which says when")
    at = quoted_column(rows.column(rows.time_column).name)
    span = f"date_trunc('day', timezone('{rows.zone}', CAST({at} AS TIMESTAMPTZ)))"
    if expectation.scope == "bucket" and rows.bucket is not None:
        span = f"epoch_us(CAST({at} AS TIMESTAMPTZ)) // {round(rows.bucket.total_seconds() * 1e6)}"
    low, high = (expectation.arguments.get(key) for key in ("min_value", "max_value"))
    following = "first, last, INTERVAL 1 DAY" if expectation.scope == "day" else "first, last"
    counted = f"""
        WITH sizes AS MATERIALIZED (
                 SELECT {span} AS span, count(*) AS size FROM {rows.all_rows} AS stored WHERE {at} IS NOT NULL GROUP BY ALL),
             judged AS MATERIALIZED (SELECT min({span}) AS first, max({span}) AS last FROM {rows.relation} AS judged),
             spans AS (SELECT coalesce((SELECT max(span) FROM sizes WHERE span < judged.first), judged.first) AS first, last,
                              (SELECT max(span) FROM sizes) AS newest FROM judged)
        SELECT span, coalesce(size, 0) AS size, span = newest AS is_newest
        FROM (SELECT unnest(generate_series({following})) AS span, newest FROM spans) LEFT JOIN sizes USING (span)"""
    wrong = [f"(size < {low} AND NOT is_newest)"] if low is not None else []
    wrong += [f"size > {high}"] if high is not None else []

    figures = {
        "considered": "count(*)",
        "unexpected": f"count(*) FILTER (WHERE {' OR '.join(wrong)})",
        "least": "min(size) FILTER (WHERE NOT is_newest)",
        "most": "max(size)",
    }
    packed = ", ".join(f"{name} := {sql}" for name, sql in figures.items())  # one value, so that spans are counted once

    def judge(found: Figures) -> Finding:
        spans = found["spans"]
        sizes = {key: None if spans[key] is None else int(spans[key]) for key in ("least", "most")}
        return Finding(not spans["unexpected"], int(spans["considered"]), int(spans["unexpected"]), sizes)

    return Check({"spans": f"(SELECT struct_pack({packed}) FROM ({counted}) AS counted)"}, judge)


def span_word(expectation: Expectation, rows: Rows) -> str:
    """What rows are counted in, for people."""
    return "day" if expectation.scope == "day" else f"bucket of {format_duration(rows.bucket)}" if rows.bucket else "bucket"


FIGURE_CHECKS: Mapping[str, Compiler] = {
    "expect_column_to_exist": _exists,
    "expect_column_values_to_be_in_type_list": _type,
    "expect_column_type_to_be": _type,
    "expect_column_min_to_be_between": _figure("CAST(min({x}) AS DOUBLE)"),
    "expect_column_max_to_be_between": _figure("CAST(max({x}) AS DOUBLE)"),
    "expect_column_mean_to_be_between": _figure("avg({x})"),
    "expect_column_sum_to_be_between": _figure("CAST(coalesce(sum({x}), 0) AS DOUBLE)"),
    "expect_column_stdev_to_be_between": _figure(
        "CASE WHEN count(*) FILTER (WHERE isinf({x})) = 0 THEN stddev_samp({x}) FILTER (WHERE NOT isinf({x})) END",
        is_undefined_of_infinity=True,
    ),
    "expect_column_median_to_be_between": _figure("CAST(quantile_cont({x}, 0.5) AS DOUBLE)", is_undefined_of_infinity=True),
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_unique_value_count_to_be_between": _figure("count(DISTINCT {x})", types="any"),
    "expect_column_proportion_of_unique_values_to_be_between": _figure(
        "CASE WHEN count({x}) = 0 THEN 0 ELSE count(DISTINCT {x}) / count({x}) END", types="any"
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": _figure(
        "CASE WHEN count(*) = 0 THEN 0 ELSE count({x}) / count(*) END", types="any"
    ),
    "expect_table_row_count_to_be_between": _row_count,
    "expect_table_row_count_to_equal": _row_count,
}
