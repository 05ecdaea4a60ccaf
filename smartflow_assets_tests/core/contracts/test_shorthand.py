"""Expectations taken into a contract: one by one, whatever stands there already."""

from smartflow_assets.core.contracts import shorthand
from smartflow_assets.core.contracts.contract import Contract
from smartflow_assets.core.contracts.expectations import Expectation
from smartflow_assets.core.contracts.shorthand import with_expectations


def test_an_expectation_is_looked_at_without_the_many_beside_it(monkeypatch):
    sizes = list[int]()

    class Counted(Contract):
        @classmethod
        def model_validate(cls, obj, **more):
            sizes.append(len(obj.get("columns", ())))
            return super().model_validate(obj, **more)

    monkeypatch.setattr(shorthand, "Contract", Counted)
    many = [Expectation("expect_column_values_to_be_between", (f"c{at}",), {"column": f"c{at}", "min_value": at}) for at in range(40)]
    assert with_expectations({}, many)["columns"] == {f"c{at}": {"min": at} for at in range(40)}
    assert max(sizes) == 1 and len(sizes) < 2 * len(many)


def test_what_is_listed_has_no_word_for_the_rows_that_it_holds_for():
    unique = Expectation("expect_column_values_to_be_unique", ("a",), {"column": "a"}, scope="source")
    values = with_expectations({"unique_within": "batch"}, [unique])
    assert values["expectations"] == [{"type": "expect_column_values_to_be_unique", "column": "a"}]
    assert with_expectations(values, [Expectation(unique.type, ("a",), {"column": "a"})]) == values


def test_what_diverts_rows_leaves_words_that_do_not_as_they_are():
    """A column says one thing of all its words, and a suite nothing of the default of the contract that takes it over."""
    low = Expectation("expect_column_values_to_be_between", ("a",), {"column": "a", "min_value": 0})
    there = Expectation("expect_column_values_to_not_be_null", ("a",), {"column": "a"}, is_diverting=True)
    values = with_expectations({}, [low, there])
    assert values["columns"] == {"a": {"min": 0}}
    assert values["expectations"] == [{"type": there.type, "on_breach": "quarantine", "column": "a"}]
    assert with_expectations({"on_breach": "quarantine"}, [low])["columns"] == {"a": {"min": 0, "on_breach": "quarantine"}}
