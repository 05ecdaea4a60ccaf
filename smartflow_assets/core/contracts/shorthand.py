"""Expectations as a contract says them: by the short words where there are some that mean just that, else listed by their type.

The other way of `Contract.expectations`, and held to it: a word is taken only when the contract that it makes means the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import ValidationError

from smartflow_assets.core.contracts.contract import ROW_WORDS, TYPE_EXPECTATIONS, Contract, can_divert
from smartflow_assets.core.contracts.expectation_types import ROWS_QUERY
from smartflow_assets.core.contracts.expectations import Expectation

Values = dict[str, Any]
_Place = tuple[str, ...]

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
    taken, meant = set[tuple[str, str]](), _Meaning.of(values)
    for given in expectations:
        expectation = given
        if values.get("on_breach") == "quarantine":  # the default of the contract, which a suite knows nothing of
            expectation = replace(given, is_diverting=can_divert(given.type, given.arguments))
        if meant.has(expectation):
            continue
        for place, part, words in _candidates(values, expectation):
            meaning = meant.of_part(part)
            if not (words & taken) and _essence(expectation) in meaning:
                taken |= words
                meant.take(place, meaning)
                _put(values, place, part)
                break
        else:
            part = {"expectations": [_listed(expectation)]}
            meant.take((), meant.of_part(part))  # which has no word for the rows that it holds for
            _put(values, ("expectations",), part)
    for key, word in (("optional", {"required": False}), ("sensitive", {"sensitive": True})):
        for name in cast("list[str]", settings.get(key, ())):
            columns = cast("dict[str, Values]", values.setdefault("columns", {}))
            columns.setdefault(name, {}).update(word)
    return values


def _essence(expectation: Expectation) -> str:
    arguments = sorted((key, repr(_plain(value))) for key, value in expectation.arguments.items())
    return repr((expectation.type, arguments, expectation.severity, expectation.scope, expectation.is_diverting))


def _plain(value: Any) -> Any:
    """Numbers that are equal look alike: JSON of Great Expectations has 0.0 for 0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [_plain(each) for each in cast("list[Any]", value)] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class _Meaning:
    """What a contract means, by the place that says it: a column, the row count, and all else. A place has a meaning of its own, so that a
    word is looked at without the thousands beside it."""

    defaults: Values
    parts: dict[_Place, set[str]]

    @classmethod
    def of(cls, values: Values) -> "_Meaning":
        """The meaning of a contract as its YAML has it."""
        defaults = {key: values[key] for key in ("unique_within", "on_breach") if key in values}
        meant = cls(defaults, {})
        columns, count = cast("dict[str, Values]", values.get("columns") or {}), values.get("row_count")
        for name, entry in columns.items():
            meant.parts["columns", name] = meant.of_part({"columns": {name: entry}})
        meant.parts["row_count",] = meant.of_part({"row_count": count}) if count else set()
        meant.parts[()] = meant.of_part({key: value for key, value in values.items() if key not in ("columns", "row_count")})
        return meant

    def of_part(self, part: Values) -> set[str]:
        """The essences of what a part says by itself; none where it is no contract."""
        try:
            return {_essence(each) for each in Contract.model_validate(self.defaults | part).expectations()}
        except ValidationError:
            return set()

    def has(self, expectation: Expectation) -> bool:
        """Whether it is said already."""
        places: list[_Place] = [(), ("row_count",), *([("columns", expectation.columns[0])] if expectation.columns else [])]
        return any(_essence(expectation) in self.parts.get(place, ()) for place in places)

    def take(self, place: _Place, meaning: set[str]) -> None:
        """A column and the row count mean what was said last, any other key also what was said before."""
        if len(place) == 2 or place == ("row_count",):
            self.parts[place] = meaning
        else:
            self.parts[()] |= meaning


def _candidates(values: Values, expectation: Expectation) -> Iterator[tuple[_Place, Values, set[tuple[str, str]]]]:
    """Parts of a contract that may say an expectation: their place, what is to stand there, and which words these are; the caller asks
    whether it means the same."""
    given, names = expectation.arguments, expectation.columns
    if len(names) == 1 and "source" not in given and "condition" not in given:
        for words in _column_words(expectation):
            entry = dict(cast("dict[str, Values]", values.get("columns") or {}).get(names[0], _consequences(expectation)))
            if words.get("required"):
                entry.pop("required", None)
            if expectation.is_diverting and not entry.keys() & set(ROW_WORDS):  # or it would hold for words that do not divert
                entry["on_breach"] = "quarantine"
            for together in _TOGETHER:
                if words.keys() & set(together):
                    for key in together:
                        entry.pop(key, None)
            entry |= {key: value for key, value in words.items() if key != "required"}
            yield ("columns", names[0]), {"columns": {names[0]: entry}}, {(names[0], key) for key in words if key != "required"}
    key, item = _item(expectation)
    if key == "row_count":
        yield (key,), {key: item}, {("", key)}
    elif key:
        yield (key,), {key: [item]}, set()


def _put(values: Values, place: _Place, part: Values) -> None:
    """Write a part where it belongs: items of a list beside those that are there."""
    key = place[0]
    if key == "columns":
        values.setdefault(key, {}).update(part[key])
    elif isinstance(part[key], list):
        values.setdefault(key, []).extend(part[key])
    else:
        values[key] = part[key]


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
    given, beside = expectation.arguments, _consequences(expectation)
    match expectation.type:
        case "expect_compound_columns_to_be_unique":
            columns = list(expectation.columns)
            return "unique_together", {"columns": columns, **beside} if beside else columns
        case "expect_column_pair_values_a_to_be_greater_than_b" | "expect_column_pair_values_to_be_equal":
            sign = "==" if expectation.type.endswith("equal") else ">=" if given.get("or_equal") else ">"
            check = f"{_name(str(given['column_A']))} {sign} {_name(str(given['column_B']))}"
            return "conditions", {"check": check, **beside} if beside else check
        case kind if kind == ROWS_QUERY and "condition" in given:
            return "conditions", {"check": given["condition"], **beside} if beside else given["condition"]
        case kind if kind == ROWS_QUERY and "source" in given:
            other = {} if given["source_column"] == given["column"] else {"source_column": given["source_column"]}
            return "references", {"column": given["column"], "source": given["source"], **other, **beside}
        case "expect_table_row_count_to_be_between":
            limits = {key: int(given[name]) for key, name in (("min", "min_value"), ("max", "max_value")) if name in given}
            per = {} if expectation.scope == "load" else {"per": expectation.scope}
            return "row_count", {**limits, **per, **beside}
        case _:
            return "", None


def _name(column: str) -> str:
    return column if column.isidentifier() else f"`{column}`"


def _consequences(expectation: Expectation) -> Values:
    """What is said beside the promise itself."""
    severity: Values = {} if expectation.severity == "warning" else {"severity": expectation.severity}
    return severity | ({"on_breach": "quarantine"} if expectation.is_diverting else {})


def _listed(expectation: Expectation) -> Values:
    return {"type": expectation.type, **_consequences(expectation), **expectation.arguments}
