"""Which incidents of several sources are told together: by when they began, and by what ties their sources."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.source_groups import Beginning, OpenGroup, Ties, together

NINE, TEN = datetime(2026, 3, 2, 9, tzinfo=UTC), timedelta(minutes=10)
LONE = Ties()
TAGGED = Ties(
    tags={"shop": frozenset({("team", "web")}), "pay": frozenset({("team", "web"), ("tier", "1")}), "mail": frozenset({("team", "x")})}
)


def began(*each: str, within: timedelta = TEN) -> list[Beginning]:
    """Incidents written as `source minutes`, each called so."""
    return [Beginning(NINE + timedelta(minutes=int(text.split()[1])), text.split()[0], text, within) for text in each]


@pytest.mark.parametrize(
    ("beginnings", "ties", "groups"),
    [
        (["shop 0", "pay 3"], LONE, []),  # two of a hundred sources may break by accident
        (["shop 0", "pay 3"], TAGGED, [["shop 0", "pay 3"]]),
        (["shop 0", "mail 3"], TAGGED, []),  # the same key with another value
        (["shop 0", "pay 3", "mail 10"], LONE, [["shop 0", "pay 3", "mail 10"]]),
        (["shop 0", "pay 3", "mail 11"], LONE, []),
        (["shop 0", "pay 8", "mail 12"], TAGGED, [["shop 0", "pay 8"]]),
        (["mail 0", "shop 5", "pay 12"], TAGGED, [["shop 5", "pay 12"]]),  # the first has nothing to do with them
        (["shop 0", "shop 1", "shop 2"], LONE, []),  # one source
        (["shop 0", "shop 1", "pay 1"], TAGGED, [["shop 0", "pay 1", "shop 1"]]),
        (["shop 0", "pay 0", "shop 60", "pay 60"], TAGGED, [["pay 0", "shop 0"], ["pay 60", "shop 60"]]),
    ],
)
def test_what_begins_together_and_is_tied_or_is_of_three_sources_is_one(beginnings, ties, groups):
    for order in permutations(began(*beginnings)):
        assert together(order, [], ties, TEN).new == groups


def test_two_sources_are_tied_by_a_reference_and_by_what_they_read():
    refers = Ties(upstream={"orders": frozenset({"customers"})})
    assert together(began("customers 0", "orders 1"), [], refers, TEN).new == [["customers 0", "orders 1"]]
    reads = Ties(origins={"a": "examples/x.csv", "b": "examples/x.csv", "c": "examples/y.csv"})
    assert together(began("a 0", "b 1"), [], reads, TEN).new and not together(began("a 0", "c 1"), [], reads, TEN).new


def test_each_source_says_how_near_and_off_takes_it_out():
    never = AlertPolicy.model_validate({"group_within": "off"}).group_within
    assert never == AlertPolicy.model_validate({"group_within": False}).group_within == timedelta(0)
    assert together([*began("shop 0", within=never), *began("pay 0")], [], TAGGED, TEN).new == []
    near = began("shop 0", within=timedelta(minutes=2))
    assert together([*near, *began("pay 2")], [], TAGGED, TEN).new and not together([*near, *began("pay 3")], [], TAGGED, TEN).new


def test_who_joins_an_open_group_is_tied_to_it_and_is_told_to_nobody_else():
    group = OpenGroup(NINE, "g", frozenset({"shop", "mail"}), frozenset({"pager"}))
    (pay, *_) = began("pay 5")
    for newcomer, joins in [
        (pay, {"pay 5": "g"}),
        (pay._replace(channels=frozenset({"pager"})), {"pay 5": "g"}),
        (pay._replace(channels=frozenset({"pager", "desk"})), {}),  # the desk has heard of nothing
        (began("web 5")[0], {}),  # nothing to do with them: it is told by itself
        (began("pay 11")[0], {}),
        (began("shop 5")[0], {"shop 5": "g"}),
    ]:
        assert together([newcomer], [group], TAGGED, TEN).joins == joins


def test_a_root_is_upstream_of_what_depends_on_it_through_others_too():
    ties = Ties(
        upstream={"orders": frozenset({"customers"}), "revenue": frozenset({"orders"}), "a": frozenset({"b"}), "b": frozenset({"a"})}
    )
    assert ties.depths(["revenue", "customers", "orders"]) == {"revenue": 2, "customers": 0, "orders": 1}
    assert ties.depths(["a", "b"]) == {"a": 1, "b": 1}  # a circle has no root


BEGINNINGS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40)), max_size=9, unique=True)


@given(BEGINNINGS, st.sets(st.sampled_from([("a", "b"), ("b", "c"), ("c", "d")])), st.randoms())
def test_groups_are_the_same_in_any_order_and_none_is_of_what_is_far_apart_or_untied(given_, tied, random):
    ties = Ties(tags={source: frozenset((f"{one}{other}", "1") for one, other in tied if source in (one, other)) for source in "abcd"})
    beginnings = began(*(f"{source} {minute}" for source, minute in given_))
    found = together(beginnings, [], ties, TEN).new
    random.shuffle(beginnings)
    assert together(beginnings, [], ties, TEN).new == found
    by_id = {each.incident_id: each for each in beginnings}
    assert len({name for group in found for name in group}) == sum(map(len, found))
    for group in found:
        at, sources = [by_id[name].opened_at for name in group], {by_id[name].source for name in group}
        assert max(at) - min(at) <= TEN and (len(sources) > 2 or tuple(sorted(sources)) in tied)
