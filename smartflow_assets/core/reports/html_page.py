"""One HTML page that can be mailed: it holds its pictures in itself and loads nothing.

What a page says is the business of the reports; here are its frame, its tables and its pictures. Texts are escaped.
"""

import base64
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
body{margin:0;background:#f4f5f7;color:#263746;font:15px/1.5 -apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 32px 60px;background:#fff}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 8px}p{margin:4px 0 12px;color:#5f6b73}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:5px 10px;border-bottom:1px solid #e7ecef;vertical-align:top}
th{color:#5f6b73;font-weight:600}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
img{max-width:100%;display:block;margin:6px 0 14px}
.critical{color:#c62828;font-weight:600}.warning{color:#b26a00;font-weight:600}.info{color:#2f6fb0}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page: `title` as its heading, below it the parts, which are HTML."""
    content = "\n".join(filter(None, [f"<h1>{escape(title)}</h1>", *parts]))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>\n'
        f"<body><main>\n{content}\n</main></body></html>\n"
    )


def heading(text: str) -> str:
    """A heading below that of the page."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A sentence or two."""
    return f"<p>{escape(text)}</p>"


def table(columns: Iterable[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> str:
    """A table; `numbers` are the places of columns that stand at the right. A severity is coloured."""
    right = set(numbers)

    def cell(kind: str, place: int, text: str) -> str:
        name = "number" if place in right else text if text in ("critical", "warning", "info") else ""
        return f"<{kind}{f' class={name}' if name else ''}>{escape(text)}</{kind}>"

    head = "".join(cell("th", place, name) for place, name in enumerate(columns))
    body = "".join(f"<tr>{''.join(cell('td', place, text) for place, text in enumerate(row))}</tr>\n" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def image(png: bytes, what: str) -> str:
    """A picture; `what` says what is on it to those who do not see it."""
    return f'<img alt="{escape(what)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'
