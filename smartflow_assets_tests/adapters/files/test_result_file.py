"""Tables that are taken out as files: what a spreadsheet would compute is text, in cells and in names."""

import csv
from pathlib import Path

import duckdb
import pytest

from smartflow_assets.adapters.files.result_file import write_relation


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_formula_in_a_cell_or_a_name_of_a_csv_is_text(tmp_path: Path, start: str) -> None:
    formula = f"{start}HYPERLINK(A1)"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE told AS SELECT ? AS \"{formula}\", '-5' AS number, 'a=b' AS plain, -5 AS value", [formula])
        assert write_relation(connection, "told", tmp_path / "told.csv", "csv") == 1
        write_relation(connection, "told", tmp_path / "told.parquet", "parquet")
        assert connection.execute(f"SELECT * FROM '{tmp_path}/told.parquet'").fetchall() == [(formula, "-5", "a=b", -5)]
    with (tmp_path / "told.csv").open(newline="") as lines:
        assert list(csv.reader(lines)) == [[f"'{formula}", "number", "plain", "value"], [f"'{formula}", "-5", "a=b", "-5"]]
