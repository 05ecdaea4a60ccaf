"""Parquet as other tools write it: types that stay, structs, rows set aside by the rules of text, and damaged files."""

import gzip
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from smartflow_assets.adapters.readers import InboxReader, ParquetReader, ReadContext, Staged, Wanted
from smartflow_assets.adapters.scans.parquet import Parquet
from smartflow_assets.adapters.staging.stage import stage_rows
from smartflow_assets.core.errors import SourceError
from smartflow_assets_tests.adapters.readers.parquet_files import reasons, rows, types


def write(path: Path, select: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)").fetchall()
    return path


@pytest.fixture
def stage(tmp_path):
    """Write a query's rows as feed.parquet, stage them."""

    def run(select: str | bytes, *, numbers=None, texts=(), on_bad_rows="quarantine", **keys) -> Staged:
        path = tmp_path / "feed.parquet"
        if isinstance(select, bytes):
            path.write_bytes(select)
        else:
            write(path, select)
        reader = ParquetReader.model_validate({"path": "feed.parquet", "time": "at", **keys})
        (staged,) = reader.batches(ReadContext("web", tmp_path, tmp_path / "staging", Wanted(numbers, texts, on_bad_rows)))
        return staged

    return run


AT = "TIMESTAMP '2026-03-01 10:00' AS at"


def test_columns_keep_the_types_of_the_file(stage):
    staged = stage(f"""SELECT {AT}, 3::UTINYINT AS small, 5::HUGEINT AS huge, 1.25::DECIMAL(9, 2) AS price, 0.1::FLOAT AS real,
        TRUE AS flag, DATE '2026-01-02' AS day, TIMESTAMPTZ '2026-01-01 10:00:00+02' AS sent,
        TIMESTAMP '2026-01-01 10:00' AS local, '12' AS code, [1, 2] AS list,
        MAP {{'k': 1}} AS map, 'a'::ENUM ('a') AS kind, 'x'::BLOB AS blob, NULL AS nothing""")
    assert types(staged) == {
        "at": "TIMESTAMP WITH TIME ZONE",
        "small": "BIGINT",
        "huge": "DOUBLE",
        "price": "DOUBLE",
        "real": "DOUBLE",
        "flag": "BOOLEAN",
        "day": "DATE",
        "sent": "TIMESTAMP WITH TIME ZONE",
        "local": "TIMESTAMP",
        "code": "VARCHAR",
        "list": "VARCHAR",
        "map": "VARCHAR",
        "kind": "VARCHAR",
        "blob": "VARCHAR",
    }
    assert rows(staged, "small, price, real, flag, day, sent, code, list, map") == [
        (3, 1.25, 0.1, True, date(2026, 1, 2), datetime(2026, 1, 1, 8, tzinfo=UTC), "12", "[1,2]", '{"k":1}')
    ]


def test_the_fields_of_structs_become_columns(stage):
    staged = stage(f"SELECT {AT}, {{'id': 7, 'to': {{'city \"x\"': 'Köln'}}}} AS \"user\"")
    assert rows(staged, '"user.id", "user.to.city ""x"""') == [(7, "Köln")]


def test_declared_columns_are_checked_with_the_rules_of_text(stage):
    staged = stage(
        """SELECT * FROM (VALUES ('2026-03-01', '5', 1.0), ('soon', '6', 2.0), (NULL, '7', 3.0),
        ('2026-03-02', 'many', 4.0),
        ('2026-03-03', '8', 'inf'::DOUBLE), ('2026-03-04', NULL, 'nan'::DOUBLE)) AS given("at", value, "real")""",
        numbers=("value", "real"),
    )
    assert rows(staged, 'value, "real"') == [(5, 1), (None, None)]
    assert reasons(staged) == [
        (2, "at: 'soon' is not a time; expected a time such as 2026-03-01 09:35"),
        (3, "at is empty; expected a time"),
        (4, "value: 'many' is not a number; expected one up to 1e+150"),
        (5, "real: 'inf' is not a number; expected one up to 1e+150"),
    ]


def test_without_metrics_every_column_of_numbers_must_be_finite_and_text_stays_text(stage):
    staged = stage(f"SELECT {AT}, unnest([1.5, 'inf'::DOUBLE]) AS value, '12' AS code")
    assert (rows(staged, "value, code"), staged.bad_count) == ([(1.5, "12")], 1)


