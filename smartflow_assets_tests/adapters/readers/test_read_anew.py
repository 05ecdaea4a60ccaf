"""What `is_read_anew_after` says of a key is what its change does to the key by which contents are known."""

from pathlib import Path

import pytest

from smartflow_assets.adapters.readers import BaseReader, CsvReader, HttpReader, InboxReader, JsonReader, SqlReader, Wanted
from smartflow_assets.adapters.readers.feed import FeedReader
from smartflow_assets.adapters.readers.files import FileReader
from smartflow_assets.adapters.staging.reading_key import key_of_file

CSV, JSON, INBOX = (CsvReader, {"path": "a.csv"}), (JsonReader, {"path": "a.jsonl"}), (InboxReader, {})
HTTP, SQL = (HttpReader, {"url": "https://example.com/a"}), (SqlReader, {"url": "sqlite:///a.sqlite", "table": "a"})
OF_TEXT = [("delimiter", ";"), ("decimal", ","), ("encoding", "latin-1")]
OF_FILES = [("key", ("id",)), ("duplicates", "keep"), ("on_missing_rows", "delete")]
OF_SERVERS = [("key", ("id",)), ("on_missing_rows", "delete"), ("late_by", "2h")]
CHANGES = [
    *((CSV, *change) for change in [*OF_TEXT, *OF_FILES, ("path", "b.csv")]),
    *((JSON, *change) for change in [("records", "a.b"), ("encoding", "latin-1"), *OF_FILES]),
    *((INBOX, *change) for change in [*OF_TEXT, *OF_FILES, ("pattern", "*.csv")]),
    *((HTTP, *change) for change in [*OF_TEXT, *OF_SERVERS, ("url", "https://example.com/b"), ("records", "a"), ("timeout", "1s")]),
    *((SQL, *change) for change in [*OF_SERVERS, ("table", "b"), ("chunk", 5)]),
]


def known_as(reader: BaseReader) -> str:
    """What stands for how it is read."""
    if isinstance(reader, FeedReader):
        return reader.reading(Wanted(), "UTC").of(None)
    assert isinstance(reader, FileReader)
    layout = reader.layout(Path("a.jsonl" if isinstance(reader, JsonReader) else "a.csv"))
    return key_of_file(reader.time, layout, Wanted(), reader.on_missing_rows, "UTC", reader.kept).of(None)


@pytest.mark.parametrize(("made", "key", "value"), CHANGES)
def test_a_key_that_is_said_to_read_all_anew_does(made, key, value):
    kind, keys = made
    before, after = kind(time="at", **keys), kind(time="at", **{**keys, key: value})
    assert (known_as(before) != known_as(after)) == after.is_read_anew_after(key)
