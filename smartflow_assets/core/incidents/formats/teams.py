"""The message as an Adaptive Card, for a workflow of Microsoft Teams.

Texts are runs of a RichTextBlock, in which no markdown is read; TextBlock and FactSet read it and have no way to escape it.
Limits: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook (28 KB a message).
"""

import json
from typing import Any

from smartflow_assets.core.incidents.bundle import fitted
from smartflow_assets.core.incidents.content import Content, Line
from smartflow_assets.core.incidents.formats.tones import SIGNS
from smartflow_assets.core.incidents.shortening import fitting, utf8_bytes

MOST_BYTES = 28 * 1024
VERSION = "1.4"
_COLOURS = {"critical": "Attention", "warning": "Warning", "info": "Accent", "resolved": "Good"}
_LENGTHS = (2000, 400, 100, 40)  # letters of a text: the first with which the card is small enough


def render(content: Content) -> dict[str, Any]:
    """The body for a workflow with the trigger "When a Teams webhook request is received"."""
    content = fitted(content, lambda one: size(_body(one, _LENGTHS[1])) <= MOST_BYTES)
    return next(
        (body for body in (_body(content, most) for most in _LENGTHS) if size(body) <= MOST_BYTES),
        _body(content, _LENGTHS[-1], most_lines=5),
    )


def size(body: dict[str, Any]) -> int:
    """How many bytes the body takes on the wire."""
    return utf8_bytes(json.dumps(body, ensure_ascii=False))


def _body(content: Content, most: int, most_lines: int = 60) -> dict[str, Any]:
    large = [line for line in content.lines if not line.is_small and not line.address][:most_lines]
    small = [line for line in content.lines if line.is_small][:most_lines]
    blocks: list[dict[str, Any]] = [
        _text(f"{SIGNS[content.tone]} {content.kicker}", most, weight="Bolder", color=_COLOURS[content.tone]),
        _text(content.headline, most, size="Large", weight="Bolder") | {"spacing": "Small"},
        *(_row(line, most) for line in large),
        *(_row(line, most, size="Small", isSubtle=True) | ({"separator": True} if place == 0 else {}) for place, line in enumerate(small)),
    ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": VERSION,
        "fallbackText": fitting(content.sentence, most),
        "msteams": {"width": "Full"},
        "body": blocks,
    }
    if content.links:
        card["actions"] = [{"type": "Action.OpenUrl", "title": link.label, "url": link.address} for link in content.links]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _row(line: Line, most: int, **style: Any) -> dict[str, Any]:
    """Label and text side by side; several texts one below the other."""
    label = {"type": "Column", "width": "120px", "items": [_text(line.label, most, **style | {"isSubtle": True})]}
    texts = {"type": "Column", "width": "stretch", "items": [_text(text, most, **style) | {"spacing": "None"} for text in line.texts]}
    return {"type": "ColumnSet", "columns": [label, texts], "spacing": "Small"}


def _text(text: str, most: int, **style: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": fitting(text, most) or " ", **style}]}
