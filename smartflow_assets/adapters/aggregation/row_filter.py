"""Conditions over rows as SQL. A text is compared with the column as text, a number with the column as number: what cannot be
read as one does not match, and neither does null, whether the comparison is negated or not."""

from smartflow_assets.adapters.sql_quoting import quoted_column, quoted_text
from smartflow_assets.core.preparation.row_condition import Junction, RowCondition


def as_sql(condition: RowCondition) -> str:
    """An expression over the columns of a row, true or false, never null.

    >>> from smartflow_assets.core.preparation.row_condition import parse_condition
    >>> as_sql(parse_condition("kind == 'a' or n > 3"))
    'coalesce((CAST("kind" AS VARCHAR) = \\'a\\' OR TRY_CAST(CAST("n" AS VARCHAR) AS DOUBLE) > 3.0), FALSE)'
    """
    return f"coalesce({_expression(condition)}, FALSE)"


def _expression(condition: RowCondition) -> str:
    """True, false, or null where a column says nothing."""
    if isinstance(condition, Junction):
        parts = [_expression(part) for part in condition.parts]
        return f"NOT ({parts[0]})" if condition.word == "not" else f"({f' {condition.word.upper()} '.join(parts)})"
    if condition.sign in ("in", "not in"):
        any_of = " OR ".join(_compared(condition.column, "=", value) for value in condition.values) or "FALSE"
        return f"({any_of})" if condition.sign == "in" else f"NOT ({any_of})"
    return _compared(condition.column, condition.sign, condition.values[0])


def _compared(column: str, sign: str, value: float | str) -> str:
    text = f"CAST({quoted_column(column)} AS VARCHAR)"
    return f"{text} {sign} {quoted_text(value)}" if isinstance(value, str) else f"TRY_CAST({text} AS DOUBLE) {sign} {value!r}"
