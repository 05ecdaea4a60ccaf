"""Verdicts as people read them."""

from datetime import UTC, datetime

import pytest

from smartflow_assets.core.contracts.contract import Contract
from smartflow_assets.core.contracts.expectations import Expectation
from smartflow_assets.core.contracts.sentences import Told, sentence

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def told(count=None, wrong=None, *, examples=(), error="", at=None, span="day", **observed):
    return Told(not wrong and not error and not observed.get("bad"), count, wrong, observed, examples, error, at, span)


def one(**contract):
    return Contract.model_validate(contract).expectations()[-1]


@pytest.mark.parametrize(
    ("expectation", "verdict", "text"),
    [
        (one(columns={"a": {"min": 1, "max": 5}}), told(10, 1, examples=("7",)), "1 of 10 values of a is outside of 1 to 5; for example 7"),
        (
            one(columns={"a": {"max_null_percent": 5}}),
            told(1000, 80, at=AT),
            "80 of 1,000 values of a are missing (8 %, at most 5 % may), first at 2026-03-01 09:30 UTC",
        ),
        (one(columns={"a": {"unique": True}}), told(10, 2), "2 of 10 values of a come more than once"),
        (one(columns={"a": {"max_length": 3}}), told(1, 0), "the one value of a is as agreed"),
        (one(columns={"a": {"pattern": "^x"}}), told(3, 3), "3 of 3 values of a do not match ^x"),
        (one(columns={"a": {"allowed": list("abcdefg")}}), told(3, 1), "1 of 3 values of a is not among a, b, c, d, e and 2 others"),
        (one(conditions=["a >= b"]), told(3, 1), "1 of 3 rows breaks a >= b"),
        (one(references=[{"column": "a", "source": "s", "source_column": "id"}]), told(3, 2), "2 of 3 values of a are not in id of s"),
        (one(unique_together=[["a", "b"]]), told(3, 2), "2 of 3 rows have a, b in common with another row"),
        (one(row_count={"min": 5}), Told(False, None, None, {"value": 1}, (), "", None), "1 row; at least 5 expected"),
        (one(row_count={"min": 5, "per": "day"}), told(4, 1, least=2, most=9), "1 of 4 days has not at least 5 rows; the fewest 2"),
        (one(row_count={"max": 5, "per": "bucket"}), told(4, 0, span="bucket of 5min"), "each of 4 buckets of 5min has at most 5 rows"),
        (one(columns={"a": {"type": "number"}}), Told(False, None, None, {"type": "text"}, (), "", None), "a is text, not number"),
        (one(columns={"a": {}}), Told(False, None, None, {}, (), "", None), "there is no column a"),
        (one(columns={"a": {"min": 0}}), told(error="a is text"), "the check of a is broken: a is text"),
        (one(columns={"a": {"min": 0}}), told(0, 0), "there are no values of a"),
        (
            Expectation("expect_column_stdev_to_be_between", ("a",), {"column": "a", "max_value": 3}),
            Told(False, None, None, {"value": 4.5}, (), "", None),
            "the standard deviation of a is 4.5; at most 3 expected",
        ),
    ],
)
def test_a_verdict_says_what_was_found_and_what_was_promised(expectation, verdict, text):
    assert sentence(expectation, verdict) == text
