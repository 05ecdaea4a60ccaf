"""The message as a page of HTML that mail programs show: a card with a table, styles inline, nothing fetched."""

from collections.abc import Mapping
from html import escape

from smartflow_assets.core.incidents.content import Content, Line
from smartflow_assets.core.incidents.formats.tones import COLOURS

_LINK = "color:#1a56b0;text-decoration:underline"


def render(content: Content, *, picture: str = "") -> str:
    """The page. `picture` is the address of the chart: `cid:…` within a mail, `data:…` within a file."""
    colour = COLOURS[content.tone]
    first = next((line for line in content.lines if line.is_small), None)
    names = {link.address: link.label for link in content.links if link.label != "Runbook"}  # of an address that says nothing to people
    cells = "".join(_rows(line, names, is_first=line is first) for line in content.lines)
    chart = (
        f'<img src="{escape(picture)}" alt="{escape(content.sentence)}" style="width:100%;max-width:592px;margin:0 0 12px">'
        if picture
        else ""
    )
    return (
        "<!DOCTYPE html><html><body style=\"margin:0;padding:24px;background:#f4f5f7;font:14px/1.5 -apple-system,'Segoe UI',"
        'Roboto,Helvetica,Arial,sans-serif"><div style="max-width:640px;margin:0 auto;background:#ffffff;border-radius:6px;'
        f'border-top:4px solid {colour};padding:20px 24px"><div style="font-size:13px;font-weight:600;color:{colour}">'
        f"{escape(content.kicker)}</div>"
        f'<div style="font-size:18px;font-weight:600;color:#202124;margin:2px 0 14px">{escape(content.headline)}</div>{chart}'
        f'<table role="presentation" style="width:100%;border-collapse:collapse;font-size:14px">{cells}</table>'
        '<div style="margin-top:16px;color:#80868b;font-size:12px">Sent by SmartFlow.</div></div></body></html>\n'
    )


def _rows(line: Line, names: Mapping[str, str], *, is_first: bool) -> str:
    ruler, top = ("border-top:1px solid #e8eaed;", 10) if is_first else ("", 2 if line.is_small else 4)
    ink, size = ("#80868b", "font-size:12px;") if line.is_small else ("#202124", "")
    cells = ""
    for place, (text, address) in enumerate(line.rows):
        style = f"{ruler if not place else ''}vertical-align:top;padding:{top}px"
        shown = f'<a href="{escape(address)}" style="{_LINK}">{escape(names.get(text, text))}</a>' if address else escape(text)
        cells += (
            f'<tr><td style="{style} 16px 4px 0;{size}color:#5f6368;white-space:nowrap;width:1%">{"" if place else escape(line.label)}</td>'
            f'<td style="{style} 0 4px 0;{size}color:{ink};overflow-wrap:anywhere">{shown}</td></tr>'
        )
    return cells
