"""Secrets are named in files and live in the environment: `${OPS_PASSWORD}`.

A channel or a reader holds the reference and resolves it in the moment of use, so that no file, log, table, error or repr
ever holds the value. What may be a reference, and what must be one, is said by the two types below.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, WithJsonSchema

from smartflow_assets.core.errors import DeliveryError

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _must_be_reference(text: str) -> str:
    if REFERENCE.fullmatch(text) is None:
        raise ValueError("a secret is never written in a file; write ${NAME} and set NAME in the environment")
    return text


Secret = Annotated[
    str,
    AfterValidator(_must_be_reference),
    WithJsonSchema({"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$", "examples": ["${OPS_PASSWORD}"]}),
]


def references(value: object) -> Iterator[str]:
    """The names of all references in a text, or anywhere in a mapping or a sequence."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from references(key)
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def resolve(text: str, environment: Mapping[str, str]) -> str:
    """The text with each reference replaced; DeliveryError naming the variable when it is unset or empty."""

    def value_of(match: re.Match[str]) -> str:
        if not environment.get(match[1]):
            raise unset([match[1]])
        return environment[match[1]]

    return REFERENCE.sub(value_of, text)


def resolve_address(text: str, environment: Mapping[str, str]) -> str:
    """An address with each reference replaced; a name and a password before the host may hold any sign."""
    if (found := re.fullmatch(r"([^:]+://)([^/?#]*)@(.*)", text)) is None:
        return resolve(text, environment)
    login = ":".join(quote(resolve(part, environment), safe="") for part in found[2].split(":", 1))
    return f"{found[1]}{login}@{resolve(found[3], environment)}"


def unset(names: list[str]) -> DeliveryError:
    """The error of a channel whose secrets are not there: retryable, since somebody will set them."""
    what = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not set in the environment"
    return DeliveryError(what, is_channel_down=True, remedy="Set it where SmartFlow runs, then start that process again.")


def redact(text: str, names: Iterator[str], environment: Mapping[str, str]) -> str:
    """The text with the value of each named variable replaced by its reference: the last line of defence for errors."""
    for name in names:
        if value := environment.get(name):
            text = text.replace(value, f"${{{name}}}")
    return text
