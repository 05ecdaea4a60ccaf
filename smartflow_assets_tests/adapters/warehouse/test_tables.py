"""The declarations: everything is described, and what is declared is what the file has."""

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.table_spec import Column, TableSpec
from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS, TABLES, raw_table, table_spec
from smartflow_assets.core.errors import WarehouseError

EVERY_TABLE = pytest.mark.parametrize("spec", TABLES.values(), ids=TABLES.keys())


@EVERY_TABLE
def test_every_table_and_column_says_what_it_is(spec: TableSpec):
    assert spec.description.endswith(".")
    assert all(column.description.endswith(".") and len(column.description) > 10 for column in spec.columns)


@EVERY_TABLE
def test_keys_and_times_are_columns_that_are_never_null(spec: TableSpec):
    assert not any(spec[name].is_nullable for name in spec.key if name != "idempotency_key")
    assert spec[spec.time_column].type == "TIMESTAMPTZ"


@EVERY_TABLE
def test_source_comes_first(spec: TableSpec):
    assert spec.column_names[0] == "source" or spec.name in ("snapshot_info", "saved_views")


@EVERY_TABLE
def test_empty_frame_fits_its_own_table(spec: TableSpec):
    assert spec.check(spec.empty(), "web").columns.tolist() == spec.column_names


def test_file_has_the_declared_columns_and_their_descriptions(warehouse):
    found = warehouse.read(
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = 'main'"
        " AND database_name = current_database() AND NOT internal ORDER BY table_name, column_index"
    )
    for name, columns in found.groupby("table_name"):
        spec = table_spec(str(name))
        assert columns["column_name"].tolist() == spec.column_names
        assert columns["data_type"].str.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ").tolist() == [c.type for c in spec.columns]
        assert columns["comment"].tolist() == [column.description for column in spec.columns]
    assert found["table_name"].nunique() == len(TABLES)


def test_no_sql_keyword_names_a_column(warehouse):
    keywords = set(warehouse.read("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'")["keyword_name"])
    names = {column.name for spec in TABLES.values() for column in spec.columns} | {column.name for column in RAW_COLUMNS}
    assert names & keywords == set()


@pytest.mark.parametrize("name", ["Web", "1web", "web-shop", "web;drop table x", "", "a" * 49])
def test_name_that_cannot_be_a_source_is_refused(name):
    with pytest.raises(WarehouseError, match="cannot name a source"):
        raw_table(name)


def test_whole_numbers_stay_exact():
    spec = TableSpec("t", "A table.", (Column("n", "BIGINT", "A number."),), (), "append", "n")
    assert spec.check(pd.DataFrame({"n": [2**60 + 1]}))["n"].tolist() == [2**60 + 1]
    assert spec.check(pd.DataFrame({"n": [1.0, None]}))["n"].fillna(-1).tolist() == [1, -1]
    with pytest.raises(WarehouseError, match="column 'n' should be BIGINT"):
        spec.check(pd.DataFrame({"n": [1.5]}))
