"""The message as an embed of Discord.

Signs that Discord's markdown knows are escaped, and `allowed_mentions` names none, so that `@everyone` in a title rings nobody.
Limits: https://discord.com/developers/docs/resources/message#embed-object-embed-limits.
"""

import re
from typing import Any

from smartflow_assets.core.incidents.bundle import fitted
from smartflow_assets.core.incidents.content import Content
from smartflow_assets.core.incidents.formats.tones import COLOURS, SIGNS
from smartflow_assets.core.incidents.shortening import fitting, utf16_units

LONGEST_TITLE = 256
LONGEST_DESCRIPTION = 4096
MOST_FIELDS = 25
LONGEST_NAME = 256
LONGEST_VALUE = 1024
LONGEST_FOOTER = 2048
LONGEST_IN_ALL = 6000
"""Title, description, names, values and footer together."""

_MARKUP = re.compile(r"([\\*_~`|<>\[\]()#@-])")
_DESCRIBED = 1000  # of the headline: the fields share the rest
_LONG = 40  # letters: a longer value has the row for itself


def render(content: Content, *, picture: str = "") -> dict[str, Any]:
    """The body for a webhook. `picture` is the name of a file that is attached to it and shown in the embed."""
    content = fitted(content, _has_room)
    title = _cut(f"{SIGNS[content.tone]} {content.kicker}", LONGEST_TITLE)
    embed: dict[str, Any] = {
        "title": title,
        "description": _cut(content.headline, _DESCRIBED),
        "color": int(COLOURS[content.tone][1:], 16),
        "timestamp": content.facts["happened_at"],
    }
    footer = fitting(f"SmartFlow · {content.facts['incident_id'] or ''}".strip(" ·"), 100)
    embed["footer"] = {"text": footer}  # in which no markdown is read
    links = " · ".join(f"[{escape(link.label)}]({_address(link.address)})" for link in content.links)
    left = LONGEST_IN_ALL - sum(utf16_units(text) for text in (title, embed["description"], footer))
    fields: list[dict[str, Any]] = []
    if 0 < utf16_units(links) <= LONGEST_VALUE:
        left -= utf16_units(links) + utf16_units("Links")
    for line in content.lines:
        if line.address or line.label == "Incident" or len(fields) == MOST_FIELDS - 1:
            continue
        name = _cut(line.label, LONGEST_NAME) or "\u200b"
        value = _cut("\n".join(line.texts), min(LONGEST_VALUE, left - utf16_units(name)))
        if value:
            left -= utf16_units(name) + utf16_units(value)
            fields.append({"name": name, "value": value, "inline": len(value) <= _LONG})
    if 0 < utf16_units(links) <= LONGEST_VALUE:
        fields.append({"name": "Links", "value": links, "inline": False})
    embed["fields"] = fields
    if picture:
        embed["image"] = {"url": f"attachment://{picture}"}
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _has_room(content: Content) -> bool:
    """Whether each line of a bundle is a field that is not cut."""
    sizes = [utf16_units(escape("\n".join(line.texts))) for line in content.lines]
    return all(size <= LONGEST_VALUE for size in sizes) and sum(sizes) <= LONGEST_IN_ALL - _DESCRIBED - LONGEST_TITLE - LONGEST_VALUE


def escape(text: str) -> str:
    r"""Text as Discord's markdown that means itself.

    >>> print(escape("web_traffic *5* @everyone"))
    web\_traffic \*5\* \@everyone
    """
    return _MARKUP.sub(r"\\\1", text)


def _cut(text: str, most: int) -> str:
    return escape(fitting(text, most, lambda part: utf16_units(escape(part)))) if most > 0 else ""


def _address(address: str) -> str:
    return address.replace("(", "%28").replace(")", "%29")
