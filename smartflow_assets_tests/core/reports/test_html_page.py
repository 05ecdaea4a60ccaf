"""A page holds what it says as text, loads nothing, and follows no address that is none."""

import re
from html.parser import HTMLParser

import pytest

from smartflow_assets.core.reports import html_page
from smartflow_assets.core.reports.document import Code, Document, Heading, Link, Paragraph, Picture, Table, Terms
from smartflow_assets_tests.core.incidents.formats.extremes import NASTY

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'"


def document(text: str) -> Document:
    cells = [text, Link(text, "https://wiki.example.com/?a=1&b=\"'<x>")]
    return Document(
        text,
        [Heading(text), Paragraph(text, is_lead=True), Table([text, "b"], [cells], [1]), Terms([(text, cells)]), Code([text])],
        kicker=text or "-",
        tone="critical",
    )


class Read(HTMLParser):
    """The tags of a page, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("text", [*NASTY, SCRIPT], ids=range(len(NASTY) + 1))
def test_whatever_the_data_say_is_text(text: str) -> None:
    page, plain = html_page.render(document(text)), html_page.render(document("x"))
    page.encode()
    assert Read(page).tags == Read(plain).tags and "script" not in Read(page).tags
    assert {name for _, name, _ in Read(page).attributes} == {name for _, name, _ in Read(plain).attributes}
    if text == SCRIPT:
        assert Read(page).text.count(SCRIPT) == 12  # also the title of the window


def test_a_page_loads_nothing() -> None:
    page = html_page.render(Document("t", [Picture(b"\x89PNG", "what"), *document("x").parts]))
    loaded = [(tag, value) for tag, name, value in Read(page).attributes if name in ("src", "srcset", "data", "action", "poster")]
    assert loaded == [("img", "data:image/png;base64,iVBORw==")]
    assert not re.search(r"url\(|@import|<link|<iframe", page) and "default-src 'none'" in page


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//evil.example/x", "/etc/passwd", "https://", "http://[x", ""]
)
def test_an_address_that_leads_astray_is_no_link(address: str) -> None:
    page = html_page.render(Document("t", [Terms([("Runbook", [Link("the runbook", address)])])]))
    assert "a" not in Read(page).tags and ("the runbook" in page)


def test_a_link_leads_where_it_says() -> None:
    page = html_page.render(Document("t", [Terms([("a", [Link("x", "https://a.example/?b=1&c=2"), Link("y", "../incidents/ab.html")])])]))
    assert [value for tag, name, value in Read(page).attributes if (tag, name) == ("a", "href")] == [
        "https://a.example/?b=1&c=2",
        "../incidents/ab.html",
    ]
