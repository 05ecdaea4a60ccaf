"""Tables written to a file: CSV, JSON, JSON lines, Parquet or an Excel workbook by the ending of its name, as a whole or not at all.

Rows come in batches, or from any relation that a DuckDB connection knows; memory stays bounded. Times are ISO 8601 in UTC,
with fractions only where there are any. What is nested (maps, lists) is JSON text in a CSV, which knows nothing else.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from smartflow_assets.adapters.duckdb_errors import file_error
from smartflow_assets.adapters.files.access import offer
from smartflow_assets.adapters.files.workbook import write_workbook
from smartflow_assets.adapters.sql_quoting import quoted_column, quoted_text
from smartflow_assets.core.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"^[=+@\t\r-]")
MEMORY_LIMIT = "600MB"  # DuckDB spills beyond it; detection has its own arrays beside it
FORMATS = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".xlsx": "xlsx"}


class ResultFile:
    """Rows that come in batches; see `result_file`."""

    def __init__(self, path: Path, scratch: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.path, self._scratch, self._db, self._parts = path, scratch, connection, 0

    def add(self, rows: "pd.DataFrame") -> None:
        """Keep a batch; all batches have the same columns."""
        self._db.register("batch", rows)
        part = self._scratch / f"part-{self._parts:06}.parquet"
        with errors_of(part, self._scratch):
            self._db.execute(f"COPY batch TO {quoted_text(part)} (FORMAT parquet)")
        self._db.unregister("batch")
        self._parts += 1

    def finish(self) -> None:
        """Write the file."""
        with errors_of(self.path, self._scratch):
            write_relation(self._db, f"read_parquet({quoted_text(self._scratch / 'part-*.parquet')})", self.path, format_of(self.path))


def write_relation(connection: duckdb.DuckDBPyConnection, relation: str, path: Path, form: str) -> int:
    """Write what `SELECT * FROM relation` gives as csv, json, jsonl, parquet or xlsx; -> rows. DuckDB's errors come as they are."""
    types = {str(row[0]): str(row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    nested = [name for name, type_ in types.items() if type_.endswith("[]") or type_.startswith(("MAP", "STRUCT"))]
    chosen = ", ".join(_csv_cell(name, type_, name in nested) for name, type_ in types.items()) if form == "csv" else "*"
    times = [quoted_column(name) for name, type_ in types.items() if type_.startswith("TIMESTAMP")]
    fractions = " OR ".join(f"bool_or(epoch_us({name}) % 1000000 <> 0)" for name in times) or "FALSE"
    is_fine = connection.execute(f"SELECT {fractions} FROM {relation}").fetchone() == (True,)
    iso = f"TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S{'.%f' if is_fine else ''}Z'"
    options = {
        "xlsx": "",
        "csv": f"FORMAT csv, HEADER, {iso}",
        "json": f"FORMAT json, ARRAY true, {iso}",
        "jsonl": f"FORMAT json, {iso}",
        "parquet": "FORMAT parquet",
    }[form]
    temporary = path.with_name(f".{path.name}.new")
    try:
        if form == "xlsx":
            count = write_workbook(connection, relation, types, nested, temporary)
        else:
            (count,) = connection.execute(f"COPY (SELECT {chosen} FROM {relation}) TO {quoted_text(temporary)} ({options})").fetchall()[0]
        offer(temporary)  # the warehouse makes files for its owner alone; these are taken out of it
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def calm_cell(text: str) -> str:
    """A text, or the name of a column, for a CSV that is not written by DuckDB: what a spreadsheet would compute begins with an apostrophe.

    >>> calm_cell("=1+1"), calm_cell("-1.5"), calm_cell("- none")
    ("'=1+1", '-1.5', "'- none")
    """
    if not _FORMULA.match(text):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _csv_cell(name: str, type_: str, is_nested: bool) -> str:
    """A column of a CSV. A spreadsheet computes what begins like a formula: such a text, and such a name, begin with an apostrophe."""
    column = quoted_column(name)
    header = quoted_column(f"'{name}" if _FORMULA.match(name) else name)
    if is_nested:
        return f"CAST(to_json({column}) AS VARCHAR) AS {header}"
    if type_ == "VARCHAR":
        is_formula = f"regexp_matches({column}, {quoted_text(_FORMULA.pattern)}) AND TRY_CAST({column} AS DOUBLE) IS NULL"
        return f"CASE WHEN {is_formula} THEN chr(39) || {column} ELSE {column} END AS {header}"
    return f"{column} AS {header}"


@contextmanager
def result_file(path: Path) -> Iterator[ResultFile]:
    """The file to write; `finish` writes it. SourceError for an ending that names no format, or a folder that is not there."""
    format_of(path)
    if not path.parent.is_dir():
        raise SourceError(f"{path.parent}: no such folder", remedy="Make it first, or write elsewhere.")
    with scratch_connection(path.parent) as (scratch, connection):
        yield ResultFile(path, scratch, connection)


def format_of(path: Path) -> str:
    """The format that the ending of a file names: csv, json, jsonl, parquet or xlsx. SourceError for another."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise SourceError(f"{path.name}: the ending names no format", remedy=f"Use one of {', '.join(FORMATS)}.") from None


@contextmanager
def scratch_connection(beside: Path | None) -> Iterator[tuple[Path, duckdb.DuckDBPyConnection]]:
    """A connection that spills into a scratch folder; both are gone afterwards. On the disk of `beside`, if given."""
    with tempfile.TemporaryDirectory(prefix=".smartflow-", dir=beside) as folder:
        connection = duckdb.connect()
        try:
            for setting in (
                "TimeZone = 'UTC'",
                f"memory_limit = '{MEMORY_LIMIT}'",
                f"temp_directory = {quoted_text(Path(folder) / 'spill')}",
                "enable_progress_bar = false",
            ):
                connection.execute(f"SET {setting}")
            yield Path(folder), connection
        finally:
            with suppress(duckdb.Error):
                connection.close()


@contextmanager
def errors_of(path: Path, scratch: Path) -> Iterator[None]:
    """DuckDB's errors as one line that names the file, or the disk that is full."""
    try:
        yield
    except duckdb.Error as error:
        raise file_error(error, path, scratch) from error
