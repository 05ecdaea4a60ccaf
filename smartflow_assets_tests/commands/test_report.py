"""`smartflow report` as a person uses it."""

import sys
from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import Smartflow


def test_a_week_is_written_and_its_path_printed(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("report", "--week", "2026-W10")
    path = home / "data/reports/weekly/2026-W10.html"
    assert (answer.code, answer.out) == (0, f"{path}\n") and "Nothing was watched then" in path.read_text()
    assert smartflow("report", "--since", "30d", "-o", "month.html").out == "month.html\n"
    assert smartflow("report", "--week", "2026-W10", "--pdf").out == f"{path.with_suffix('.pdf')}\n"
    smartflow("report", "-o", "last.pdf")
    assert Path("last.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--week", "48"], "'48' is no week. Write it as 2026-W48."),
        (["--week", "2999-W01"], "has not begun yet"),
        (["--week", "2026-W10", "--since", "7d"], "give one of them"),
        (["--since", "soon"], "'soon' is not a time"),
        (["--since", "1min"], "less than an hour ago"),
        (["--since", "2999-01-01"], "--since 2999-01-01 lies ahead. Write --since 7d, or a time of the past."),
        (["-o", "nowhere/x.html"], "there is no folder nowhere"),
        (["-o", "x.docx"], "-o x.docx: a report is HTML or PDF. Let the name end in .html or .pdf."),
        (["-o", "x"], "Let the name end in .html or .pdf."),
        (["--pdf", "-o", "x.html"], "-o x.html: --pdf writes a PDF. Let the name end in .pdf."),
    ],
)
def test_what_cannot_be_is_told(smartflow: Smartflow, home: Path, options: list[str], said: str) -> None:
    answer = smartflow("report", *options)
    assert answer.code == 2 and said in answer.err and not (home / "data/reports").exists()


def test_without_the_library_a_pdf_names_the_extra(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    answer = smartflow("report", "--pdf")
    assert answer.code == 1 and "pip install 'smartflow[pdf]'" in answer.err and not (home / "data/reports").exists()
