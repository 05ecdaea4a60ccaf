"""One HTML page that can be mailed: it holds its pictures in itself and loads nothing.

What a page says is the business of the reports; here are its frame, its tables and its pictures, for a wide screen and a phone, by day and
by night. Texts are escaped, and keep to themselves what writing direction they have. The page forbids the browser to load or run anything.
"""

import base64
from collections.abc import Iterable, Sequence
from html import escape

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

_STYLE = """
:root{color-scheme:light dark;--page:#f4f5f7;--paper:#fff;--ink:#263746;--soft:#5f6b73;--line:#e7ecef;--link:#2f6fb0;--code:#f4f5f7;
--critical:#c62828;--warning:#a15c00;--info:#2f6fb0;--resolved:#2e7d4f}
@media (prefers-color-scheme:dark){:root{--page:#12181d;--paper:#1a2229;--ink:#dfe6eb;--soft:#9fb0bb;
--line:#2c3841;--link:#7db4ea;--code:#12181d;
--critical:#ff8a80;--warning:#f0b35c;--info:#7db4ea;--resolved:#7fcf9f}}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 -apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 32px 60px;background:var(--paper);overflow-wrap:anywhere}
h1{font-size:24px;line-height:1.3;margin:0 0 8px}h2{font-size:18px;margin:36px 0 8px}p{margin:4px 0 12px;color:var(--soft)}
p.kicker{margin:0;font-weight:600;color:var(--soft)}p.lead{font-size:17px;color:var(--ink)}a{color:var(--link)}
h1,h2,p,td,th,dd,dt{unicode-bidi:plaintext}td{white-space:pre-line}
div.wide{overflow-x:auto;margin:0 0 12px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:5px 10px;border-bottom:1px solid var(--line);vertical-align:top;
min-width:3em;overflow-wrap:break-word;max-width:34em}
th{color:var(--soft);font-weight:600;white-space:nowrap}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;margin:8px 0 16px}dt{color:var(--soft)}dd{margin:0}
img{max-width:100%;display:block;margin:6px 0 14px;border-radius:4px;background:#fff}
pre{background:var(--code);border:1px solid var(--line);border-radius:4px;padding:10px 12px;
white-space:pre-wrap;font-size:13px;margin:4px 0 12px}
.critical{color:var(--critical);font-weight:600}.warning{color:var(--warning);font-weight:600}.info{color:var(--info)}
.resolved{color:var(--resolved);font-weight:600}
@media (max-width:640px){main{padding:18px 16px 40px}h1{font-size:20px}h2{margin-top:26px}th,td{padding:5px 6px}table{font-size:13px}
dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 8px}}
@media print{body,main{background:#fff}h2{break-after:avoid}tr,img{break-inside:avoid}}
"""
_TONES = ("critical", "warning", "info", "resolved")
_RULES = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(document: Document) -> str:
    """The whole page of a document."""
    tone = f" {document.tone}" if document.tone in _TONES else ""
    kicker = f'<p class="kicker{tone}">{_text(document.kicker)}</p>' if document.kicker else ""
    return page(document.title, map(_part, document.parts), kicker=kicker)


def page(title: str, parts: Iterable[str], *, kicker: str = "") -> str:
    """The whole page: `title` as its heading, below it the parts, which are HTML, as is the line `kicker` above it."""
    content = "\n".join(filter(None, [kicker, f"<h1>{_text(title)}</h1>", *parts]))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_RULES}"><meta name="referrer" content="no-referrer">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n{content}\n</main></body></html>\n"
    )


def heading(text: str) -> str:
    """A heading below that of the page."""
    return f"<h2>{_text(text)}</h2>"


def paragraph(text: str, *, is_lead: bool = False) -> str:
    """A sentence or two."""
    return f"<p{' class=lead' if is_lead else ''}>{_text(text)}</p>"


def table(columns: Iterable[str], rows: Iterable[Sequence[Cell]], *, numbers: Iterable[int] = ()) -> str:
    """A table; `numbers` are the places of columns that stand at the right. A severity is coloured."""
    right = set(numbers)

    def cell(kind: str, place: int, text: Cell) -> str:
        name = "number" if place in right else text if text in _TONES else ""
        return f"<{kind}{f' class={name}' if name else ''}>{_cell(text)}</{kind}>"

    head = "".join(cell("th", place, name) for place, name in enumerate(columns))
    body = "".join(f"<tr>{''.join(cell('td', place, text) for place, text in enumerate(row))}</tr>\n" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>\n{body}</table></div>'


def image(png: bytes, what: str) -> str:
    """A picture; `what` says what is on it to those who do not see it."""
    return f'<img alt="{_text(what)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'


def _part(part: Part) -> str:
    match part:
        case Heading(text):
            return heading(text)
        case Paragraph(text, is_lead):
            return paragraph(text, is_lead=is_lead)
        case Table(columns, rows, numbers):
            return table(columns, rows, numbers=numbers)
        case Terms(rows):
            said = (f"<dt>{_text(label)}</dt><dd>{'<br>'.join(map(_cell, texts))}</dd>" for label, texts in rows)
            return f"<dl>{''.join(said)}</dl>"
        case Picture(png, what):
            return image(png, what)
        case Code(lines):
            return f"<pre>{_text(chr(10).join(lines))}</pre>"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return _text(cell)
    address = safe_address(cell.address)
    return f'<a href="{_text(address)}" rel="noreferrer noopener">{_text(cell.text)}</a>' if address else _text(cell.text)


def _text(text: str) -> str:
    return escape(shown(text))
