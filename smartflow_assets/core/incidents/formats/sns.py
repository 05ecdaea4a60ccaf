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
_ROOM = 4 * 1024  # for the attributes
_LENGTHS = (100_000, 10_000, 1_000, 100)  # letters of a text: the first with which all is small enough


def render(content: Content, *, facts: bool = False) -> dict[str, Any]:
    """Subject, Message and MessageStructure of a publication. With `facts` subscribers that are programs get all facts as JSON."""
    sizes = (_message(content, facts, most) for most in _LENGTHS)
    message = next((text for text in sizes if utf8_bytes(text) <= MOST_BYTES - _ROOM), "")
    return {"Subject": subject(content), "Message": message or _message(content, False, _LENGTHS[-1]), "MessageStructure": "json"}


def _message(content: Content, facts: bool, most: int) -> str:
    text = fitting(plain_text.render(content), most)
    protocols = {"default": text, "sms": short.render(content)}
    if facts:
        whole = most == _LENGTHS[0]
        known = {name: fitting(value, most) if isinstance(value, str) else value for name, value in content.facts.items()}
        known |= {} if whole else {"members": [], "text": text}
        protocols = {**protocols, "default": json.dumps(known, ensure_ascii=False), "email": text}
    return json.dumps(protocols, ensure_ascii=False)


def subject(content: Content) -> str:
    """The subject in ASCII; letters lose their marks, others become a question mark."""
    flat = unicodedata.normalize("NFKD", content.subject.replace("…", "...").replace("·", "-"))
    text = "".join(letter for letter in flat if not unicodedata.combining(letter)).encode("ascii", "replace").decode()
    return fitting(text, LONGEST_SUBJECT, ellipsis="...")
