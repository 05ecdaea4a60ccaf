"""Each drift test by itself: what it sees, what chance makes of it, and that nothing makes it raise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.core import drift
from smartflow_assets.core.drift import DRIFT_TESTS, BaseDriftTest
from smartflow_assets.core.drift.base import Sample
from smartflow_assets.core.drift.chance import Chance
from smartflow_assets.core.drift.past_windows import PastWindows

NAN = float("nan")
TESTS = {name: kind() for name, kind in DRIFT_TESTS.items()}


def unchanged(test: BaseDriftTest, rng: np.random.Generator, rows: int) -> Sample:
    """A sample in which each test has something to compare."""
    values = rng.lognormal(size=rows)
    if test.is_joint:
        return Sample(np.column_stack([values, values * rng.lognormal(size=rows), rng.normal(size=rows)]))
    return Sample(np.where(rng.random(rows) < 0.2, NAN, values))


def changed(test: BaseDriftTest, rng: np.random.Generator, rows: int) -> Sample:
    """The same, with what the test is for."""
    sample = unchanged(test, rng, rows)
    if test.is_joint:
        return Sample(np.column_stack([sample.values[:, 0], rng.permutation(sample.values[:, 1]), sample.values[:, 2]]))
    return Sample(np.where(rng.random(rows) < 0.3, NAN, sample.values * 2))


@pytest.mark.parametrize("name", TESTS)
def test_a_test_describes_each_of_its_fields_and_reads_back_what_it_writes(name):
    model = DRIFT_TESTS[name]
    assert all(field.description for key, field in model.model_fields.items() if key != "type")
    assert TypeAdapter(drift.DriftTest).validate_python({"type": name}) == model()
    with pytest.raises(ValidationError, match="bogus"):
        model(bogus=1)


@pytest.mark.parametrize("name", TESTS)
def test_chance_exceeds_a_limit_as_often_as_it_says(name):
    """One in ten, of 300 comparisons of unchanged samples of unequal size: 5 to 48 are what 30 may look like; less is cautious."""
    test, rng = TESTS[name], np.random.default_rng(1)
    found = [test.compare(unchanged(test, rng, 400), unchanged(test, rng, 150)) for _ in range(300)]
    assert sum(one.chance.p_value(one.statistic) < 0.1 for one in found) <= 48
    assert all((one.chance.p_value(one.statistic) < 0.1) == (one.statistic > one.chance.limit(0.1)) for one in found)


@pytest.mark.parametrize("name", TESTS)
def test_what_it_is_for_is_large_and_not_chance(name):
    test, rng = TESTS[name], np.random.default_rng(2)
    found = test.compare(unchanged(test, rng, 500), changed(test, rng, 500))
    assert found.statistic > test.at_least
    assert found.chance.p_value(found.statistic) < 1e-4


@pytest.mark.parametrize("name", TESTS)
def test_the_statistic_does_not_grow_with_the_number_of_rows(name):
    """A p-value alone would call any difference drift once there are rows enough."""
    test, rng = TESTS[name], np.random.default_rng(3)
    few, many = (test.compare(unchanged(test, rng, rows), changed(test, rng, rows)).statistic for rows in (1_000, 20_000))
    assert many == pytest.approx(few, rel=0.35)


VALUES = st.lists(
    st.one_of(st.floats(allow_infinity=False), st.integers(-3, 3).map(float), st.just(NAN), st.just(5.0)), min_size=30, max_size=60
)


@pytest.mark.parametrize("name", TESTS)
@settings(max_examples=25, deadline=None)
@given(first=VALUES, second=VALUES)
def test_no_values_make_it_raise_and_equal_samples_never_drift(name, first, second):
    test = TESTS[name]
    for kind in test.suits:
        one, other = (
            np.nan_to_num(np.array(values), nan=0.0 if kind == "number" and not test.reads_missing else NAN) for values in (first, second)
        )
        if kind == "category":
            one, other = np.round(np.clip(one, -3, 3)), np.round(np.clip(other, -3, 3))
        if test.is_joint:
            one, other = (np.column_stack([values, values[::-1]]) for values in (one, other))
        elif min(np.isfinite(one).sum(), np.isfinite(other).sum()) == 0:
            continue
        with np.errstate(all="ignore"):
            found, same = test.compare(Sample(one, kind), Sample(other, kind)), test.compare(Sample(one, kind), Sample(one[::-1], kind))
        assert np.isfinite(found.statistic) and 0 <= found.chance.p_value(found.statistic) <= 1
        assert same.statistic < 1e-6 and same.chance.p_value(same.statistic) > 0.4


def test_a_classifier_looks_at_relations_only():
    """Each column moved by itself, in level, spread and shape; what they have to do with each other is as it was."""
    rng, test = np.random.default_rng(4), TESTS["domain_classifier"]
    first, second = (rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 500) for _ in range(2))
    moved = test.compare(Sample(first), Sample(np.column_stack([np.exp(second[:, 0]) + 5, 3 * second[:, 1] ** 3])))
    turned = test.compare(Sample(first), Sample(second * [1, -1]))
    assert moved.chance.p_value(moved.statistic) > 0.05
    assert turned.statistic > 0.5


def test_a_classifier_finds_one_broken_relation_among_many_columns_and_one_that_is_not_linear():
    rng, test = np.random.default_rng(5), TESTS["domain_classifier"]
    many = rng.normal(size=(2, 500, 14))
    many[:, :, 1] = 0.8 * many[:, :, 0] + 0.6 * many[:, :, 1]
    many[1, :, 1] = rng.permutation(many[1, :, 1])
    curved = rng.normal(size=(2, 500, 2))
    curved[:, :, 1] = curved[:, :, 0] ** 2 + 0.5 * curved[:, :, 1]
    curved[1, :, 1] = rng.permutation(curved[1, :, 1])
    for before, now in (many, curved):
        found = test.compare(Sample(before), Sample(now))
        assert found.statistic > test.at_least and found.chance.p_value(found.statistic) < 1e-3


@pytest.mark.parametrize("name", TESTS)
def test_few_past_windows_allow_a_wide_limit_and_many_a_narrow_one(name):
    test = TESTS[name]
    wide, narrow = (PastWindows.of(test, [0.1, 0.15, 0.2, 0.12, 0.17] * times) for times in (1, 10))
    assert 0.2 < narrow.limit(0.01) < wide.limit(0.01)
    assert narrow.p_value(narrow.limit(0.01)) == pytest.approx(0.01)


def test_the_limit_of_a_share_that_always_varied_by_all_is_one():
    assert PastWindows.of(TESTS["kolmogorov_smirnov"], [0.2, 1, 0.9, 0.4, 1]).limit(0.001) == 1.0


def test_a_test_of_a_package_compares_as_a_built_in_one():
    class Mean(BaseDriftTest, frozen=True):
        """The difference of two means."""

        type: str = "mean"
        at_least: float = 0.1

        def compare(self, reference, current):
            gap = abs(float(reference.known().mean() - current.known().mean()))
            return drift.base.Difference(gap, Chance(lambda statistic: float(statistic < 0.1), lambda p: 0.1))

    assert Mean().compare(Sample(np.zeros(30)), Sample(np.ones(30))).statistic == 1.0
