"""Conditions over rows as SQL. A text is compared with the column as text, a number with the column as number: what cannot be
read as one does not match, and neither does null, whether the comparison is negated or not. Two columns are compared as they are."""

from collections.abc import Callable

from smartflow_assets.adapters.sql_quoting import quoted_column, quoted_text
from smartflow_assets.core.preparation.row_condition import Column, Junction, RowCondition


def as_sql(condition: RowCondition) -> str:
    """An expression over the columns of a row, true or false, never null.

    >>> from smartflow_assets.core.preparation.row_condition import parse_condition
    >>> as_sql(parse_condition("kind == 'a' or n > 3"))
    'coalesce((CAST("kind" AS VARCHAR) = \\'a\\' OR TRY_CAST(CAST("n" AS VARCHAR) AS DOUBLE) > 3.0), FALSE)'
    """
    return f"coalesce({as_sql_or_null(condition)}, FALSE)"


def as_sql_or_null(condition: RowCondition, column: Callable[[str], str] = quoted_column) -> str:
    """An expression that is true, false, or null where a column says nothing; `column` gives the SQL of a name."""
    if isinstance(condition, Junction):
        parts = [as_sql_or_null(part, column) for part in condition.parts]
        return f"NOT ({parts[0]})" if condition.word == "not" else f"({f' {condition.word.upper()} '.join(parts)})"
    of = column(condition.column)
    if condition.sign in ("in", "not in"):
        any_of = " OR ".join(_compared(of, "=", value, column) for value in condition.values) or "FALSE"
        return f"({any_of})" if condition.sign == "in" else f"NOT ({any_of})"
    return _compared(of, condition.sign, condition.values[0], column)


def _compared(of: str, sign: str, value: float | str | Column, column: Callable[[str], str]) -> str:
    if isinstance(value, Column):
        return f"{of} {sign} {column(value.name)}"
    text = f"CAST({of} AS VARCHAR)"
    return f"{text} {sign} {quoted_text(value)}" if isinstance(value, str) else f"TRY_CAST({text} AS DOUBLE) {sign} {value!r}"
