"""An expectation in SQL: the figures that are asked for, how they are judged, and which rows are bad."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from smartflow_assets.adapters.expectations.rows import Rows
from smartflow_assets.core.contracts.expectations import Expectation

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What figures say: see `Verdict` for the meaning of each."""

    is_passed: bool
    element_count: int | None = None
    unexpected_count: int | None = None
    observed: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Check:
    """`figures` are aggregates over the base of the rows, by name; `judge` takes their values. `bad` is true for the rows to blame and
    `shown` the value that people see of them; both over the base. A count of `guard` above 0 says that SQL does not know the
    meaning for these values, so that Great Expectations is asked."""

    figures: Mapping[str, str]
    judge: Callable[[Figures], Finding]
    bad: str | None = None
    shown: str | None = None
    guard: str | None = None


Compiler = Callable[[Expectation, Rows], Check | None]
"""None where SQL cannot say what Great Expectations means. BrokenCheckError where the expectation cannot be asked."""


def of_counts(
    expectation: Expectation, considered: str, unexpected: str, *, bad: str | None, shown: str | None = None, guard: str | None = None
) -> Check:
    """A check that counts what is looked at and what of it is not as expected, and lets `mostly` decide as Great Expectations does."""

    def judge(figures: Figures) -> Finding:
        count, wrong = int(figures["considered"]), int(figures["unexpected"])
        return Finding(count == 0 or (float(count) - float(wrong)) / float(count) >= expectation.mostly, count, wrong)

    return Check({"considered": considered, "unexpected": unexpected}, judge, bad, shown, guard)


def of_rows(expectation: Expectation, considered: str, bad: str, *, shown: str | None = None, guard: str | None = None) -> Check:
    """A check of each row by itself."""
    return of_counts(expectation, considered, f"count(*) FILTER (WHERE {bad})", bad=bad, shown=shown, guard=guard)


def of_figure(expectation: Expectation, sql: str, *, guard: str | None = None) -> Check | None:
    """A check of one figure against min_value and max_value. A figure that there is not, since there are no values, is not between."""
    low, high = (expectation.arguments.get(key) for key in ("min_value", "max_value"))
    if not all(bound is None or is_number(bound) for bound in (low, high)):
        return None

    def judge(figures: Figures) -> Finding:
        value = figures["value"]
        if value is None or math.isnan(value):
            return Finding(False, observed={"value": None})
        is_above = low is None or (value > low if expectation.arguments.get("strict_min") else value >= low)
        is_below = high is None or (value < high if expectation.arguments.get("strict_max") else value <= high)
        return Finding(is_above and is_below, observed={"value": value})

    return Check({"value": sql}, judge, guard=guard)


def is_number(value: Any) -> TypeGuard[float]:
    """A finite number that is no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: float) -> str:
    """A number as SQL: 0.1 alone would be a DECIMAL."""
    return str(value) if isinstance(value, int) else f"CAST('{value!r}' AS DOUBLE)"
