"""Expectations as a contract says them: by the short words where there are some that mean just that, else listed by their type.

The other way of `Contract.expectations`, and held to it: a word is taken only when the contract that it makes means the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, cast

from pydantic import ValidationError

from smartflow_assets.core.contracts.contract import TYPE_EXPECTATIONS, Contract
from smartflow_assets.core.contracts.expectation_types import ROWS_QUERY
from smartflow_assets.core.contracts.expectations import Expectation

Values = dict[str, Any]


_TOGETHER = (("min", "max"), ("min_length", "max_length"), ("not_null", "max_null_percent"))
"""Words that make one expectation, or exclude each other."""


def with_expectations(
    contract: Mapping[str, Any], expectations: Iterable[Expectation], settings: Mapping[str, Any] | None = None
) -> Values:
    """The keys of a contract, as a YAML says them, that mean these expectations beside all that they meant before.

    A word that the contract has with another value is replaced; what has no word, or one that is taken by an expectation of this
    call or by another severity, is listed. `settings` are what no expectation says: unique_within, on_schema_change, and the names of
    columns that are optional or sensitive. The contract given is not changed.
    """
    settings = settings or {}
    values = deepcopy(dict(contract))
    for key in ("unique_within", "on_schema_change"):
        if key in settings and settings[key] != values.get(key, Contract.model_fields[key].default):
            values[key] = settings[key]
    taken: set[tuple[str, str]] = set()
    for expectation in expectations:
        meant = _meaning(values)
        if _essence(expectation) in meant:
            continue
        for candidate, words in _candidates(values, expectation):
            if not (words & taken) and _essence(expectation) in _meaning(candidate):
                taken |= words
                values = candidate
                break
        else:
            values.setdefault("expectations", []).append(_listed(expectation))
    for key, word in (("optional", {"required": False}), ("sensitive", {"sensitive": True})):
        for name in cast("list[str]", settings.get(key, ())):
            columns = cast("dict[str, Values]", values.setdefault("columns", {}))
            columns.setdefault(name, {}).update(word)
    return values


def _essence(expectation: Expectation) -> str:
    arguments = sorted((key, repr(_plain(value))) for key, value in expectation.arguments.items())
    return repr((expectation.type, arguments, expectation.severity, expectation.scope))


def _plain(value: Any) -> Any:
    """Numbers that are equal look alike: JSON of Great Expectations has 0.0 for 0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [_plain(each) for each in cast("list[Any]", value)] if isinstance(value, list | tuple) else value


def _meaning(values: Values) -> set[str]:
    try:
        return {_essence(each) for each in Contract.model_validate(values).expectations()}
    except ValidationError:
        return set()


def _candidates(values: Values, expectation: Expectation) -> Iterator[tuple[Values, set[tuple[str, str]]]]:
    """The contract with words for an expectation, and which words these are; the caller asks whether it means the same."""
    given, severity = expectation.arguments, _severity(expectation)
    names = expectation.columns
    if len(names) == 1 and "source" not in given and "condition" not in given:
        for words in _column_words(expectation):
            candidate = deepcopy(values)
            columns = cast("dict[str, Values]", candidate.setdefault("columns", {}))
            if names[0] in columns:
                entry = columns[names[0]]
                if words.get("required"):
                    entry.pop("required", None)
            else:
                entry = columns[names[0]] = dict(severity)
            for together in _TOGETHER:
                if words.keys() & set(together):
                    for key in together:
                        entry.pop(key, None)
            entry |= {key: value for key, value in words.items() if key != "required"}
            yield candidate, {(names[0], key) for key in words if key != "required"}
    key, item = _item(expectation)
    if key:
        candidate = deepcopy(values)
        if isinstance(item, dict) and key == "row_count":
            candidate[key] = item
            yield candidate, {("", key)}
        else:
            candidate[key] = [*cast("list[Any]", candidate.get(key, [])), item]
            yield candidate, set()


def _column_words(expectation: Expectation) -> Iterator[Values]:
    given = {key: value for key, value in expectation.arguments.items() if key != "column"}
    match expectation.type:
        case "expect_column_to_exist":
            yield {"required": True}
        case "expect_column_values_to_not_be_null":
            yield {"not_null": True} if expectation.mostly == 1 else {"max_null_percent": _plain(round(100 * (1 - expectation.mostly), 8))}
        case "expect_column_values_to_be_between":
            yield {key: given[name] for key, name in (("min", "min_value"), ("max", "max_value")) if name in given}
        case "expect_column_value_lengths_to_be_between":
            yield {key: int(given[name]) for key, name in (("min_length", "min_value"), ("max_length", "max_value")) if name in given}
        case "expect_column_values_to_be_in_set":
            yield {"allowed": given.get("value_set")}
        case "expect_column_values_to_match_regex":
            yield {"pattern": given.get("regex")}
        case "expect_column_values_to_be_unique":
            yield {"unique": True}
        case kind:
            for word, meant in TYPE_EXPECTATIONS.items():
                if (kind, given) == (meant[0], dict(meant[1])):
                    yield {"type": word}


def _item(expectation: Expectation) -> tuple[str, Any]:
    """The key and the item that say an expectation about several columns or about counts; empty when there are none."""
    given, severity = expectation.arguments, _severity(expectation)
    match expectation.type:
        case "expect_compound_columns_to_be_unique":
            columns = list(expectation.columns)
            return "unique_together", {"columns": columns, **severity} if severity else columns
        case "expect_column_pair_values_a_to_be_greater_than_b" | "expect_column_pair_values_to_be_equal":
            sign = "==" if expectation.type.endswith("equal") else ">=" if given.get("or_equal") else ">"
            check = f"{_name(str(given['column_A']))} {sign} {_name(str(given['column_B']))}"
            return "conditions", {"check": check, **severity} if severity else check
        case kind if kind == ROWS_QUERY and "condition" in given:
            return "conditions", {"check": given["condition"], **severity} if severity else given["condition"]
        case kind if kind == ROWS_QUERY and "source" in given:
            other = {} if given["source_column"] == given["column"] else {"source_column": given["source_column"]}
            return "references", {"column": given["column"], "source": given["source"], **other, **severity}
        case "expect_table_row_count_to_be_between":
            limits = {key: int(given[name]) for key, name in (("min", "min_value"), ("max", "max_value")) if name in given}
            per = {} if expectation.scope == "load" else {"per": expectation.scope}
            return "row_count", {**limits, **per, **severity}
        case _:
            return "", None


def _name(column: str) -> str:
    return column if column.isidentifier() else f"`{column}`"


def _severity(expectation: Expectation) -> Values:
    return {} if expectation.severity == "warning" else {"severity": expectation.severity}


def _listed(expectation: Expectation) -> Values:
    return {"type": expectation.type, **_severity(expectation), **expectation.arguments}
