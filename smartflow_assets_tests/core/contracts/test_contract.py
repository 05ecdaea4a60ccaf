"""What the words of a contract mean, and which contracts are nonsense."""

from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from smartflow_assets.core.contracts.contract import TYPE_EXPECTATIONS, Contract
from smartflow_assets.core.contracts.expectations import Expectation


def meaning(**contract):
    """The expectations of a contract by type, in order."""
    return [(each.type, dict(each.arguments)) for each in Contract.model_validate(contract).expectations()]


@pytest.mark.parametrize(
    ("words", "kind", "arguments"),
    [
        ({"not_null": True}, "expect_column_values_to_not_be_null", {}),
        ({"max_null_percent": 7}, "expect_column_values_to_not_be_null", {"mostly": 0.93}),
        ({"min": 0}, "expect_column_values_to_be_between", {"min_value": 0}),
        ({"max": 2.5}, "expect_column_values_to_be_between", {"max_value": 2.5}),
        ({"min": date(2026, 3, 1)}, "expect_column_values_to_be_between", {"min_value": "2026-03-01T00:00:00+00:00"}),
        ({"max": "2026-03-01T01:00:00+01:00"}, "expect_column_values_to_be_between", {"max_value": "2026-03-01T00:00:00+00:00"}),
        ({"min": datetime(2026, 3, 1, 9, tzinfo=UTC)}, "expect_column_values_to_be_between", {"min_value": "2026-03-01T09:00:00+00:00"}),
        ({"allowed": ["a", "b"]}, "expect_column_values_to_be_in_set", {"value_set": ["a", "b"]}),
        ({"pattern": "^a"}, "expect_column_values_to_match_regex", {"regex": "^a"}),
        ({"unique": True}, "expect_column_values_to_be_unique", {}),
        ({"min_length": 1, "max_length": 2}, "expect_column_value_lengths_to_be_between", {"min_value": 1, "max_value": 2}),
        *(({"type": word}, kind, given) for word, (kind, given) in TYPE_EXPECTATIONS.items()),
    ],
)
def test_a_word_of_a_column_is_one_expectation_beside_that_it_be_there(words, kind, arguments):
    assert meaning(columns={"x": words}) == [("expect_column_to_exist", {"column": "x"}), (kind, {"column": "x", **arguments})]


