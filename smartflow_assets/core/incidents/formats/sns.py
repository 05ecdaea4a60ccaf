"""The message as a notification of Amazon SNS: a subject for subscribers by mail, a text for all, a short one for text messages.

Limits: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (subject 100 letters of ASCII without controls that begins with a
letter, number or mark; 256 KB in all).
"""

import json
import unicodedata
from typing import Any

from smartflow_assets.core.incidents.content import Content
from smartflow_assets.core.incidents.formats import plain_text, short
from smartflow_assets.core.incidents.shortening import fitting, utf8_bytes

LONGEST_SUBJECT = 100
MOST_BYTES = 256 * 1024
_MOST_TEXT = 100 * 1024  # escaped in JSON a text may double


def render(content: Content, *, facts: bool = False) -> dict[str, Any]:
    """Subject, Message and MessageStructure of a publication. With `facts` subscribers that are programs get all facts as JSON."""
    text = fitting(plain_text.render(content), _MOST_TEXT, utf8_bytes)
    default = json.dumps(content.facts, ensure_ascii=False) if facts else text
    if utf8_bytes(json.dumps(default)) > MOST_BYTES - 4096:
        default = json.dumps({**content.facts, "members": [], "text": ""}, ensure_ascii=False) if facts else text
    protocols = {"default": default, "sms": short.render(content)}
    if facts:
        protocols["email"] = text
    return {"Subject": subject(content), "Message": json.dumps(protocols, ensure_ascii=False), "MessageStructure": "json"}


def subject(content: Content) -> str:
    """The subject in ASCII; letters lose their marks, others become a question mark."""
    flat = unicodedata.normalize("NFKD", content.subject.replace("…", "...").replace("·", "-"))
    text = "".join(letter for letter in flat if not unicodedata.combining(letter)).encode("ascii", "replace").decode()
    return fitting(text, LONGEST_SUBJECT, ellipsis="...")
