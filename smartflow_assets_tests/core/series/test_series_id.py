"""Series ids: readable, and never the same for two series."""

from hypothesis import given
from hypothesis import strategies as st

from smartflow_assets.core.series.series_id import series_id

names = st.text(alphabet='ab{}=,"\\ ', max_size=4)
series = st.tuples(names, st.dictionaries(names, names, max_size=2))


def test_dimensions_are_sorted_by_name():
    assert series_id("requests", {"tier": "gold", "region": "eu"}) == "requests{region=eu,tier=gold}"


def test_no_dimensions_is_the_metric():
    assert series_id("requests") == series_id("requests", {}) == "requests"


@given(series, series)
def test_different_series_have_different_ids(one, other):
    assert (series_id(*one) == series_id(*other)) == (one == other)