@pytest.mark.parametrize(
    ("check", "kind", "arguments"),
    [
        ("a > b", "expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "a", "column_B": "b"}),
        ("a <= b", "expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "b", "column_B": "a", "or_equal": True}),
        ("a == b", "expect_column_pair_values_to_be_equal", {"column_A": "a", "column_B": "b"}),
    ],
)
def test_a_comparison_of_two_columns_is_a_pair(check, kind, arguments):
    assert meaning(conditions=[check]) == [(kind, {**arguments, "ignore_row_if": "either_value_is_missing"})]


def test_any_other_condition_asks_for_the_rows_that_break_it():
    (found,) = Contract.model_validate({"conditions": ["kind == 'x' or a >= b"]}).expectations()
    assert found == Expectation("unexpected_rows_expectation", ("kind", "a", "b"), {"condition": "kind == 'x' or a >= b"})


def test_uniqueness_holds_for_the_source_unless_the_contract_says_batch():
    given = {"columns": {"id": {"unique": True}}, "unique_together": [["a", "b"]]}
    scopes = {
        within: [each.scope for each in Contract.model_validate({**given, "unique_within": within}).expectations()[1:]]
        for within in ("source", "batch")
    }
    assert scopes == {"source": ["source", "source"], "batch": ["load", "load"]}


def test_a_column_that_is_absent_is_missed_and_asked_nothing_else():
    contract = Contract.model_validate(
        {"columns": {"a": {"min": 0, "severity": "critical"}, "b": {"min": 0, "required": False}, "C": {"min": 0}}}
    )
    found = [(each.type.removeprefix("expect_column_"), each.columns, each.severity) for each in contract.expectations(["c"])]
    assert found == [("to_exist", ("a",), "critical"), ("to_exist", ("C",), "warning"), ("values_to_be_between", ("C",), "warning")]


def test_what_is_sensitive_marks_every_expectation_that_shows_it():
    contract = Contract.model_validate(
        {"columns": {"mail": {"sensitive": True, "pattern": "@"}, "n": {"min": 0}}, "conditions": ["mail != 'x' or n > 3"]}
    )
    assert [each.is_sensitive for each in contract.expectations()] == [True, True, False, False, True]


MEAN = {"type": "expect_column_mean_to_be_between", "column": "a", "min_value": 1}
NULLS = {"type": "expect_column_values_to_not_be_null", "column": "a"}
QUERY = {"type": "unexpected_rows_expectation", "unexpected_rows_query": "FROM {batch}"}


def test_rows_are_diverted_where_a_promise_or_the_contract_says_so_and_can():
    contract = Contract.model_validate(
        {
            "on_breach": "quarantine",
            "columns": {"x": {"type": "number", "min": 1, "max_null_percent": 3}, "y": {"not_null": True, "on_breach": "keep"}},
            "conditions": ["x > y"],
            "row_count": {"min": 1},
            "expectations": [MEAN, NULLS, NULLS | {"mostly": 0.5}, QUERY],
        }
    )
    diverting = [each for each in contract.expectations() if each.is_diverting]
    assert [(each.type, each.columns) for each in diverting] == [
        ("expect_column_values_to_be_between", ("x",)),
        ("expect_column_pair_values_a_to_be_greater_than_b", ("x", "y")),
        ("expect_column_values_to_not_be_null", ("a",)),
    ]


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        ({"columns": {"x": {"min": 3, "max": 1}}}, "min 3 is more than max 1, so that no value fits; exchange them"),
        ({"columns": {"x": {"min": 3, "max": date(2026, 1, 1)}}}, "min is a number and max is a time; write both alike"),
        ({"columns": {"x": {"min": float("nan")}}}, "must be a finite number"),
        ({"columns": {"x": {"min": "low"}}}, "'low' is neither a number nor a time"),
        ({"columns": {"x": {"type": "text", "min": 1}}}, "min is a number, and the column is of type text; take one of the two out"),
        ({"columns": {"x": {"type": "number", "min": date(2026, 1, 1)}}}, "write a number, or take it out"),
        ({"columns": {"x": {"type": "number", "pattern": "a"}}}, "pattern is asked of texts"),
        ({"columns": {"x": {"type": "integer", "allowed": [1, "a"]}}}, "allowed names 'a', which no column of type integer can hold"),
        ({"columns": {"x": {"pattern": "("}}}, "'(' is not a pattern (missing ), unterminated subpattern at position 0)"),
        ({"columns": {"x": {"min_length": 3, "max_length": 1}}}, "min_length 3 is more than max_length 1"),
        ({"columns": {"x": {"not_null": True, "max_null_percent": 3}}}, "both not_null and max_null_percent are given"),
        ({"row_count": {}}, "says neither min nor max"),
        ({"row_count": {"min": 3, "max": 1}}, "min 3 is more than max 1"),
        ({"unique_together": [["a", "a"]]}, "names a column twice"),
        ({"conditions": ["a >"]}, "write one such as ended_at >= started_at"),
        ({"expectations": [{"type": "expect_colum_to_exist", "column": "a"}]}, "Did you mean expect_column_to_exist?"),
        ({"expectations": [{"type": "expect_column_to_exist"}]}, "expect_column_to_exist needs column"),
        ({"expectations": [{"type": "unexpected_rows_expectation"}]}, "needs unexpected_rows_query"),
        ({"row_count": {"min": 1, "on_breach": "quarantine"}}, "on_breach is about single rows, and a count blames none; take it out"),
        ({"columns": {"x": {"max_null_percent": 3, "on_breach": "quarantine"}}}, "max_null_percent are about the whole column; add one of"),
        ({"columns": {"x": {"type": "text", "on_breach": "quarantine"}}}, "or take on_breach out"),
        ({"expectations": [MEAN | {"on_breach": "quarantine"}]}, "expect_column_mean_to_be_between does not name any in SQL; take it out"),
        ({"expectations": [NULLS | {"mostly": 0.9, "on_breach": "quarantine"}]}, "mostly lets some pass; take one of the two out"),
        ({"expectations": [QUERY | {"on_breach": "quarantine"}]}, "write it under `conditions`"),
        ({"columns": {"x": {"min": 1, "on_breach": "drop"}}}, "Input should be 'keep' or 'quarantine'"),
    ],
)
def test_nonsense_is_refused_with_what_to_do(contract, said):
    with pytest.raises(ValidationError) as error:
        Contract.model_validate(contract)
    assert said in str(error.value)
