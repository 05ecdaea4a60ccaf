"""A document as PDF: its text can be found, whatever it is, and the same document gives the same file."""

import sys
from datetime import UTC, datetime
from io import BytesIO

import pytest
from pypdf import PdfReader

from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.core.reports import pdf_page
from smartflow_assets.core.reports.document import Code, Document, Heading, Link, Paragraph, Table, Terms
from smartflow_assets_tests.core.incidents.formats.extremes import NASTY

NOW = datetime(2026, 11, 30, 6, tzinfo=UTC)


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


def test_what_is_said_is_found_in_the_text_layer() -> None:
    rows = [[f"orders{number}", "critical", "Übergröße für Köln: 1,600 €"] for number in range(120)]
    document = Document("2026-W48", [Paragraph("4 incidents began."), Heading("Incidents"), Table(["of", "severity", "what"], rows)])
    pdf = pdf_page.render(document, made_at=NOW)
    text = text_of(pdf)
    assert all(said in text for said in ("2026-W48", "4 incidents began.", "orders0", "orders119", "Übergröße für Köln: 1,600 €"))
    assert len(PdfReader(BytesIO(pdf)).pages) > 2 and len(pdf) < 120_000
    assert pdf == pdf_page.render(document, made_at=NOW)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_whatever_the_data_say_makes_a_file(text: str) -> None:
    parts = [Paragraph(text), Table([text, "b"], [[text, Link(text, "javascript:x")]]), Terms([(text, [text])]), Code([text])]
    assert "after all" in text_of(pdf_page.render(Document(text, [*parts, Paragraph("after all")]), made_at=NOW))


def test_what_the_font_lacks_is_a_box_and_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    pdf = pdf_page.render(Document("Kasse 🛒", [Paragraph("中 5 €"), Table(["🛒"], [["Köln 🛒"]])]), made_at=NOW)
    assert all(said in text_of(pdf) for said in ("Kasse □", "□ 5 €", "Köln □")) and caplog.records == []


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    with pytest.raises(SmartflowError, match=r"pip install 'smartflow\[pdf\]'"):
        pdf_page.render(Document("t", []), made_at=NOW)
