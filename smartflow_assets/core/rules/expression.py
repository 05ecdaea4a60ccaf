"""A condition over the metrics of one moment: `{type: expression, when: "cpu > 90 and memory > 80"}`.

The text is parsed by `ast` against the short list below and evaluated by this module over arrays; nothing in it is ever
run as Python. What is not on the list (calls, attributes, subscripts, powers, strings) is refused by name when the YAML is read.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache, reduce
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from smartflow_assets.core.condition_syntax import syntax_tree
from smartflow_assets.core.rules.base import BaseRule, Finding, Lasting, buckets, microseconds, no_violations, run_lengths
from smartflow_assets.core.text_format import lasting, number

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,  # pyright: ignore[reportUnknownMemberType]  # its stub has no types
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
}
_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: np.logical_not}
_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {"abs": (1, np.abs), "min": (2, np.minimum), "max": (2, np.maximum)}


class Condition(NamedTuple):
    """A parsed condition: the metrics it names, in order of mention, and its tree."""

    metrics: tuple[str, ...]
    tree: ast.expr


@lru_cache(maxsize=256)
def parse_expression(text: str) -> Condition:
    """The condition, checked; ValueError says what is not allowed in it.

    >>> parse_expression("`disk free` < 5 or cpu / 100 > 0.9").metrics
    ('disk free', 'cpu')
    >>> parse_expression("__import__('os').system('true')")
    Traceback (most recent call last):
    ValueError: Only abs, min, max can be called, in "__import__('os').system('true')"
    """
    tree, back = syntax_tree(text, "cpu > 90 and memory > 80")
    names: list[str] = []
    try:
        is_condition = _check(tree, names, back)
    except ValueError as error:
        raise ValueError(f"{error}, in {text!r}") from None
    if not is_condition:
        raise ValueError(f"{text!r} is a number, not a condition; compare it with something")
    if not names:
        raise ValueError(f"{text!r} names no metric")
    return Condition(tuple(dict.fromkeys(names)), tree)


def _check(node: ast.expr, names: list[str], back: Mapping[str, str]) -> bool:
    """Refuse what is not on the list, note the metrics named, and say whether the node is a truth value (else a number)."""
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            if not _is_finite(value):
                raise ValueError("a number beyond all measure is not allowed")
            return False
        case ast.Name(id=name):
            node.id = back.get(name, name)
            names.append(node.id)
            return False
        case ast.UnaryOp(op=op, operand=operand):
            if type(op) not in _UNARY:
                raise ValueError("~ is not allowed")
            return _same_kind([operand], isinstance(op, ast.Not), names, back)
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) not in _BINARY:
                raise ValueError("only + - * / reckon here")
            return _same_kind([left, right], False, names, back)
        case ast.BoolOp(values=values):
            return _same_kind(values, True, names, back)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            if any(type(op) not in _BINARY for op in ops):
                raise ValueError("only > >= < <= == != compare here")
            _same_kind([left, *comparators], False, names, back)
            return True
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            if len(args) != _FUNCTIONS[name][0]:
                raise ValueError(f"{name} takes {_FUNCTIONS[name][0]} values")
            return _same_kind(args, False, names, back)
        case ast.Call():
            raise ValueError(f"Only {', '.join(_FUNCTIONS)} can be called")
        case _:
            allowed = "metrics, numbers, + - * /, comparisons, and, or, not"
            raise ValueError(f"{ast.unparse(node)!r} is not allowed: a condition holds {allowed}")


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def _same_kind(nodes: list[ast.expr], is_truth: bool, names: list[str], back: Mapping[str, str]) -> bool:
    for node in nodes:
        if _check(node, names, back) is not is_truth:
            wanted, given = ("a condition", "a number") if is_truth else ("a number", "a condition")
            raise ValueError(f"{ast.unparse(node)!r} is {given} where {wanted} belongs")
    return is_truth


def _value(node: ast.expr, columns: Mapping[str, np.ndarray]) -> Any:
    """The node over arrays: a pure walk of a tree that `_check` has passed."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return columns[name]
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, columns))
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](np.asarray(_value(left, columns), float), _value(right, columns))
        case ast.BoolOp(op=op, values=values):
            return reduce(_BINARY[type(op)], [_value(value, columns) for value in values])
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [_value(side, columns) for side in (left, *comparators)]
            return reduce(np.logical_and, [_BINARY[type(op)](sides[at], sides[at + 1]) for at, op in enumerate(ops)])
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name][1](*[_value(arg, columns) for arg in args])
        case _:
            raise AssertionError(ast.dump(node))


def _label(dimensions: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Dimensions as a value that rows can be grouped by."""
    return tuple(sorted((dimensions or {}).items()))


def _check_text(text: str) -> str:
    parse_expression(text)
    return text


class Expression(BaseRule):
    """The condition holds over the metrics of one bucket (and of the same dimensions), with `for` that long without a break.

    A violation belongs to the series of the first metric named, or to `metric` when that is given. Where one of the metrics
    named has no value, nothing is said. A metric whose name is no plain word stands in backticks.
    """

    type: Literal["expression"] = "expression"
    when: Annotated[str, AfterValidator(_check_text)] = Field(
        description="A condition over metrics of the source: comparisons of numbers, + - * /, abs, min, max; and, or, not.",
        examples=["cpu > 90 and memory > 80", "errors / max(requests, 1) > 0.05"],
    )
    lasting: Lasting = timedelta(0)

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*super().metrics, *parse_expression(self.when).metrics]))

    def lookback(self, step: timedelta) -> timedelta:
        return buckets(self.lasting, step) * step

    def evaluate(self, rows: pd.DataFrame, step: timedelta) -> pd.DataFrame:
        named = rows[rows["metric"].isin(self.metrics)]
        labels = named["dimensions"].map(_label)
        found: list[pd.DataFrame] = []
        for _, group in named.groupby(labels, sort=True):
            wide = group.pivot(index="observed_at", columns="metric", values="value")
            if set(self.metrics) <= set(wide.columns):
                host = group.loc[group["metric"] == self.metrics[0], "series"].iloc[0]
                moments = wide.reset_index()[["observed_at", self.metrics[0]]].set_axis(["observed_at", "value"], axis=1)
                if findings := self._holds(wide, moments["observed_at"], step):
                    found.append(self.violations(str(host), moments, findings))
        return pd.concat(found, ignore_index=True) if found else no_violations()

    def _holds(self, wide: pd.DataFrame, times: pd.Series, step: timedelta) -> list[Finding]:
        condition = parse_expression(self.when)
        columns = {metric: wide[metric].to_numpy(float) for metric in condition.metrics}
        is_known = ~np.logical_or.reduce([np.isnan(column) for column in columns.values()])
        with np.errstate(all="ignore"):
            holds = is_known & np.asarray(_value(condition.tree, columns), bool)
        lengths = run_lengths(holds, microseconds(times), step)
        suffix = f" for {lasting(self.lasting)}" if self.lasting else ""
        findings: list[Finding] = []
        for row in np.flatnonzero(lengths >= buckets(self.lasting, step)):
            values = ", ".join(f"{metric} {number(column[row])}" for metric, column in columns.items())
            findings.append(Finding(int(row), float("nan"), f"{self.when}{suffix}: {values}"))
        return findings
