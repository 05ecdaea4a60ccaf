"""Payload templates: a mapping whose texts name fields of the message, `"{source}: {title}"`.

A text that is one placeholder and nothing else takes the field's own type, so `"{value}"` is a number. Only plain names are
understood, no attributes or formats, and an unknown one is refused when the file is loaded. Braces are doubled to be meant.
"""

import re
from collections.abc import Mapping
from typing import Any

from smartflow_assets.adapters.secret_references import resolve
from smartflow_assets.core.incidents.facts import FACTS
from smartflow_assets.core.nearest_name import nearest_name

_TOKEN = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}|\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check_template(template: dict[str, Any]) -> dict[str, Any]:
    """The template itself; ValueError that names the unknown placeholder and the nearest known one."""
    for text in _texts(template):
        for token in _TOKEN.finditer(text):
            name = token[1]
            if token[0] in ("{", "}"):
                raise ValueError(f"a lone {token[0]} in {text!r}; double it to mean the character")
            if name is not None and name not in FACTS:
                near = nearest_name(name, FACTS)
                hint = f"did you mean {{{near}}}?" if near else f"known are {', '.join(FACTS)}"
                raise ValueError(f"unknown placeholder {{{name}}}; {hint}")
    return template


def fill(template: Any, facts: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    """The template with facts and references to the environment put in."""
    if isinstance(template, Mapping):
        return {_fill_text(key, facts, environment): fill(item, facts, environment) for key, item in template.items()}
    if isinstance(template, list | tuple):
        return [fill(item, facts, environment) for item in template]
    if not isinstance(template, str):
        return template
    whole = _TOKEN.fullmatch(template)
    if whole is not None and whole[1] is not None:
        return facts.get(whole[1])
    return _fill_text(template, facts, environment)


def _fill_text(text: str, facts: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    def one(token: re.Match[str]) -> str:
        if token[0] in ("{{", "}}"):
            return token[0][0]
        if token[1] is None:
            return resolve(token[0], environment)
        value = facts.get(token[1])
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return "" if value is None else str(value)

    return _TOKEN.sub(one, text)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for key, item in value.items() for part in (key, item) for text in _texts(part)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return []
