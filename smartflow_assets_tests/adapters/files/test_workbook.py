"""Workbooks, read back by another program than the one that wrote them."""

import zipfile
from pathlib import Path

import duckdb
import openpyxl
import pandas as pd
import pytest

from smartflow_assets.adapters.files import workbook
from smartflow_assets.adapters.files.result_file import write_relation
from smartflow_assets.core.errors import SourceError


def written(path: Path, select: str) -> openpyxl.Workbook:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'America/New_York'")
        count = write_relation(connection, f"({select})", path, "xlsx")
        assert connection.execute(f"SELECT count(*) FROM ({select})").fetchall() == [(count,)]
    assert [left.name for left in path.parent.iterdir()] == [path.name], "nothing else is left behind"
    return openpyxl.load_workbook(path)


def rows_of(book: openpyxl.Workbook) -> list[tuple]:
    return [tuple(row) for sheet in book for row in sheet.iter_rows(values_only=True)]


def test_values_keep_their_types(tmp_path):
    book = written(
        tmp_path / "a.xlsx",
        "SELECT 'eu' AS region, 1.5 AS value, 7 AS n, TRUE AS is_anomaly, TIMESTAMPTZ '2026-03-01 09:35:00+00' AS at, NULL AS nothing, "
        "['a', 'b'] AS rules, MAP {'k': 'v'} AS dimensions, 'nan'::DOUBLE AS gap, 9007199254740993 AS id, "
        "TIMESTAMPTZ '1899-12-31 00:00:00+00' AS long_ago",
    )
    header, row = rows_of(book)
    assert header[:3] == ("region", "value", "n")
    assert row == (
        *("eu", 1.5, 7, True, pd.Timestamp("2026-03-01 09:35"), None, '["a","b"]', '{"k":"v"}', None, "9007199254740993"),
        "1899-12-31T00:00:00",
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\tx", "{=1}", "http://example.com", "internal:Sheet1!A1"])
def test_no_text_and_no_header_is_a_formula_or_a_link(tmp_path, text):
    quoted = text.replace('"', '""')
    book = written(tmp_path / "a.xlsx", f"SELECT '{text}' AS \"{quoted}\"")
    cells = [cell for (cell,) in book.active.iter_rows()]
    assert [cell.value for cell in cells] == [text, text]
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.hyperlink is None for cell in cells)
    assert {cell.quotePrefix for cell in cells} == {int(text[0] in "=+-@\t")}
    with zipfile.ZipFile(tmp_path / "a.xlsx") as archive:
        assert b"<f" not in archive.read("xl/worksheets/sheet1.xml").replace(b"<sheetFormatPr", b"")


def test_control_signs_and_long_texts_open_in_excel(tmp_path):
    book = written(tmp_path / "a.xlsx", "SELECT 'a' || chr(1) || 'b' AS signs, repeat('x', 40000) AS long")
    _, (signs, long) = rows_of(book)
    assert signs == "a\ufffdb"
    assert (len(long), long[-1]) == (workbook.LONGEST_TEXT, "…")


def test_rows_that_do_not_fit_on_a_sheet_go_on_the_next(tmp_path, monkeypatch):
    assert workbook.ROWS + 1 == 1_048_576, "the rows of a sheet of Excel, with the header"
    monkeypatch.setattr(workbook, "ROWS", 4)
    book = written(tmp_path / "a.xlsx", "SELECT i AS n FROM range(10) AS all_rows(i)")
    assert book.sheetnames == ["rows", "rows 2", "rows 3"]
    assert [[cell for (cell,) in sheet.iter_rows(values_only=True)] for sheet in book] == [
        ["n", 0, 1, 2, 3],
        ["n", 4, 5, 6, 7],
        ["n", 8, 9],
    ]


def test_exactly_a_sheet_full_is_one_sheet(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "ROWS", 4)
    assert written(tmp_path / "a.xlsx", "SELECT i AS n FROM range(4) AS all_rows(i)").sheetnames == ["rows"]
    assert rows_of(written(tmp_path / "a.xlsx", "SELECT 1 AS n LIMIT 0")) == [("n",)]


def test_a_workbook_that_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.xlsx"
    written(path, "SELECT 1 AS n")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", full)
    with duckdb.connect() as connection, pytest.raises(SourceError, match="No space left on device"):
        write_relation(connection, "(SELECT 2 AS n)", path, "xlsx")
    assert path.read_bytes() == before
    assert [left.name for left in tmp_path.iterdir()] == ["a.xlsx"]
