"""The message as a notification of ntfy: title, text, priority, tags that become signs, and where a tap leads.

Limits: https://docs.ntfy.sh/publish/#limitations (a message of 4,096 bytes; what is longer becomes an attachment) and, for the title, what
a lock screen shows. With a picture the text travels in a header, and proxies commonly take 8 KB of headers in all.
"""

from typing import Any

from smartflow_assets.core.incidents.bundle import fitted
from smartflow_assets.core.incidents.content import Content, Line
from smartflow_assets.core.incidents.shortening import fitting, utf8_bytes

MOST_BYTES = 4096
MOST_BYTES_IN_HEADER = 2048
MOST_BYTES_OF_TITLE = 250
MOST_ACTIONS = 3
PRIORITIES = {"critical": 5, "warning": 4, "info": 3, "resolved": 3}
_TAGS = {"critical": "rotating_light", "warning": "warning", "info": "information_source", "resolved": "white_check_mark"}


def render(content: Content, *, is_in_header: bool = False) -> dict[str, Any]:
    """title, message, priority, tags, click and actions, by the names of the JSON that ntfy takes."""
    most = MOST_BYTES_IN_HEADER if is_in_header else MOST_BYTES
    content = fitted(content, lambda one: utf8_bytes(_text(one)) <= most)
    body: dict[str, Any] = {
        "title": fitting(content.kicker, MOST_BYTES_OF_TITLE, utf8_bytes),
        "message": fitting(_text(content), most, utf8_bytes),
        "priority": PRIORITIES[content.tone],
        "tags": [_TAGS[content.tone]],
    }
    if content.links:
        body["click"] = content.links[-1].address
        body["actions"] = [{"action": "view", "label": link.label, "url": link.address} for link in content.links[:MOST_ACTIONS]]
    return body


def _text(content: Content) -> str:
    shown = [line for line in content.lines if not line.address and line.label != "Source"]
    return "\n".join([content.headline, "", *(_line(line) for line in shown)])


def _line(line: Line) -> str:
    return f"{line.label}: {line.text}" if len(line.texts) == 1 else "\n".join([f"{line.label}:", *line.texts])
