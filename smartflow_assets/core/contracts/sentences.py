"""A verdict as people read it: what was found, with numbers, and what was promised."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from smartflow_assets.core.contracts.expectation_types import ROWS_QUERY
from smartflow_assets.core.contracts.expectations import Expectation


@dataclass(frozen=True)
class Told:
    """The numbers of a verdict, as `Verdict` has them, with the time of the first bad row and the word for what rows are counted in."""

    is_passed: bool
    element_count: int | None
    unexpected_count: int | None
    observed: Mapping[str, Any]
    examples: tuple[str, ...]
    error: str
    first_at: datetime | None
    span: str = "bucket"


def sentence(expectation: Expectation, told: Told) -> str:
    """One sentence without a full stop.

    >>> amount = Expectation("expect_column_values_to_be_between", ("amount",), {"column": "amount", "min_value": 0})
    >>> sentence(amount, Told(False, 12096, 42, {}, ("-3", "-7"), "", datetime(2026, 3, 1, 9, 30)))
    '42 of 12,096 values of amount are negative, first at 2026-03-01 09:30 UTC; for example -3, -7'
    >>> sentence(amount, Told(True, 12096, 0, {}, (), "", None))
    'all of 12,096 values of amount are as agreed'
    """
    if told.error:
        return f"the check of {_subject(expectation)} is broken: {told.error}"
    if expectation.type == "expect_column_to_exist":
        return f"there is {'a' if told.is_passed else 'no'} column {expectation.columns[0]}"
    if "type" in told.observed:
        return f"{expectation.columns[0]} is {told.observed['type']}" + ("" if told.is_passed else f", not {_type(expectation)}")
    if expectation.type.startswith("expect_table_row_count"):
        return _of_row_count(expectation, told)
    if told.element_count is not None and told.unexpected_count is not None:
        return _of_counts(expectation, told, told.element_count, told.unexpected_count)
    return _of_figure(expectation, told)


def reason_of_row(expectation: Expectation) -> str:
    """Why a single row breaks an expectation, without its value.

    >>> reason_of_row(Expectation("expect_column_values_to_be_in_set", ("kind",), {"column": "kind", "value_set": ["a", "b"]}))
    'kind is not among a, b'
    >>> reason_of_row(Expectation("unexpected_rows_expectation", ("a", "b"), {"condition": "a + b > 0"}))
    'breaks a + b > 0'
    """
    one, _ = _breach(expectation)
    is_row = expectation.type in _ROWWISE and "source" not in expectation.arguments
    return one if is_row else f"{_subject(expectation)} {one}"


def _of_counts(expectation: Expectation, told: Told, count: int, wrong: int) -> str:
    one, several = _breach(expectation)
    is_row = expectation.type in _ROWWISE and "source" not in expectation.arguments
    what = f"{'row' if is_row else 'value'}{'' if count == 1 else 's'}" + ("" if is_row else f" of {_subject(expectation)}")
    if not count:
        return f"there are no {what}"
    if not wrong:
        return f"all of {count:,} {what} are as agreed" if count > 1 else f"the one {what} is as agreed"
    text = f"{wrong:,} of {count:,} {what} {one if wrong <= 1 else several}"
    if expectation.mostly < 1:
        text += f" ({100 * wrong / count:.3g} %, at most {round(100 * (1 - expectation.mostly), 8):g} % may)"
    if told.first_at is not None:
        text += f", first at {told.first_at:%Y-%m-%d %H:%M} UTC"
    return text + (f"; for example {', '.join(dict.fromkeys(told.examples))}" if told.examples else "")


_ROWWISE = (
    ROWS_QUERY,
    "expect_compound_columns_to_be_unique",
    "expect_column_pair_values_a_to_be_greater_than_b",
    "expect_column_pair_values_to_be_equal",
)


def _breach(expectation: Expectation) -> tuple[str, str]:
    """What is wrong with one value, and with several."""
    given, names = expectation.arguments, expectation.columns

    def both(rest: str) -> tuple[str, str]:
        return f"is {rest}", f"are {rest}"

    match expectation.type:
        case "expect_column_values_to_not_be_null":
            return both("missing")
        case "expect_column_values_to_be_null":
            return both("not missing")
        case "expect_column_values_to_be_between":
            return both("negative" if given.get("min_value") == 0 and given.get("max_value") is None else _outside(given))
        case "expect_column_values_to_be_in_set":
            return both(f"not among {_listed(given.get('value_set'))}")
        case "expect_column_values_to_not_be_in_set":
            return both(f"one of {_listed(given.get('value_set'))}")
        case "expect_column_values_to_match_regex":
            return f"does not match {given.get('regex')}", f"do not match {given.get('regex')}"
        case "expect_column_values_to_not_match_regex":
            return f"matches {given.get('regex')}", f"match {given.get('regex')}"
        case "expect_column_value_lengths_to_be_between":
            rest = f"a length {_outside(given)}"
            return f"has {rest}", f"have {rest}"
        case "expect_column_value_lengths_to_equal":
            return f"has not {given.get('value')} characters", f"have not {given.get('value')} characters"
        case "expect_column_values_to_be_unique":
            return "comes more than once", "come more than once"
        case "expect_compound_columns_to_be_unique":
            rest = f"{', '.join(names)} in common with another row"
            return f"has {rest}", f"have {rest}"
        case "expect_column_pair_values_a_to_be_greater_than_b":
            return f"breaks {names[0]} {'>=' if given.get('or_equal') else '>'} {names[1]}", (
                f"break {names[0]} {'>=' if given.get('or_equal') else '>'} {names[1]}"
            )
        case "expect_column_pair_values_to_be_equal":
            return f"breaks {names[0]} == {names[1]}", f"break {names[0]} == {names[1]}"
        case kind if kind == ROWS_QUERY and "source" in given:
            return both(f"not in {given['source_column']} of {given['source']}")
        case kind if kind == ROWS_QUERY:
            rest = str(given.get("condition", "the query for unexpected rows"))
            return f"breaks {rest}", f"break {rest}"
        case kind:
            return f"breaks {kind}", f"break {kind}"


def _of_row_count(expectation: Expectation, told: Told) -> str:
    low, high = (expectation.arguments.get(key) for key in ("min_value", "max_value"))
    if expectation.scope == "load":
        promised = (
            f"; {expectation.arguments['value']:,} expected" if "value" in expectation.arguments else f"; {_inside(low, high)} expected"
        )
        count = int(told.observed.get("value") or 0)
        return f"{count:,} row{'' if count == 1 else 's'}{'' if told.is_passed else promised}"
    wrong, count = told.unexpected_count or 0, told.element_count or 0
    if not wrong:
        return f"each of {_counted(count, told.span)} has {_inside(low, high)} rows"
    least, most = told.observed.get("least"), told.observed.get("most")
    extreme = f"the fewest {least:,}" if low is not None and least is not None and least < low else f"the most {most or 0:,}"
    return f"{wrong:,} of {_counted(count, told.span)} {'has' if wrong == 1 else 'have'} not {_inside(low, high)} rows; {extreme}"


def _counted(count: int, span: str) -> str:
    """`3 days`, `3 buckets of 5min`."""
    word, _, rest = span.partition(" ")
    return f"{count:,} {word}{'' if count == 1 else 's'}{f' {rest}' if rest else ''}"


def _of_figure(expectation: Expectation, told: Told) -> str:
    words = expectation.type.removeprefix("expect_column_").removeprefix("expect_table_").removesuffix("_to_be_between").replace("_", " ")
    name, value = _subject(expectation), told.observed.get("value")
    if (
        expectation.type.endswith("_to_be_between")
        and (value is None or isinstance(value, int | float))
        and "quantiles" not in told.observed
    ):
        text = f"the {_WORDS.get(words, words)} of {name} is {_number(value)}"
        return (
            text
            if told.is_passed
            else f"{text}; {_inside(*(expectation.arguments.get(key) for key in ('min_value', 'max_value')))} expected"
        )
    if "quantiles" in told.observed and isinstance(told.observed["quantiles"], Mapping):
        quantiles = cast("Mapping[str, Any]", told.observed["quantiles"])
        shown = ", ".join(f"{_number(found)} at {q}" for q, found in quantiles.items())
        return f"the quantiles of {name} are {shown}" + ("" if told.is_passed else ", not within their limits")
    found = "" if value is None else f": found {str(value)[:80]}"
    return f"{name} {'meets' if told.is_passed else 'breaks'} {expectation.type}{found}"


_WORDS = {"stdev": "standard deviation", "unique value count": "number of distinct values", "min": "minimum", "max": "maximum"}


def _subject(expectation: Expectation) -> str:
    return ", ".join(expectation.columns) or "the rows"


def _type(expectation: Expectation) -> str:
    from smartflow_assets.core.contracts.contract import TYPE_EXPECTATIONS

    given = {key: value for key, value in expectation.arguments.items() if key != "column"}
    return next((word for word, meant in TYPE_EXPECTATIONS.items() if meant == (expectation.type, given)), str(given))


def _outside(given: Mapping[str, Any]) -> str:
    low, high = given.get("min_value"), given.get("max_value")
    if low is not None and high is not None:
        return f"outside of {_number(low)} to {_number(high)}"
    if low is not None:
        return f"{'not above' if given.get('strict_min') else 'below'} {_number(low)}"
    return f"{'not below' if given.get('strict_max') else 'above'} {_number(high)}"


def _inside(low: Any, high: Any) -> str:
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    return f"at least {_number(low)}" if low is not None else f"at most {_number(high)}"


def _number(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _listed(values: Any) -> str:
    texts = [str(value) for value in cast("list[Any]", values or [])]
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} others" if len(texts) > 5 else "")
