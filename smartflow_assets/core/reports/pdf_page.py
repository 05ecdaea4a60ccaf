# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# fpdf2 is an extra: where it is not installed its types are unknown.
"""A document as PDF, without a browser: A4 across, with a text layer that can be searched and copied.

By fpdf2, of the extra `pdf`. Letters are those of DejaVu Sans, which matplotlib brings: Latin, Greek, Cyrillic, Arabic and Hebrew signs, no
Chinese or Japanese, in whose place stands a box. What has no letters, such as emoji, likewise.
"""

from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from io import BytesIO
from typing import Any

from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.core.reports.document import (
    Cell,
    Code,
    Document,
    Heading,
    Paragraph,
    Part,
    Picture,
    Table,
    Terms,
    safe_address,
    shown,
)
from smartflow_assets.core.reports.letters import drawable, font_files

_INK, _SOFT, _LINE, _LINK = (38, 55, 70), (95, 107, 115), (215, 222, 227), (47, 111, 176)
_TONES = {"critical": (198, 40, 40), "warning": (161, 92, 0), "info": (47, 111, 176), "resolved": (46, 125, 79)}
_DIRECTIONS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F))
_LONGEST_CELL = 300  # signs: a row must fit on a page
_LONGEST_LINE = 2_000
_WIDEST_WORD = 45.0  # mm
_FONT = "DejaVu"


def require() -> Any:
    """The library. SmartflowError that names the extra where it is not installed."""
    try:
        return import_module("fpdf")
    except ImportError:
        raise SmartflowError(
            "a PDF needs fpdf2, which is not installed", remedy="Run pip install 'smartflow[pdf]', or leave out --pdf for a page of HTML."
        ) from None


def render(document: Document, *, made_at: datetime) -> bytes:
    """The document as PDF; the same document and `made_at` give the same bytes. SmartflowError without the library."""
    library = require()
    pdf = library.FPDF(orientation="landscape", format="A4")
    pdf.set_creation_date(made_at)
    pdf.set_title(_text(document.title))
    pdf.set_creator("SmartFlow")
    pdf.set_margin(14)
    pdf.set_auto_page_break(True, margin=16)
    for style, file in zip(("", "B"), font_files(), strict=True):
        pdf.add_font(_FONT, style, file)
    pdf.add_page()
    if document.kicker:
        _line(pdf, document.kicker, 9, _TONES.get(document.tone, _SOFT), "B")
    _line(pdf, document.title, 16, _INK, "B")
    pdf.ln(2)
    for part in document.parts:
        _part(pdf, library, part)
    return bytes(pdf.output())


def _part(pdf: Any, library: Any, part: Part) -> None:
    match part:
        case Heading(text):
            if pdf.will_page_break(24):  # no heading stands alone at the foot of a page
                pdf.add_page()
            pdf.ln(4)
            _line(pdf, text, 11.5, _INK, "B")
            pdf.ln(1)
        case Paragraph(text, is_lead):
            _line(pdf, text, 10 if is_lead else 8.5, _INK if is_lead else _SOFT)
            pdf.ln(1)
        case Table(columns, rows, numbers):
            _table(pdf, library, columns, rows, set(numbers))
        case Terms(rows):
            for label, texts in rows:
                _line(pdf, f"{label}: {'; '.join(each if isinstance(each, str) else each.text for each in texts)}", 8.5, _INK)
        case Picture(png, what):
            pdf.image(BytesIO(png), w=0.7 * pdf.epw, alt_text=_text(what))
            pdf.ln(2)
        case Code(lines):
            for each in lines:
                _line(pdf, each, 7.5, _INK)


def _table(pdf: Any, library: Any, columns: Sequence[str], rows: Sequence[Sequence[Cell]], right: set[int]) -> None:
    """A table over the width of the page; no word is broken that has room."""
    pdf.set_font(_FONT, "B", 7)
    texts = [[_plain(cell)[:_LONGEST_CELL] for cell in row] for row in (columns, *rows)]
    style = library.fonts.FontFace(emphasis="BOLD", color=_SOFT)
    pdf.set_draw_color(*_LINE)
    pdf.set_text_color(*_INK)
    with pdf.table(
        borders_layout="HORIZONTAL_LINES",
        headings_style=style,
        col_widths=_widths(pdf, texts),
        text_align=tuple("RIGHT" if place in right else "LEFT" for place in range(len(columns))),
        line_height=3.6,
        padding=(0.8, 1),
    ) as table:
        pdf.set_font(_FONT, "", 7)
        for number, (cells, said) in enumerate(zip((columns, *rows), texts, strict=True)):
            row = table.row()
            for cell, text in zip(cells, said, strict=True):
                tone = _TONES.get(text) if number else None
                row.cell(text, style=library.fonts.FontFace(color=tone, emphasis="BOLD") if tone else None, link=_web(cell) or None)
    pdf.ln(1)


def _widths(pdf: Any, texts: Sequence[Sequence[str]]) -> tuple[float, ...]:
    """Of each column: room for its longest word, and of what is left the more, the longer its texts are."""
    columns = list(zip(*texts, strict=True))
    least = [
        min(_WIDEST_WORD, max((pdf.get_string_width(word) for text in own for word in text.split()), default=0)) + 4 for own in columns
    ]
    wanted = [max(pdf.get_string_width(text) for text in own) + 4 for own in columns]
    more = [max(0.0, most - some) for some, most in zip(least, wanted, strict=True)]
    left, total = max(0.0, pdf.epw - sum(least)), sum(more)
    return tuple(some + (left * each / total if total else left / len(least)) for some, each in zip(least, more, strict=True))


def _line(pdf: Any, text: str, size: float, colour: tuple[int, int, int], style: str = "") -> None:
    pdf.set_font(_FONT, style, size)
    pdf.set_text_color(*colour)
    pdf.multi_cell(0, size * 0.5, _text(text[:_LONGEST_LINE]), new_x="LMARGIN", new_y="NEXT", align="LEFT")


def _plain(cell: Cell) -> str:
    return _text(cell if isinstance(cell, str) else cell.text)


def _web(cell: Cell) -> str:
    """Where a cell leads, if that is an address: a PDF is mailed without the files beside it."""
    address = "" if isinstance(cell, str) else safe_address(cell.address)
    return address if address.startswith("http") else ""


def _text(text: str) -> str:
    """Signs that turn the writing direction are left out: nothing would turn it back."""
    return drawable(shown(text).translate(_DIRECTIONS))
