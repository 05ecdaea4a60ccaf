"""Rows as an Excel workbook: sheet after sheet, since a sheet holds 1,048,576 rows, and in memory that does not grow with them.

Excel computes what is written as a formula and follows what is written as a link; here every text is a text, and one that begins like a
formula is marked as such (the apostrophe that Excel hides), so that it stays one when somebody edits the cell. Times are dates of Excel in
UTC, to the millisecond; what is nested is JSON text, as in a CSV.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.core.errors import SourceError

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

ROWS = 1_048_575  # of a sheet, beside its header
LONGEST_TEXT = 32_767  # signs in a cell
LARGEST_WHOLE = 2**53  # beyond it Excel rounds a number
_MOST_COLUMNS = 16_384
_BATCH = 10_000
_FORMULA = re.compile(r"^[=+@\t\r-]")
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # no XML may hold them
_FIRST_YEAR = 1901  # Excel believes in a 29 February 1900


def write_workbook(connection: duckdb.DuckDBPyConnection, relation: str, types: dict[str, str], nested: Sequence[str], path: Path) -> int:
    """Write what `SELECT * FROM relation` gives, with these columns and types, as a workbook; -> rows. SourceError when it cannot be."""
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import XlsxWriterException

    if len(types) > _MOST_COLUMNS:
        raise SourceError(f"{len(types):,} columns are more than a sheet of Excel holds", remedy="Write a .parquet or .csv file.")
    columns = ", ".join(_column(name, type_, name in nested) for name, type_ in types.items())
    rows = connection.execute(f"SELECT {columns} FROM {relation}")
    try:
        with TemporaryDirectory(prefix=".smartflow-", dir=path.parent) as folder:
            workbook = Workbook(path, {"constant_memory": True, "tmpdir": folder, "use_zip64": True})
            count = _Sheets(workbook, list(types)).write(rows)
            workbook.close()
    except (OSError, XlsxWriterException) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"the workbook cannot be written: {reason}", where=str(path.parent), remedy="Free some space.") from error
    return count


def _column(name: str, type_: str, is_nested: bool) -> str:
    column = quoted_column(name)
    if is_nested:
        return f"CAST(to_json({column}) AS VARCHAR) AS {column}"
    if type_.startswith("DECIMAL"):
        return f"CAST({column} AS DOUBLE) AS {column}"
    return f"CAST({column} AT TIME ZONE 'UTC' AS TIMESTAMP) AS {column}" if type_ == "TIMESTAMP WITH TIME ZONE" else column


class _Sheets:
    """The sheets of a workbook, one begun after the other."""

    def __init__(self, workbook: "Workbook", names: Sequence[str]) -> None:
        self._workbook, self._names, self._row = workbook, names, 0
        self._time = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._plain, self._text = workbook.add_format(), workbook.add_format({"quote_prefix": True})
        self._header, self._header_text = (workbook.add_format({"bold": True, **more}) for more in ({}, {"quote_prefix": True}))

    def write(self, rows: duckdb.DuckDBPyConnection) -> int:
        """Write all rows; -> how many they are."""
        sheet, count = self._next_sheet(1), 0
        while batch := rows.fetchmany(_BATCH):
            for row in batch:
                if self._row == ROWS:
                    sheet = self._next_sheet(count // ROWS + 1)
                self._row, count = self._row + 1, count + 1
                for place, value in enumerate(row):
                    self._cell(sheet, place, value)
        return count

    def _next_sheet(self, number: int) -> "Worksheet":
        sheet = self._workbook.add_worksheet("rows" if number == 1 else f"rows {number}")
        sheet.freeze_panes(1, 0)
        self._row = 0
        for place, name in enumerate(self._names):
            self._write_text(sheet, place, name, self._header, self._header_text)
        return sheet

    def _cell(self, sheet: "Worksheet", place: int, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, bool):
            sheet.write_boolean(self._row, place, value)
        elif isinstance(value, datetime) and value.year >= _FIRST_YEAR:
            sheet.write_datetime(self._row, place, value, self._time)
        elif isinstance(value, int | float) and abs(value) <= LARGEST_WHOLE:  # NaN is not, nor is infinity
            sheet.write_number(self._row, place, value)
        elif value == value:
            text = value.isoformat() if isinstance(value, date) else str(value)
            self._write_text(sheet, place, text, self._plain, self._text)

    def _write_text(self, sheet: "Worksheet", place: int, text: str, plain: "Format", marked: "Format") -> None:
        shown = _ILLEGAL.sub("\ufffd", text)
        shown = shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"
        sheet.write_string(self._row, place, shown, marked if _FORMULA.match(shown) else plain)
