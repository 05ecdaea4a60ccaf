"""JSON as servers and programs leave it: lists, lines, lists inside objects; what becomes a column, what is set aside, what is refused."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from smartflow_assets.adapters.readers import JsonReader, ReadContext, Staged, Wanted
from smartflow_assets.adapters.scans import json_lines
from smartflow_assets.adapters.staging.stage import stage_rows
from smartflow_assets.core.errors import SourceError
from smartflow_assets_tests.adapters.readers.parquet_files import reasons, rows, types

TWENTY = [{"at": f"2026-03-01 00:{minute:02d}", "value": minute} for minute in range(20)]


@pytest.fixture
def stage(tmp_path):
    """Write content as feed.json, stage it; keys of read and what is wanted as keywords."""

    def run(content: str | bytes | list | dict, *, numbers=None, texts=(), on_bad_rows="quarantine", **keys) -> Staged:
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        (tmp_path / "feed.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        reader = JsonReader.model_validate({"path": "feed.json", "time": "at", **keys})
        (staged,) = reader.batches(ReadContext("web", tmp_path, tmp_path / "staging", Wanted(numbers, texts, on_bad_rows)))
        return staged

    return run


@pytest.fixture
def refused(stage, tmp_path):
    """The message, without the part that names the source and the file; both are asserted here."""

    def run(content: str | bytes | list | dict, **keys) -> str:
        with pytest.raises(SourceError) as error:
            stage(content, **keys)
        text = str(error.value)
        assert text.startswith("web: ")
        assert f" ({tmp_path}/feed.json" in text
        assert "\n" not in text
        return text.removeprefix("web: ").replace(f"{tmp_path}/", "")

    return run


LINES = '{"at": "2026-03-01", "value": 1}\n\n{"at": "2026-03-02", "value": 2.5}\n'


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (LINES, {}),
        (LINES.replace("\n", "\r\n"), {}),
        (LINES.replace("\n\n", "\r\n"), {}),
        ("\ufeff" + LINES, {}),
        (LINES.encode("utf-16"), {}),
        (gzip.compress(LINES.encode(), mtime=0), {}),
        ('[{"at": "2026-03-01", "value": 1}, {"at": "2026-03-02",\n"value": 2.5}]', {}),
        (
            '{"meta": {"items": 2}, "data": {"n": 2, '
            '"items": [{"at": "2026-03-01", "value": 1}, {"at": "2026-03-02", "value": 2.5}], "x": []}}',
            {"records": "data.items"},
        ),
        (
            '{"items": [{"at": "2026-03-01", "value": 1}]}\n{"items": []}\n{"items": [{"at": "2026-03-02", "value": 2.5}]}\n',
            {"records": "items"},
        ),
    ],
)
def test_two_rows_however_they_are_written(stage, content, keys):
    staged = stage(content, **keys)
    assert rows(staged, '"at", value') == [(datetime(2026, 3, 1, tzinfo=UTC), 1), (datetime(2026, 3, 2, tzinfo=UTC), 2.5)]
    assert (staged.row_count, staged.bad_count, types(staged)["value"]) == (2, 0, "DOUBLE")


def test_other_encodings_are_read_when_named(stage):
    assert rows(stage('[{"at": "2026-03-01", "store": "Köln"}]'.encode("latin-1"), encoding="latin-1"), "store") == [("Köln",)]


def test_records_that_cross_the_blocks_in_which_a_file_is_read_stay_whole(stage, monkeypatch):
    monkeypatch.setattr(json_lines, "BLOCK", 7)
    words = [{"at": f"2026-03-01 00:{n:02d}", "value": n * 1000 + 0.125, "text": 'a"]\\{é', "on": n % 2 == 0} for n in range(30)]
    for content in ({"skipped": [[1], {"a": {}}], "list": words, "more": -1.5e3}, {"list": words, "deep": {"x": [[]]}}):
        staged = stage(json.dumps(content, indent=1), records="list")
        assert rows(staged, 'value, text, "on"') == [(word["value"], word["text"], word["on"]) for word in words]


# --- columns ---


def test_nested_objects_become_columns_and_lists_stay_json(stage):
    staged = stage(
        [
            {"at": "2026-03-01", "user": {"id": 7, "address": {"city": "Köln"}}, "tags": ["a", {"b": 1}]},
            {"at": "2026-03-02", "user": None, "tags": []},
            {"at": "2026-03-03", "user": {"name": "x"}},
        ]
    )
    assert types(staged) == {
        "at": "TIMESTAMP WITH TIME ZONE",
        "user.id": "BIGINT",
        "user.address.city": "VARCHAR",
        "user.name": "VARCHAR",
        "tags": "VARCHAR",
    }
    assert rows(staged, '"user.id", "user.address.city", "user.name", tags') == [
        (7, "Köln", None, '["a",{"b":1}]'),
        (None, None, None, "[]"),
        (None, None, "x", None),
    ]


def test_a_key_that_holds_objects_and_other_values_stays_one_column_of_json(stage):
    staged = stage([{"at": "2026-03-01", "v": {"a": 1}}, {"at": "2026-03-02", "v": 5}])
    assert rows(staged, "v") == [('{"a":1}',), ("5",)]


def test_objects_below_the_fifth_level_stay_json(stage):
    staged = stage('[{"at": "2026-03-01", "a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}]')
    assert rows(staged, '"a.b.c.d.e"') == [('{"f":1}',)]


def test_values_that_are_numbers_and_texts_by_turns_follow_the_rules_of_text(stage):
    values = [1, 2.5, "3", True, "007", None, "", "many"]
    staged = stage([{"at": "2026-03-01", "v": value} for value in values])
    assert rows(staged, "v") == [("1",), ("2.5",), ("3",), ("true",), ("007",), (None,), (None,), ("many",)]
    declared = stage([{"at": "2026-03-01", "v": value} for value in values], numbers=("v",))
    assert rows(declared, "v") == [(1,), (2.5,), (3,), (7,), (None,), (None,)]
    assert reasons(declared) == [
        (4, "v: 'true' is not a number; expected one up to 1e+150"),
        (8, "v: 'many' is not a number; expected one up to 1e+150"),
    ]


def test_nan_of_python_is_no_value_and_infinity_is_a_bad_row(stage):
    staged = stage('[{"at": "2026-03-01", "v": NaN}, {"at": "2026-03-02", "v": Infinity}, {"at": "2026-03-03", "v": 1}]', numbers=("v",))
    assert (rows(staged, "v"), staged.bad_count) == ([(None,), (1.0,)], 1)


def test_times_may_be_numbers(stage):
    staged = stage([{"at": 1772357700000, "value": 1}], time={"column": "at", "format": "unix_ms"})
    assert rows(staged, '"at"') == [(datetime(2026, 3, 1, 9, 35, tzinfo=UTC),)]


def test_nested_columns_can_be_declared(stage):
    staged = stage([{"meta": {"at": "2026-03-01"}, "m": {"v": "5", "region": 7}}], time="meta.at", numbers=("m.v",), texts=("m.region",))
    assert types(staged) == {"meta.at": "TIMESTAMP WITH TIME ZONE", "m.v": "DOUBLE", "m.region": "VARCHAR"}


def test_keys_may_hold_any_sign(stage):
    record = {"at": "2026-03-01", 'a "b"': 1, "c/d~e": {"f g": 2}, "select": 3, "": 4, "x\ny": 5, "it's": 6}
    assert rows(stage([record]), '* EXCLUDE ("at", _row)') == [(1, 2, 3, 4, 5, 6)]
    assert types(stage([record])).keys() == {"at", 'a "b"', "c/d~e.f g", "select", "column5", "x\ny", "it's"}


def test_a_declared_key_that_a_few_records_lack_is_empty_but_many_lack_what_is_misspelt(stage, refused):
    staged = stage(TWENTY[:9], numbers=("value", "refund"), texts=("store",))
    assert rows(staged, "refund, store")[0] == (None, None)
    assert refused(TWENTY, numbers=("valeu",)) == (
        "there is no column 'valeu', which metrics names; the file has at, value (feed.json). Did you mean 'value'? "
        "Correct metrics, or fix the feed."
    )


def test_a_list_without_records_is_no_error_and_says_so(stage):
    staged = stage("[]", numbers=("value",))
    assert (staged.row_count, staged.bad_count, staged.notes) == (0, 0, ("holds no rows",))


# --- bad records ---


def test_lines_and_records_that_are_no_objects_are_set_aside(stage):
    staged = stage('{"at": "2026-03-01"}\n5\n{"at": \n"x"\n{"at": "soon"}\n{"at": "2026-03-02"}\n')
    assert staged.row_count == 2
    assert reasons(staged) == [
        (2, "record 2: a number, not an object"),
        (3, "record 3: this is not JSON"),
        (4, "record 4: a text, not an object"),
        (5, "at: 'soon' is not a time; expected a time such as 2026-03-01 09:35"),
    ]
    assert [number for (number,) in rows(staged, "_row")] == [1, 6]
    assert reasons(stage('[{"at": "2026-03-01"}, [1], null, true]')) == [
        (2, "record 2: a list, not an object"),
        (3, "record 3: null, not an object"),
        (4, "record 4: true or false, not an object"),
    ]


def test_the_last_line_of_a_file_that_is_still_written_waits_in_quarantine(stage):
    staged = stage(LINES + '{"at": "2026-03-0')
    assert (staged.row_count, reasons(staged)) == (2, [(4, "record 4: this is not JSON")])


# --- what is refused ---


@pytest.mark.parametrize("content", ["12", '"text"', "null", "true"])
def test_json_that_is_no_list_says_what_it_is(refused, content):
    kind = {"12": "a number", '"text"': "a text", "null": "null", "true": "true or false"}[content]
    assert refused(content) == (
        f"the JSON is {kind}; expected a list of objects (feed.json, line 1). Set read.records to the list in it, such as data.items."
    )


def test_an_object_that_holds_the_list_asks_for_the_way_to_it(refused):
    document = {"data": {"items": TWENTY}, "n": 5}
    assert "the JSON is an object; expected a list of objects" in refused(json.dumps(document, indent=1))
    assert refused(document, records="data.rows") == (
        "there is no 'rows', which read.records: data.rows names; the object has items (feed.json, line 1). "
        "Correct read.records, or fix the feed."
    )
    assert "at read.records: data lies an object; expected a list of objects" in refused(document, records="data")
    assert "read.records: n.items names 'items' in a number; expected an object" in refused(document, records="n.items")


@pytest.mark.parametrize("end", range(5, 60, 9))
def test_a_list_that_is_cut_off_anywhere_is_refused_as_a_whole(refused, end):
    text = json.dumps(TWENTY)[:end]
    assert refused(text) == "the JSON is cut off (feed.json, line 1). Copy it again, or fix the feed; nothing of it was taken."


def test_damaged_json_names_the_line(refused):
    assert refused('[{"at": 1},\n{"at" 2}]').startswith("this is not JSON: expecting ':' delimiter (feed.json, line 2)")
    assert refused('[{"at": 1},\n]').startswith("this is not JSON: expecting value (feed.json, line 2)")
    assert refused('[{"at": 1}\n{"at": 2}]').startswith("this is not JSON: '{' is not expected here (feed.json, line 2)")
    assert refused('[{"at": 1}]\n[{"at": 2}]').startswith("more text follows the end of the list (feed.json, line 2)")


def test_a_damaged_gzip_an_empty_file_and_a_wrong_encoding_have_their_names(refused):
    assert refused(gzip.compress(json.dumps(TWENTY).encode(), mtime=0)[:-12]).endswith("Copy it again; nothing of it was taken.")
    assert refused("") == "the file is empty (feed.json). Copy it again, or take it away."
    assert refused(" \n ") == "the file holds only blanks (feed.json). An empty list is written []."
    wrong = "the text is not utf-8 (feed.json, line 2). Set read.encoding, for example to latin-1 or cp1252."
    assert refused('[{"at": "2026-03-01",\n"v": "ä"}]'.encode("latin-1")) == wrong
    assert refused('{"at": "2026-03-01"}\n{"at": "ä"}\n'.encode("latin-1")) == wrong
    assert refused(b"PAR1") == "this is a Parquet file, not text (feed.json). Set read.type: parquet."


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '[{"at": 1, "v": ' + "[" * 100_000 + "]" * 100_000 + "}]",
        '[{"at": 1, "v": ' + '{"a":' * 100_000 + "1" + "}" * 100_001 + "]",
        '{"at": 1, "v": ' + '{"a":' * 100_000 + "1" + "}" * 100_001,
    ],
)
def test_json_that_is_nested_without_end_is_refused(refused, content):
    assert refused(content) == "the JSON is nested too deeply to be read (feed.json). Fix the feed."


def test_keys_that_are_ids_are_refused_before_they_become_a_thousand_columns(refused):
    text = refused([{"at": "2026-03-01", "by_user": {f"u{number}": 1}} for number in range(1001)])
    assert text.startswith("the records have 1,002 different keys, many of them below 'by_user' (feed.json)")


def test_names_that_collide_or_are_taken_are_refused(refused):
    assert "the column 'a.b' occurs twice" in refused([{"at": "2026-03-01", "a.b": 1, "a": {"b": 2}}])
    assert "which SmartFlow keeps for itself" in refused([{"at": "2026-03-01", "_row": 1}])
    assert "none of 2 records is an object; record 1: a number, not an object" in refused("[1, 2]")
    assert "there is no column 'at', which read.time names; the file has day" in refused([{"day": "2026-03-01"}])


def test_a_record_without_end_is_refused_by_its_length(refused, monkeypatch):
    monkeypatch.setattr(json_lines, "LONGEST", 1000)
    monkeypatch.setattr(json_lines, "BLOCK", 100)
    assert "a record is longer than 1,000 bytes" in refused('[{"at": "' + "x" * 10_000 + '"}]')


@pytest.mark.parametrize("records", ["", ".", "a..b", "a.", ".a"])
def test_a_way_without_keys_is_refused_before_any_file_is_read(records):
    with pytest.raises(ValidationError):
        JsonReader.model_validate({"path": "feed.json", "time": "at", "records": records})


# --- rows that a reader has fetched ---


def test_rows_that_a_reader_fetched_are_staged_under_the_origin_it_names(tmp_path: Path):
    page = tmp_path / "page.jsonl"
    page.write_text(LINES)
    context = ReadContext("web", tmp_path, tmp_path / "staging", known={"known": "hash"}, since=datetime(2026, 3, 2, tzinfo=UTC))
    reader = JsonReader(path="unused", time={"column": "at"})
    staged = stage_rows(reader, [page], context, origin="https://shop/orders since start", content_hash="of it")
    assert staged is not None
    assert (staged.origin, staged.content_hash, rows(staged, "value")) == ("https://shop/orders since start", "of it", [(2.5,)])
    assert stage_rows(reader, [page], context, origin="known", content_hash="hash") is None
    page.write_text("[1]")
    with pytest.raises(SourceError, match=r"none of 1 records is an object; record 1: a number, not an object \(https://shop/orders\)"):
        stage_rows(reader, [page], context, origin="o", content_hash="h", where="https://shop/orders")
