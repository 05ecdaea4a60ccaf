"""Contracts as ExpectationSuites of Great Expectations, in the JSON that it writes and reads, without importing it.

What its vocabulary has no word for stands under `meta.smartflow`, which it keeps: the rows that an expectation holds for, the condition
or reference that a query for unexpected rows was made of, which columns are sensitive or may be absent.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from smartflow_assets.adapters.aggregation.row_filter import as_sql_or_null
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.core.contracts.contract import Contract
from smartflow_assets.core.contracts.expectation_types import EXPECTATION_TYPES, ROWS_QUERY, column_arguments
from smartflow_assets.core.contracts.expectations import Expectation, Scope
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.core.nearest_name import did_you_mean
from smartflow_assets.core.preparation.row_condition import parse_condition
from smartflow_assets.core.severity import SEVERITIES

OURS = "smartflow"
WRITTEN_FOR = "1.24.1"
_OF_NO_MEANING = ("batch_id", "result_format", "catch_exceptions", "include_config", "rendered_content")
_DEFAULTS: Mapping[str, Any] = {"mostly": 1.0, "strict_min": False, "strict_max": False, "or_equal": False}
_UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")


@dataclass(frozen=True)
class Suite:
    """What a file of Great Expectations says. `unscoped_count` is the number of expectations of uniqueness that do not name the rows that
    they hold for, `unreadable` says what could not be taken over, `settings` are the keys of a contract that stand in its meta."""

    expectations: tuple[Expectation, ...]
    unscoped_count: int = 0
    unreadable: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def suite_of(contract: Contract, name: str) -> dict[str, Any]:
    """The suite of a contract as JSON values; `name` is what it is called."""
    optional = sorted(column for column, promised in contract.columns.items() if not promised.required)
    settings = {
        "unique_within": contract.unique_within,
        "on_schema_change": contract.on_schema_change,
        **({"optional": optional} if optional else {}),
        **({"sensitive": sorted(contract.sensitive)} if contract.sensitive else {}),
    }
    return {
        "name": name,
        "id": None,
        "expectations": [_written(each) for each in contract.expectations()],
        "meta": {"great_expectations_version": WRITTEN_FOR, OURS: settings},
        "notes": None,
    }


def _written(expectation: Expectation) -> dict[str, Any]:
    kwargs, ours = dict(expectation.arguments), dict[str, Any]()
    if expectation.scope != "load":
        ours["scope"] = expectation.scope
    if expectation.is_diverting:
        ours["on_breach"] = "quarantine"
    if expectation.type == ROWS_QUERY and "unexpected_rows_query" not in kwargs:
        ours |= kwargs
        kwargs = {"unexpected_rows_query": f"SELECT * FROM {{batch}} WHERE {_escaped(_breach(kwargs))}"}
    meta = {OURS: ours} if ours else {}
    return {"type": expectation.type, "kwargs": kwargs, "meta": meta, "severity": expectation.severity}


def _breach(arguments: Mapping[str, Any]) -> str:
    """The SQL of what is true of a bad row."""
    if "condition" in arguments:
        return f"NOT ({as_sql_or_null(parse_condition(arguments['condition'], is_across=True))})"
    mine, theirs = quoted_column(arguments["column"]), quoted_column(arguments["source_column"])
    known = f"SELECT {theirs} FROM {quoted('raw.' + arguments['source'])} WHERE {theirs} IS NOT NULL"
    return f"{mine} IS NOT NULL AND {mine} NOT IN ({known})"


def _escaped(sql: str) -> str:
    """Great Expectations fills in {batch}; any other brace is written twice."""
    return sql.replace("{", "{{").replace("}", "}}")


def read_suite(path: Path, unique_within: str) -> Suite:
    """The suite in a file. SmartflowError when the file is none. Where it does not say among which rows values are unique, `unique_within`
    does, a contract's source or batch."""
    try:
        suite = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SmartflowError(
            f"{path}: {(error.strerror or str(error)).lower()}", remedy="Name a suite of Great Expectations in JSON."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SmartflowError(f"{path} is not JSON: {error}", remedy="Name a suite of Great Expectations as it writes it.") from error
    listed = suite.get("expectations") if isinstance(suite, dict) else None
    if not isinstance(listed, list):
        raise SmartflowError(
            f"{path} is no suite: it has no list `expectations`", remedy="Name a suite of Great Expectations as it writes it."
        )
    ours = _ours(suite)
    sensitive = {str(name).lower() for name in ours.get("sensitive", ())}
    found, unscoped, unreadable = list[Expectation](), 0, list[str]()
    for at, item in enumerate(listed, 1):
        try:
            expectation = _read(item, str(ours.get("unique_within", unique_within)), sensitive)
        except ValueError as error:
            unreadable.append(f"expectation {at}: {error}")
            continue
        unscoped += expectation.type in _UNIQUE and "scope" not in _ours(item) and not ours
        found.append(expectation)
    return Suite(tuple(found), unscoped, tuple(unreadable), ours)


def _ours(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = holder.get("meta")
    ours = meta.get(OURS) if isinstance(meta, dict) else None
    return ours if isinstance(ours, dict) else {}


def _read(item: Any, unique_within: str, sensitive: set[str]) -> Expectation:
    """One expectation; ValueError says why it cannot be taken."""
    if not isinstance(item, dict):
        raise ValueError("it is no mapping")
    kind, kwargs = item.get("type") or item.get("expectation_type"), item.get("kwargs") or {}
    if kind not in EXPECTATION_TYPES:
        raise ValueError(f"Great Expectations has no type {kind!r}. {did_you_mean(kind, EXPECTATION_TYPES)}".strip())
    if not isinstance(kwargs, dict):
        raise ValueError(f"the kwargs of {kind} are no mapping")
    ours = _ours(item)
    arguments = {k: v for k, v in kwargs.items() if v is not None and k not in _OF_NO_MEANING and _DEFAULTS.get(k, _DEFAULTS) != v}
    if kind == ROWS_QUERY and ("condition" in ours or {"column", "source", "source_column"} <= set(ours)):
        arguments = {key: value for key, value in ours.items() if key not in ("scope", "on_breach")}
    if missing := [key for key in column_arguments(str(kind)) if key not in arguments]:
        raise ValueError(f"{kind} has no {missing[0]}")
    scope = ours.get("scope", "source" if kind in _UNIQUE and unique_within == "source" else "load")
    severity = item.get("severity") or "warning"
    if severity not in SEVERITIES or scope not in get_args(Scope):
        raise ValueError(f"{kind} has the severity {severity!r} and the scope {scope!r}")
    names = tuple(_names(str(kind), arguments))
    is_sensitive, is_diverting = any(name.lower() in sensitive for name in names), ours.get("on_breach") == "quarantine"
    return Expectation(str(kind), names, arguments, severity, scope, is_sensitive, is_diverting)


def _names(kind: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    for key in column_arguments(kind) or (("column",) if "source" in arguments else ()):
        value = arguments[key]
        yield from map(str, value if isinstance(value, list | tuple) else [value])
