"""What a YAML said of a source, as it is kept from one run to the next: every key with the value that holds.

A secret is a reference there as in the file, `${NAME}`; what sounds like one and is none, as a reader of somebody else may take it, is
left out. `time_bucket.every` is not in it: where the YAML leaves it open the rows say it, and the fingerprint of clean rows has it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from smartflow_assets.adapters.secret_references import REFERENCE
from smartflow_assets.config.source import Source

HIDDEN = "…"
_SECRET = re.compile("token|secret|passw|credential|signature|api[-_]?key|^auth", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)([^/@\s:]*):(?!\$\{)[^/@\s]*@")


def configuration_of(source: Source) -> dict[str, Any]:
    """Every key of the source with its value, nested as in the YAML, as plain values."""
    values = source.resolved()
    values["time_bucket"].pop("every", None)
    return values | {"read": without_secrets(values["read"])}


def is_default(source: Source, at: Sequence[str]) -> bool:
    """Does the key at this place have the value that it has where nobody gives one? Then a record in which it is missing was made by a
    version that did not know it. Members of lists are named, as `by_name` names them."""
    holder: Any = source
    for step, key in enumerate(at):
        if not isinstance(holder, BaseModel):
            return False
        names = {field.serialization_alias or field.alias or name: name for name, field in type(holder).model_fields.items()}
        if key not in names:
            return False
        value, field = getattr(holder, names[key]), type(holder).model_fields[names[key]]
        if not field.is_required() and value == field.get_default(call_default_factory=True):
            return True
        members = at[step + 1 : step + 2]
        if isinstance(value, tuple) and members:
            value = next((each for each in value if members[0] in (getattr(each, "name", None), getattr(each, "type", None))), None)
            return value is not None and is_default(value, at[step + 2 :])
        holder = value
    return False


def by_name(items: object) -> dict[str, Any] | None:
    """The members of a list by what they are called, name or type; None where they have no names, or one twice."""
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        return None
    names = [str(item.get("name") or item.get("type") or "") for item in items]
    return dict(zip(names, items, strict=True)) if all(names) and len(set(names)) == len(names) else None


def without_secrets(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: without_secrets(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item, name) for item in value]
    if not isinstance(value, str):
        return value
    if _SECRET.search(name) and not REFERENCE.search(value):
        return HIDDEN
    return _LOGIN.sub(rf"\1:{HIDDEN}@", value)
