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


def as_sql_or_null(
    condition: RowCondition, column: Callable[[str], str] = quoted_column, number: Callable[[str], str] | None = None
) -> str:
    """An expression that is true, false, or null where a column says nothing. `column` gives the SQL of a name, `number` that of its
    value as a number; without it the value is read as one."""
    number = number or (lambda name: f"TRY_CAST(CAST({column(name)} AS VARCHAR) AS DOUBLE)")
    if isinstance(condition, Junction):
        parts = [as_sql_or_null(part, column, number) for part in condition.parts]
        return f"NOT ({parts[0]})" if condition.word == "not" else f"({f' {condition.word.upper()} '.join(parts)})"

    def compared(sign: str, value: float | str | Column) -> str:
        if isinstance(value, Column):
            return f"{column(condition.column)} {sign} {column(value.name)}"
        if isinstance(value, str):
            return f"CAST({column(condition.column)} AS VARCHAR) {sign} {quoted_text(value)}"
        return f"{number(condition.column)} {sign} {value!r}"

    if condition.sign in ("in", "not in"):
        any_of = " OR ".join(compared("=", value) for value in condition.values) or "FALSE"
        return f"({any_of})" if condition.sign == "in" else f"NOT ({any_of})"
    return compared(condition.sign, condition.values[0])
