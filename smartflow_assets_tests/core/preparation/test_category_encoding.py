"""What categories become, and what is none."""

import pytest

from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.preparation.category_encoding import MOST_CATEGORIES, MOST_ONE_HOT_COLUMNS, Counted, learn_encoding


def counted(**counts: int) -> Counted:
    return Counted(counts, sum(counts.values()), len(counts))


def test_one_hot_has_a_column_for_each_and_one_for_all_others():
    learnt, note = learn_encoding("channel", "one_hot", Counted({"web": 60, "": 30, "app": 10}, 100, 3))
    assert learnt.names == ("channel__web", "channel__empty", "channel__app", "channel__other")
    assert (learnt.category_of("empty"), learnt.category_of("web"), note) == ("", "web", "")


def test_a_category_called_other_or_empty_takes_no_name_twice():
    learnt, note = learn_encoding("channel", "one_hot", Counted({"other": 60, "empty": 30, "": 10}, 100, 3))
    assert learnt.names == ("channel__empty", "channel__other")
    assert learnt.category_of("empty") == "empty"
    assert note == "encode: channel has 3 categories; the 1 most frequent are told apart, the others share channel__other"


@pytest.mark.parametrize(
    ("counts", "positions"),
    [
        ({"10": 5, "2": 90, "1": 5}, {"1": 0, "2": 1, "10": 2}),
        ({"10": 5, "2": 90, "gold": 5}, {"10": 0, "2": 1, "gold": 2}),
        ({"b": 50, "": 30, "a": 20}, {"": 0, "a": 1, "b": 2}),
        ({"-1.5": 50, "": 30, "3": 20}, {"": 0, "-1.5": 1, "3": 2}),
    ],
)
def test_positions_follow_the_numbers_where_all_are_numbers_and_the_alphabet_elsewhere(counts, positions):
    assert learn_encoding("tier", "ordinal", Counted(counts, 100, 3))[0].codes == positions


def test_a_frequency_is_the_share_of_the_rows():
    learnt, _ = learn_encoding("merchant", "frequency", counted(a=75, b=25))
    assert (learnt.codes, learnt.names) == ({"a": 0.75, "b": 0.25}, ("merchant__frequency",))


def test_many_categories_are_limited_and_said():
    counts = {f"m{k:05}": 3 for k in range(MOST_CATEGORIES)}
    many = Counted(counts, 3 * 15_000, 15_000)
    learnt, note = learn_encoding("merchant", "frequency", many)
    assert (len(learnt.codes), note.split("; ")[1]) == (MOST_CATEGORIES, "the 10000 most frequent are told apart, the others are 0")
    assert learn_encoding("merchant", "ordinal", many)[1].endswith("the others are -1")
    assert len(learn_encoding("merchant", "one_hot", many)[0].names) == MOST_ONE_HOT_COLUMNS + 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Counted({}, 0, 0), "there is no row"),
        (Counted({"": 70}, 70, 1), "column 'c' is empty in all of the first 70 rows"),
        (Counted({"12.5": 50, "3.25": 50, "7": 20}, 120, 3, fractions=2), "holds measured numbers such as 12.5, not categories"),
        (Counted({"a": 1, "b": 1}, 200, 150), "150 different values in 200 rows: it names rows"),
    ],
)
def test_what_is_no_category_is_refused(bad, said):
    with pytest.raises(SourceError, match=said):
        learn_encoding("c", "frequency", bad)


def test_few_rows_with_as_many_values_may_still_be_categories():
    assert learn_encoding("c", "ordinal", counted(a=1, b=1, c=1))[0].codes == {"a": 0, "b": 1, "c": 2}
