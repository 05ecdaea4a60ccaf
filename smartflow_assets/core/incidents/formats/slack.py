"""The message as blocks of Slack.

What comes from the data stands in `plain_text`, in which Slack reads no formatting, no mention and no address: label and text are two
fields side by side. Only links and the fallback, which notifications show, are mrkdwn, where `&`, `<` and `>` are escaped.
Limits: https://docs.slack.dev/reference/block-kit/blocks and …/block-kit/composition-objects/text-object.
"""

from typing import Any

from smartflow_assets.core.incidents.bundle import Bundle, fitted
from smartflow_assets.core.incidents.content import Content, Line
from smartflow_assets.core.incidents.formats.tones import SIGNS
from smartflow_assets.core.incidents.shortening import fitting, utf16_units

MOST_BLOCKS = 50
LONGEST_HEADER = 150
LONGEST_SECTION = 3000
MOST_FIELDS = 10
LONGEST_FIELD = 2000
LONGEST_FALLBACK = 4000
"""What Slack recommends at most; it cuts at 40,000."""


def render(content: Content) -> dict[str, Any]:
    """The body for an incoming webhook."""
    content = fitted(content, lambda one: all(utf16_units("\n".join(line.texts)) <= LONGEST_SECTION for line in one.lines))
    sign = SIGNS[content.tone]
    large = [line for line in content.lines if not line.is_small and not line.address]
    small = "\n".join(f"{line.label}: {line.text}" for line in content.lines if line.is_small)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(f"{sign} {content.kicker}", LONGEST_HEADER)},
        {"type": "section", "text": _plain(content.headline or content.sentence, LONGEST_SECTION)},
    ]
    if isinstance(content, Bundle):  # beside each other a label and twenty lines are hard to read
        blocks += [block for line in large for block in _stacked(line)]
        large = []
    lines = large[: MOST_FIELDS // 2 * (MOST_BLOCKS - 4)]
    blocks += [{"type": "section", "fields": _fields(lines[at : at + MOST_FIELDS // 2])} for at in range(0, len(lines), MOST_FIELDS // 2)]
    if small:
        blocks.append({"type": "context", "elements": [_plain(small, LONGEST_FIELD)]})
    if content.links:
        links = " · ".join(f"<{_address(link.address)}|{escape(link.label)}>" for link in content.links)
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": links}})
    return {
        "text": escape(fitting(f"{sign} {content.sentence}", LONGEST_FALLBACK, lambda text: utf16_units(escape(text)))),
        "blocks": blocks,
    }


def escape(text: str) -> str:
    """Text as mrkdwn that means itself.

    >>> escape("<!channel> R&D")
    '&lt;!channel&gt; R&amp;D'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _fields(lines: list[Line]) -> list[dict[str, Any]]:
    return [
        field
        for line in lines
        for field in ({"type": "mrkdwn", "text": f"*{escape(line.label)}*"}, _plain("\n".join(line.texts), LONGEST_FIELD))
    ]


def _stacked(line: Line) -> list[dict[str, Any]]:
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"*{escape(line.label)}*"}},
        {"type": "section", "text": _plain("\n".join(line.texts), LONGEST_SECTION)},
    ]


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": fitting(text, most) or "-", "emoji": False}


def _address(address: str) -> str:
    return escape(address).replace("|", "%7C")
