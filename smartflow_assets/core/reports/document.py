"""A report before it has a format: a title and parts, as text; `html_page` and `pdf_page` write them.

So a page and a PDF say the same, and no report knows of markup. Texts are as the data have them: whoever writes them escapes what it must.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127, *range(0xD800, 0xE000)), "\N{REPLACEMENT CHARACTER}")


class Link(NamedTuple):
    """A text that leads somewhere: to an http or https address, or to a file beside this one."""

    text: str
    address: str


Cell = str | Link


class Heading(NamedTuple):
    """A heading below the title."""

    text: str


class Paragraph(NamedTuple):
    """A sentence or two; `is_lead` is what is read first."""

    text: str
    is_lead: bool = False


class Table(NamedTuple):
    """Columns and rows; `numbers` are the places of columns that stand at the right. A cell that is a severity is coloured."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: Sequence[int] = ()


class Terms(NamedTuple):
    """What is said of one matter: a label and its texts, each a line."""

    rows: Sequence[tuple[str, Sequence[Cell]]]


class Picture(NamedTuple):
    """A PNG; `what` says what is on it to those who do not see it."""

    png: bytes
    what: str


class Code(NamedTuple):
    """Commands to be copied, a line each."""

    lines: Sequence[str]


Part = Heading | Paragraph | Table | Terms | Picture | Code


@dataclass(frozen=True)
class Document:
    """What there is to read. `kicker` is a line above the title, `tone` colours it: a severity, `resolved`, or nothing."""

    title: str
    parts: Sequence[Part]
    kicker: str = ""
    tone: str = ""


def shown(text: str) -> str:
    """A text with signs that can be shown: what is none becomes U+FFFD.

    >>> shown("a\\x00b\\ud800"), shown("a\\tb")
    ('a\ufffdb\ufffd', 'a\\tb')
    """
    return text.translate(_CONTROLS)


def safe_address(address: str) -> str:
    """An address that a reader may follow: http, https, or relative to the page; empty for any other, such as `javascript:`.

    >>> safe_address("https://wiki.example.com/x"), safe_address("../incidents/ab12.html"), safe_address("javascript:alert(1)")
    ('https://wiki.example.com/x', '../incidents/ab12.html', '')
    """
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return ""
    is_beside = not parts.scheme and not parts.netloc and not address.strip().startswith(("/", "\\"))
    return address.strip() if is_beside or (parts.scheme in ("http", "https") and parts.netloc) else ""
