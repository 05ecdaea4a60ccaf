"""Conditions over rows: what may be said, and what is refused by name."""

import pytest

from smartflow_assets.core.preparation.row_condition import Comparison, Junction, columns, parse_condition


def test_words_bind_as_people_read_them():
    condition = parse_condition("category == 'transfer' and (amount > 15_000 or amount <= -1.5) and not vip == 1")
    assert condition == Junction(
        "and",
        (
            Comparison("category", "=", ("transfer",)),
            Junction("or", (Comparison("amount", ">", (15000.0,)), Comparison("amount", "<=", (-1.5,)))),
            Junction("not", (Comparison("vip", "=", (1.0,)),)),
        ),
    )
    assert columns(condition) == ("category", "amount", "vip")


def test_backquotes_within_a_text_are_part_of_it():
    assert parse_condition("a == '`b`'") == Comparison("a", "=", ("`b`",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("amount", "compare one column"),
        ("1 < amount", "compare one column"),
        ("0 < amount < 5", "compare one column"),
        ("amount > price", "not a number or a quoted text"),
        ("amount > True", "not a number or a quoted text"),
        ("name > 'a'", "by == or != only"),
        ("__import__('os').system('true')", "compare one column"),
        ("f(amount) > 1", "compare one column"),
        ("amount >", "is not a condition"),
        ("category in 'transfer'", "compare one column"),
        ("x" * 501, "at most 500"),
        ("amount > 1e999", "beyond all measure"),
        ("amount > " + "9" * 400, "beyond all measure"),
    ],
)
def test_what_is_no_condition_is_refused_with_a_reason(text, said):
    with pytest.raises(ValueError, match=said):
        parse_condition(text)
