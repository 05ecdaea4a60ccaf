"""What a contract says once changes of columns are accepted: as before, of the columns as they are now."""

from collections.abc import Iterable, Mapping
from typing import Any

from smartflow_assets.core.contracts.column_changes import Change, ValueKind

_WORDS: Mapping[ValueKind, str] = {"number": "number", "text": "text", "time": "timestamp", "boolean": "boolean"}


def with_changes(contract: Mapping[str, Any], changes: Iterable[Change]) -> dict[str, Any]:
    """The values of a contract, as its YAML has them, after the changes: a column that was renamed keeps what was said of it, one that is
    gone takes that along, and one of another type has that type where a type is said at all.

    >>> with_changes({"columns": {"amount": {"min": 0}}}, [Change("total", "renamed", "amount", "number", "number")])
    {'columns': {'total': {'min': 0}}}
    """
    columns = {name: dict(said or {}) for name, said in contract.get("columns", {}).items()}
    for change in changes:
        if change.kind == "renamed" and change.name_before in columns:
            columns = {change.column if name == change.name_before else name: said for name, said in columns.items()}
        elif change.kind == "removed":
            columns.pop(change.column, None)
        elif change.kind == "retyped" and change.type_after and "type" in columns.get(change.column, {}):
            columns[change.column]["type"] = _WORDS[change.type_after]
    return dict(contract) | ({"columns": columns} if "columns" in contract else {})
