"""When a series is over, beside a walk from bucket to bucket."""

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smartflow_assets.core.series.lifetimes import NEVER, Waiting, most_at_once, retired_from

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def buckets_of(rows: set[int], filled: set[int], end: int, waiting: Waiting) -> set[int]:
    """The buckets of a series before `end`, found by going through all of them."""
    first = last = min(rows)
    there, is_over = set(), False
    for at in range(first, end):
        if at in rows:
            last, is_over = at, False
        elif at in filled and at - last - 1 >= min(max(last - first, waiting.least), waiting.most):
            is_over = True
        there |= set() if is_over else {at}
    return there


@given(
    st.sets(st.integers(0, 60), min_size=1),
    st.sets(st.integers(0, 60)),
    st.integers(1, 8),
    st.integers(0, 20),
)
def test_buckets_are_those_of_the_walk(rows, others, least, more):
    waiting, filled, end = Waiting(least, least + more), np.array(sorted(rows | others)), 61
    last = np.array(sorted(rows))
    following = np.append(last[1:], NEVER)
    over = retired_from(np.full(len(last), last[0]), last, following, filled, waiting)
    there = set(range(int(last[0]), end))
    for since, until in zip(over, following, strict=True):
        there -= set(range(int(min(since, end)), int(min(until, end))))
    assert there == buckets_of(rows, set(filled.tolist()), end, waiting)


def test_a_wait_is_longer_than_any_gap_that_is_filled():
    assert Waiting.of(DAY, longest_fill=6) == Waiting(least=7, most=30)
    assert Waiting.of(HOUR, longest_fill=6, retire_after=HOUR) == Waiting(least=7, most=7)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10))))
def test_most_at_once_is_the_fullest_bucket(stretches):
    since, length = np.array(stretches, np.int64).reshape(-1, 2).T
    fullest = max((sum(a <= at < a + n for a, n in stretches) for at in range(41)), default=0)
    assert most_at_once(since, since + length) == fullest
