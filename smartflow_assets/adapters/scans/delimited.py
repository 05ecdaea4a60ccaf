"""Delimited text as a scan: DuckDB's parallel reader of CSV, with every value as text and every broken line kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from smartflow_assets.adapters.scans.base import ENOUGH, MOST_COLUMNS, Layout, Scan
from smartflow_assets.adapters.scans.plain_text import Header, TextFile, as_plain_text, read_header
from smartflow_assets.adapters.sql_quoting import quoted_text

MOST_BROKEN_LINES = 100_000
_GROUPED = "'[-+]?[0-9]{1,3}([.][0-9]{3})+(,[0-9]+)?'"  # thousands parted by points
# lines that are no rows; one of blanks holds nothing to lose
_BROKEN = "FROM reject_errors WHERE trim(csv_line, chr(9) || chr(10) || chr(13) || ' ') <> ''"


@dataclass(frozen=True)
class Delimited(Layout):
    """A header line and lines of values. Without a delimiter the header line says which it is."""

    delimiter: str | None = None
    decimal: str = "."
    encoding: str = "utf-8"

    name = "delimited text"

    def open(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[TextFile],
        declared: Sequence[tuple[str, str]],
        *,
        is_rewritten: bool = False,
    ) -> "Scan":
        """A scan of one file."""
        (file,) = files
        text = as_plain_text(file, encoding=self.encoding, is_rewritten=is_rewritten)
        header = read_header(text, file, self.delimiter)
        if header.is_mixed:  # DuckDB takes the first line end that it meets for that of the file, and finds one line or none
            text = as_plain_text(file, encoding=self.encoding, is_rewritten=True)
            header = read_header(text, file, self.delimiter)
        if len(header.names) > MOST_COLUMNS:
            raise file.error(
                f"the header line has {len(header.names):,} columns, and {MOST_COLUMNS:,} are the most that are read",
                "Leave some out, or give the feed a row for each of them: time, name, value.",
                header.skipped + 1,
            )
        return _DelimitedScan(file, text, header, self.decimal)


class _DelimitedScan(Scan):
    has_decimal = True

    def __init__(self, file: TextFile, text: Path, header: Header, decimal: str) -> None:
        self.file, self.text, self.decimal, self.is_followed = file, text, decimal, header.is_followed
        self.names, self.types = header.names, (None,) * len(header.names)
        columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(header.names)))
        self.relation = (
            f"read_csv({quoted_text(one_path(text))}, auto_detect = false, header = true, skip = {header.skipped}, "
            f"delim = {quoted_text(header.delimiter)}, quote = '\"', escape = '\"', columns = {{{columns}}}, nullstr = '', "
            f"store_rejects = true, rejects_limit = {2 * MOST_BROKEN_LINES})"
        )
        self.broken = (
            "SELECT line AS place, json_object('line', left(trim(any_value(csv_line), chr(10) || chr(13)), 1000)) AS record, "
            f"concat('line ', line, ': ', any_value(error_message)) AS reason {_BROKEN} GROUP BY line"
        )

    def refuse(self, connection: duckdb.DuckDBPyConnection, row_count: int) -> None:
        for line, kind, text in connection.execute(
            "SELECT line, error_type, csv_line FROM reject_errors WHERE error_type IN ('INVALID ENCODING', 'UNQUOTED VALUE') "
            "ORDER BY line LIMIT 1"
        ).fetchall():
            if kind == "INVALID ENCODING":
                raise self.file.wrong_encoding("utf-8", line)
            if "\n" in (text or "").strip():
                raise self.file.error("a quote is opened and never closed, which swallows the lines after it", "Close it.", line)
        ((broken,),) = connection.execute(f"SELECT count(DISTINCT line) {_BROKEN}").fetchall()
        if self.is_followed and not (row_count or broken):
            raise self.file.error(
                "no row is found below the header line, though the file goes on",
                "Look for line breaks or quotes in the header line that others of the file are not like; nothing was taken.",
            )
        if broken >= MOST_BROKEN_LINES or (broken >= ENOUGH and not row_count):
            raise self.file.error(
                f"{broken:,} lines do not have the {len(self.names)} columns of the header line", "Set read.delimiter, or fix the feed."
            )


def one_path(path: Path) -> str:
    """A path for DuckDB's readers, which take patterns: a file may be called a*.csv."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path))


def with_point(c: str, decimal: str) -> str:
    """SQL that writes a number as DuckDB reads it; null where a point in a number with a decimal comma parts no thousands."""
    if decimal != ",":
        return c
    is_plain = f"NOT contains({c}, '.') OR regexp_full_match(trim({c}), {_GROUPED})"
    return f"CASE WHEN {is_plain} THEN replace(replace({c}, '.', ''), ',', '.') END"