@pytest.mark.parametrize(
    ("value", "time", "expected"),
    [
        ("TIMESTAMP '2026-03-01 10:00:00.25'", "at", "01 10:00:00.250"),
        ("TIMESTAMP '2026-03-01 10:00'", {"column": "at", "timezone": "Europe/Berlin"}, "01 09:00:00.000"),
        ("TIMESTAMPTZ '2026-03-01 10:00:00+02'", {"column": "at", "timezone": "Europe/Berlin"}, "01 08:00:00.000"),
        ("TIMESTAMP_NS '2026-03-01 10:00:00.123456789'", "at", "01 10:00:00.123"),
        ("DATE '2026-03-01'", {"column": "at", "format": "%d/%m/%Y"}, "01 00:00:00.000"),
        ("1772357700", {"column": "at", "format": "unix"}, "01 09:35:00.000"),
        ("'01/03/2026'", {"column": "at", "format": "%d/%m/%Y"}, "01 00:00:00.000"),
    ],
)
def test_times_of_all_types_are_read(stage, value, time, expected):
    assert rows(stage(f"SELECT {value} AS at, 1 AS value", time=time), "strftime(\"at\", '%d %H:%M:%S.%g')") == [(expected,)]


def test_many_files_gzipped_or_not_are_origins_of_their_own(tmp_path):
    for name in ("b", "a"):
        write(tmp_path / f"{name}.parquet", f"SELECT {AT}, '{name}' AS name")
    (tmp_path / "c.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    reader = ParquetReader(path="*.parquet*", time={"column": "at"})
    staged = list(reader.batches(ReadContext("web", tmp_path, tmp_path / "staging")))
    assert [(batch.origin, rows(batch, "name")) for batch in staged] == [
        ("a.parquet", [("a",)]),
        ("b.parquet", [("b",)]),
        ("c.parquet.gz", [("a",)]),
    ]


def test_parts_of_one_content_are_joined_by_the_names_of_their_columns(tmp_path):
    parts = [
        write(tmp_path / f"{number}.parquet", f"SELECT {AT}, {rest}")
        for number, rest in enumerate(
            ("1 AS whole, 1 AS mixed, 'x' AS word", "2.5 AS whole, 'n' AS mixed", "3 AS whole, 4 AS mixed, 5 AS added")
        )
    ]
    context = ReadContext("web", tmp_path, tmp_path / "staging")
    staged = stage_rows(ParquetReader(path="unused", time={"column": "at"}), parts, context, origin="o", content_hash="h", layout=Parquet())
    assert staged is not None
    assert rows(staged, "whole, mixed, word, added") == [(1, "1", "x", None), (2.5, "n", None, None), (3, "4", None, 5)]
    assert types(staged)["whole"] == "DOUBLE"


def test_a_file_without_rows_is_no_error_and_says_so(stage):
    staged = stage(f"SELECT {AT}, 1 AS value LIMIT 0")
    assert (staged.row_count, staged.notes) == (0, ("holds no rows",))


def test_files_that_cannot_be_used_say_why(stage, tmp_path):
    good = write(tmp_path / "good.parquet", f"SELECT {AT}, range AS value FROM range(5000)").read_bytes()

    def refused(content: bytes | str, **keys) -> str:
        with pytest.raises(SourceError) as error:
            stage(content, **keys)
        text = str(error.value)
        assert text.startswith("web: ") and f"({tmp_path}/feed.parquet)" in text and "\n" not in text
        return text

    assert "the Parquet file is damaged or was cut off" in refused(good[:-20])
    assert "the Parquet file is damaged or was cut off" in refused(good[:100] + bytes(200) + good[300:])
    assert "the gzip file is damaged or was cut off" in refused(gzip.compress(good)[:-20])
    assert "the file is empty" in refused(b"")
    assert "this is not a Parquet file" in refused(b"at,value\n")
    assert "there is no column 'at', which read.time names; the file has day" in refused("SELECT 1 AS day")
    assert "no value of column 'at' is a time" in refused("SELECT range AS at FROM range(20)")
    assert "column 'value' is text; expected a number, the first value is 'x'" in refused(
        f"SELECT {AT}, 'x' AS value FROM range(20)", numbers=("value",)
    )
    assert "which SmartFlow keeps for itself" in refused(f"SELECT {AT}, 1 AS _row_hash")


# --- the inbox takes all kinds ---


def test_the_inbox_reads_files_by_their_ending(tmp_path):
    inbox = tmp_path / "inbox" / "web"
    inbox.mkdir(parents=True)
    write(inbox / "d.parquet", f"SELECT {AT}, 4 AS value")
    shutil.copy(inbox / "d.parquet", inbox / "e.PQ")
    (inbox / "a.csv").write_text("at,value\n2026-03-01,1\n")
    (inbox / "b.json").write_text('{"rows": [{"at": "2026-03-01", "value": 2}]}')
    (inbox / "c.jsonl.gz").write_bytes(gzip.compress(b'{"rows": [{"at": "2026-03-01", "value": 3}]}\n'))
    (inbox / "odd 'name'\n\".csv").write_text("at,value\n2026-03-01,5\n")
    reader = InboxReader.model_validate({"time": "at", "records": "rows"})
    staged = list(reader.batches(ReadContext("web", tmp_path, tmp_path / "staging")))
    assert [rows(batch, "value") for batch in staged] == [[(1,)], [(2,)], [(3,)], [(4,)], [(4,)], [(5,)]]
