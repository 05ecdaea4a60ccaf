"""A pattern that is written for DuckDB finds what Python's `re` finds."""

import re

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.adapters.expectations.patterns import for_duckdb
from smartflow_assets_tests.adapters.expectations.conformance import PATTERNS

ATOMS = [
    "a",
    "b",
    ".",
    "[ab]",
    "[^a]",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\b",
    "^",
    "$",
    "\\Z",
    "\\.",
    "[\\d-]",
    "[^\\w]",
    "é",
    "\\n",
]
REPEATS = ["", "", "*", "+", "?", "{2}", "{1,}", "*?", "+?"]
pieces = st.tuples(st.sampled_from(ATOMS), st.sampled_from(REPEATS)).map("".join)
sequences = st.lists(pieces, min_size=1, max_size=4).map("".join)
patterns = st.one_of(
    sequences, st.lists(sequences, min_size=2, max_size=3).map(lambda each: f"({'|'.join(each)})"), st.sampled_from(PATTERNS)
)
texts = st.lists(st.text(alphabet="ab1_ -.\n\x1c\té٣ß", max_size=5), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(patterns, texts)
def test_duckdb_finds_what_python_finds(pattern, values):
    try:
        compiled = re.compile(pattern)
    except re.error:
        assert for_duckdb(pattern) is None
        return
    if (written := for_duckdb(pattern)) is None:
        return
    text, is_ascii = written
    asked = [value for value in values if value.isascii() or not is_ascii]
    found = duckdb.execute("SELECT list_transform(?, lambda v: regexp_matches(v, ?))", [asked, text]).fetchall()[0][0] if asked else []
    assert found == [compiled.search(value) is not None for value in asked]


@pytest.mark.parametrize(
    "pattern", ["(?=a)b", "(?!a)b", "(?<=a)b", "(a)\\1", "a$b", "(a$)*", "(?i)a", "(?m)^a", "a{1001}", "(?>a)b", "a++"]
)
def test_what_re2_cannot_say_or_reads_otherwise_is_left_to_great_expectations(pattern):
    assert for_duckdb(pattern) is None


@pytest.mark.parametrize(("pattern", "is_ascii"), [("^[A-Z]{2}$", False), ("\\d", True), ("[\\w.]+@x", True), ("é", False)])
def test_classes_of_letters_hold_for_ascii_alone(pattern, is_ascii):
    assert for_duckdb(pattern)[1] is is_ascii
