"""Which rows a metric is made of: `where: category == 'transfer' and amount > 15000`; and what a contract holds to be true of each row,
where columns may be compared with each other as well.

The text is parsed by `ast` against the short list below; nothing in it is ever run. Here it becomes a small tree that says
what is asked of which column; how a database is asked is its own business.
"""

import ast
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator

from smartflow_assets.core.condition_syntax import syntax_tree

_COMPARISONS: dict[type, str] = {ast.Eq: "=", ast.NotEq: "<>", ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<="}
_EXAMPLE = "category == 'transfer' and amount > 15000"
_ACROSS = "ended_at >= started_at or status == 'open'"


@dataclass(frozen=True)
class Column:
    """Another column, that one is compared with."""

    name: str


@dataclass(frozen=True)
class Comparison:
    """A column compared with numbers, texts or a column by `=`, `<>`, `>`, `>=`, `<`, `<=`, `in` or `not in`; one value, or several for
    in."""

    column: str
    sign: str
    values: tuple[float | str | Column, ...]


@dataclass(frozen=True)
class Junction:
    """`and`, `or` or `not` over parts."""

    word: str
    parts: "tuple[RowCondition, ...]"


RowCondition = Comparison | Junction


@lru_cache(maxsize=256)
def parse_condition(text: str, *, is_across: bool = False) -> RowCondition:
    """The condition, checked; ValueError says what is not allowed in it. Names with spaces or dots stand in backquotes. `is_across`
    allows a column to be compared with another one.

    >>> parse_condition("`unit price` >= 9 and not channel in ['upi', 'card']")
    Junction(word='and', parts=(Comparison(column='unit price', sign='>=', values=(9.0,)), \
Junction(word='not', parts=(Comparison(column='channel', sign='in', values=('upi', 'card')),))))
    """
    tree, back = syntax_tree(text, _ACROSS if is_across else _EXAMPLE)
    try:
        return _condition(tree, back, is_across)
    except OverflowError:
        raise ValueError(f"{text!r} holds a number beyond all measure") from None


def _condition(node: ast.expr, back: dict[str, str], is_across: bool) -> RowCondition:
    match node:
        case ast.BoolOp(op=op, values=values):
            return Junction("and" if isinstance(op, ast.And) else "or", tuple(_condition(value, back, is_across) for value in values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Junction("not", (_condition(operand, back, is_across),))
        case ast.Compare(left=ast.Name(id=name), ops=[ast.In() | ast.NotIn() as op], comparators=[ast.List() | ast.Tuple() as given]):
            sign = "in" if isinstance(op, ast.In) else "not in"
            return Comparison(back.get(name, name), sign, tuple(_constant(element, back) for element in given.elts))
        case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[ast.Name(id=other)]) if is_across and type(op) in _COMPARISONS:
            return Comparison(back.get(name, name), _COMPARISONS[type(op)], (Column(back.get(other, other)),))
        case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[given]) if type(op) in _COMPARISONS:
            value = _constant(given, back)
            if isinstance(value, str) and not isinstance(op, ast.Eq | ast.NotEq):
                raise ValueError(f"{ast.unparse(node)!r}: a text is compared by == or != only")
            return Comparison(back.get(name, name), _COMPARISONS[type(op)], (value,))
        case _:
            with_what = "a number, a text or another column" if is_across else "a number or a text"
            told = f"compare one column with {with_what}; write one such as {_ACROSS if is_across else _EXAMPLE}"
            raise ValueError(f"{ast.unparse(node)!r} is not allowed: {told}")


def _constant(node: ast.expr, back: dict[str, str]) -> float | str:
    match node:
        case ast.Constant(value=str() as text):
            for placeholder, name in back.items():  # backquotes within a text are part of it
                text = text.replace(placeholder, f"`{name}`")
            return text
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _finite(number)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)) if not isinstance(number, bool):
            return -_finite(number)
        case _:
            raise ValueError(f"{ast.unparse(node)!r} is not a number or a quoted text")


def _finite(number: float) -> float:
    if math.isinf(float(number)):
        raise OverflowError
    return float(number)


def columns(condition: RowCondition) -> tuple[str, ...]:
    """The columns that it names, in order of mention."""
    if isinstance(condition, Comparison):
        return tuple(dict.fromkeys((condition.column, *(value.name for value in condition.values if isinstance(value, Column)))))
    return tuple(dict.fromkeys(name for part in condition.parts for name in columns(part)))


def text_columns(condition: RowCondition) -> tuple[str, ...]:
    """The columns that it compares with texts, in order of mention."""
    if isinstance(condition, Comparison):
        return (condition.column,) if any(isinstance(value, str) for value in condition.values) else ()
    return tuple(dict.fromkeys(name for part in condition.parts for name in text_columns(part)))


def _checked(text: str) -> str:
    parse_condition(text)
    return text


Where = Annotated[str, AfterValidator(_checked)]
"""The text of a condition, as a field of a model."""
