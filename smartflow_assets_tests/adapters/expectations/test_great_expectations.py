"""Beside Great Expectations itself: both engines find the same, suites are read back, what SQL cannot say runs there.

It is imported once, here; the long version of the comparison is for the soak and for benchmarks/contracts.py.
"""

import json

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from smartflow_assets.adapters.expectations.evaluation import STANDARD, evaluate
from smartflow_assets.adapters.expectations.row_checks import ROW_CHECKS
from smartflow_assets.adapters.expectations.suite import read_suite, suite_of
from smartflow_assets.core.contracts.contract import Contract
from smartflow_assets.core.contracts.expectation_types import EXPECTATION_TYPES, ROW_TYPES
from smartflow_assets.core.contracts.shorthand import with_expectations
from smartflow_assets_tests.adapters.expectations.conformance import Tally, compare, frames, promises

BOTH = [*STANDARD]
BOTH.remove("unexpected_rows_expectation")  # Great Expectations has no query on a frame
FULL = {
    "columns": {
        "at": {"type": "timestamp", "not_null": True, "min": "2026-01-01T00:00:00+00:00"},
        "id": {"type": "integer", "unique": True, "severity": "critical", "on_breach": "quarantine"},
        "amount": {"type": "number", "max_null_percent": 5, "min": 0, "max": 10.5},
        "mail": {"type": "text", "pattern": "^[^{}]+@", "min_length": 3, "max_length": 80, "sensitive": True, "required": False},
        "ok": {"type": "boolean"},
        "kind": {"allowed": ["a", "b"], "severity": "info"},
    },
    "unique_together": [["kind", "id"], {"columns": ["at", "id"], "severity": "critical"}],
    "unique_within": "batch",
    "conditions": ["`ended at` >= at", {"check": "kind != '{' or amount > 3", "severity": "critical", "on_breach": "quarantine"}],
    "references": [{"column": "kind", "source": "kinds", "source_column": "name"}],
    "row_count": {"min": 1, "max": 9, "per": "day"},
    "on_schema_change": "fail",
    "expectations": [{"type": "expect_column_mean_to_be_between", "column": "amount", "min_value": 1, "severity": "info"}],
}


@pytest.fixture(scope="module", autouse=True)
def great_expectations():
    """Its import, with its telemetry off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GX_ANALYTICS_ENABLED", "false")
        import great_expectations

        yield great_expectations


def compared(count):
    tally = Tally()

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(frames(), promises())
    def ask(rows, expectations):
        compare(rows, expectations, tally)

    ask()
    return tally


@pytest.mark.soak
def test_sql_finds_what_great_expectations_finds():
    tally = compared(4)
    assert tally.differences == []
    assert [kind for kind in BOTH if not tally.by_sql[kind]] == []


@pytest.mark.soak
def test_sql_finds_what_great_expectations_finds_in_two_hundred_frames():
    tally = compared(200)
    assert tally.differences == []
    assert [kind for kind in BOTH if not 0 < tally.passed[kind] < tally.by_sql[kind]] == []  # both verdicts were seen of each


def test_every_type_that_a_contract_may_list_is_known_there_and_none_is_left_out(great_expectations):
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    assert sorted(EXPECTATION_TYPES) == sorted(list_registered_expectation_implementations())


def test_rows_are_named_for_just_the_types_that_say_so():
    assert sorted(ROW_TYPES) == sorted(ROW_CHECKS)


def test_great_expectations_reads_the_suite_of_a_contract_and_all_comes_back(great_expectations, tmp_path):
    contract = Contract.model_validate(FULL)
    suite = great_expectations.ExpectationSuite(**suite_of(contract, "orders"))
    assert len(suite.expectations) == len(contract.expectations())
    (tmp_path / "suite.json").write_text(json.dumps(suite.to_json_dict()))
    read = read_suite(tmp_path / "suite.json", "source")
    assert read.unreadable == ()
    assert Contract.model_validate(with_expectations({}, read.expectations, read.settings)) == contract


def test_what_sql_cannot_say_is_asked_of_great_expectations():
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t AS SELECT * FROM (VALUES ('ab', 1), ('é', NULL), (NULL, 3)) AS rows(v, n)")
    contract = Contract.model_validate(
        {
            "columns": {"v": {"pattern": "a(?=b)"}, "V": {"pattern": "^\\w$"}},
            "expectations": [
                {"type": "expect_column_most_common_value_to_be_in_set", "column": "v", "value_set": ["x"]},
                {"type": "expect_column_values_to_be_increasing", "column": "n"},
                {"type": "expect_multicolumn_sum_to_equal", "column_list": ["n", "n"], "sum_total": 2},
                {"type": "expect_column_values_to_be_between", "column": "v", "min_value": "b"},
                {"type": "expect_column_values_to_be_between", "column": "n", "minimum": 1},
                {"type": "expect_column_kl_divergence_to_be_less_than", "column": "gone", "threshold": 1},
            ],
        }
    )
    found = evaluate(
        lambda sql, _: connection.execute(sql).df(), "t", contract.expectations(), all_rows="t", time_column="at", references={}
    )
    asked = [each for each in found if each.engine == "great_expectations"]
    assert [(each.is_passed, each.unexpected_count, bool(each.error)) for each in asked] == [
        (False, 1, False),
        (False, 1, False),
        (False, None, False),
        (asked[3].is_passed, asked[3].unexpected_count, False),
        (asked[4].is_passed, asked[4].unexpected_count, False),
        (False, None, True),
        (False, None, True),
        (False, None, True),
    ]
    assert asked[0].sentence == "1 of 2 values of v does not match a(?=b); for example é"
    assert asked[1].examples == ("ab",)  # to Python \w is a letter of any alphabet
    assert "minimum" in asked[6].error
    assert asked[7].error == "there is no column gone"


@settings(max_examples=15, deadline=None)
@given(
    st.fixed_dictionaries({}, optional={key: st.just(value) for key, value in FULL.items() if key != "columns"}),
    st.sets(st.sampled_from([*FULL["columns"]])),
)
def test_any_contract_survives_the_way_through_a_suite(tmp_path_factory, others, columns):
    contract = Contract.model_validate({**others, "columns": {name: FULL["columns"][name] for name in columns}})
    path = tmp_path_factory.mktemp("suite") / "suite.json"
    path.write_text(json.dumps(suite_of(contract, "x")))
    read = read_suite(path, "source")
    assert Contract.model_validate(with_expectations({}, read.expectations, read.settings)) == contract
