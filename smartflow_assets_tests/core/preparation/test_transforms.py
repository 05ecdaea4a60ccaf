"""What a metric measures in the place of the aggregated value; and that it does not matter how runs cut the data."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.core.preparation.cleaning import TimeBucket, affected, clean, past, reach
from smartflow_assets.core.preparation.transforms import Treatment
from smartflow_assets.core.temporal.calendar import Calendar

START = pd.Timestamp("2026-01-07", tz="UTC")
UTC = Calendar()
NO_FILL = TimeBucket(every="1min", fill="none")
RATE, DIFFERENCE, ZERO = Treatment("cumulative_to_rate"), Treatment("difference"), Treatment(without_rows="zero")


def minute(n: float) -> pd.Timestamp:
    return START + pd.Timedelta(minutes=n)


def buckets(values: dict[int, float], series: str = "bytes") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": pd.Series([series] * len(values), dtype=str),
            "metric": series,
            "dimensions": [{}] * len(values),
            "observed_at": pd.Series([minute(n) for n in values], dtype="datetime64[us, UTC]"),
            "value": pd.Series(list(values.values()), dtype=float),
        }
    )


def cleaned(values: dict[int, float], treatment: Treatment, until: int, bucket: TimeBucket = NO_FILL) -> pd.DataFrame:
    return clean(buckets(values), bucket=bucket, calendar=UTC, since=START, until=minute(until), treatments={"bytes": treatment})


def test_the_first_difference_is_missing_and_the_number_itself_is_kept():
    rows = cleaned({0: 5, 1: 7, 2: 4}, DIFFERENCE, 3)
    np.testing.assert_array_equal(rows["value"], [np.nan, 2, -3])
    assert rows["value_raw"].tolist() == [5, 7, 4]
    assert rows["repair"].tolist() == ["missing", "none", "none"]


def test_after_a_gap_there_is_no_difference():
    rows = cleaned({0: 5, 1: 7, 3: 100, 4: 101}, DIFFERENCE, 5)
    np.testing.assert_array_equal(rows["value"], [np.nan, 2, np.nan, np.nan, 1])


def test_a_counter_becomes_its_growth_per_second():
    rows = cleaned({0: 1000, 1: 1060, 2: 1180, 3: 60}, RATE, 4)  # at the last it began anew
    np.testing.assert_array_equal(rows["value"], [np.nan, 1, 2, 1])
    assert rows["value_raw"].tolist() == [1000, 1060, 1180, 60]


def test_the_rate_after_a_gap_is_that_of_the_gap_unless_it_is_longer_than_what_is_filled():
    bucket = TimeBucket(every="1min", fill="none", max_gap="2min")
    np.testing.assert_array_equal(cleaned({0: 0, 3: 180}, RATE, 4, bucket)["value"], [np.nan, np.nan, np.nan, 1])
    np.testing.assert_array_equal(cleaned({0: 0, 4: 180, 5: 240}, RATE, 6, bucket)["value"], [np.nan] * 5 + [1])


def test_a_gap_is_filled_with_rates_not_with_readings():
    rows = cleaned({0: 0, 1: 60, 3: 300, 4: 480}, RATE, 5, TimeBucket(every="1min"))
    np.testing.assert_array_equal(rows["value"], [np.nan, 1, 1.5, 2, 3])
    assert rows["repair"].tolist() == ["missing", "none", "filled", "none", "none"]


def test_a_negative_number_is_no_reading():
    np.testing.assert_array_equal(cleaned({0: 0, 1: -5, 2: 120}, RATE, 3)["value"], [np.nan, np.nan, 1])


def test_the_rate_of_a_short_day_is_by_its_own_length():
    berlin = Calendar(timezone="Europe/Berlin")
    starts = pd.DatetimeIndex(["2026-03-27T23:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"]).as_unit("us")
    frame = buckets({0: 0, 1: 86_400, 2: 86_400 + 23 * 3600}).assign(observed_at=starts)
    rows = clean(
        frame,
        bucket=TimeBucket(every="1 day"),
        calendar=berlin,
        since=starts[0],
        until=starts[2] + timedelta(days=1),
        treatments={"bytes": RATE},
    )
    np.testing.assert_array_equal(rows["value"], [np.nan, 1, 1])


def test_without_rows_zero_is_a_value_from_the_first_row_on():
    rows = cleaned({2: 4, 4: 1}, ZERO, 6, TimeBucket(every="1min"))
    assert rows["observed_at"].tolist() == [minute(n) for n in (2, 3, 4, 5)]
    assert rows["value"].tolist() == rows["value_raw"].tolist() == [4, 0, 1, 0]
    assert set(rows["repair"]) == {"none"}


def test_another_metric_of_the_source_is_left_as_it_is():
    both = pd.concat([buckets({0: 1, 1: 5}), buckets({0: 1, 1: 5}, "load")], ignore_index=True)
    rows = clean(both, bucket=NO_FILL, calendar=UTC, since=START, until=minute(2), treatments={"bytes": DIFFERENCE})
    assert rows[rows["metric"] == "load"]["value"].tolist() == [1, 5]


def test_a_value_depends_on_no_more_than_is_said():
    plain, rate = past(NO_FILL, {}), past(NO_FILL, {"bytes": RATE})
    assert (plain, rate, past(NO_FILL, {"bytes": DIFFERENCE})) == (reach(NO_FILL), 2 * reach(NO_FILL), reach(NO_FILL) + 1)


VALUES = st.dictionaries(st.integers(0, 40), st.floats(0, 1000), min_size=1, max_size=30).map(lambda found: dict(sorted(found.items())))


@pytest.mark.parametrize("treatment", [RATE, DIFFERENCE, ZERO], ids=str)
@settings(deadline=None, max_examples=15)
@given(values=VALUES, cut=st.integers(1, 40))
def test_two_windows_leave_what_one_leaves(treatment, values, cut):
    bucket, treatments = TimeBucket(every="1min", max_gap="3min"), {"bytes": treatment}
    frame = buckets(values)
    whole = clean(frame, bucket=bucket, calendar=UTC, since=START, until=minute(41), treatments=treatments)
    first = frame["observed_at"].min()
    known = pd.DataFrame({"series": ["bytes"], "metric": ["bytes"], "dimensions": [{}], "first_at": [first]})
    back = past(bucket, treatments)
    seen = frame[frame["observed_at"] >= minute(cut - back)].reset_index(drop=True)
    later = clean(seen, bucket=bucket, calendar=UTC, since=minute(cut), until=minute(41), known=known, treatments=treatments)
    expected = whole[whole["observed_at"] >= minute(cut)].reset_index(drop=True)
    pd.testing.assert_frame_equal(later.drop(columns="dimensions"), expected.drop(columns="dimensions"), check_exact=True)


@pytest.mark.parametrize("treatment", [RATE, DIFFERENCE, ZERO], ids=str)
@settings(deadline=None, max_examples=15)
@given(values=VALUES, late=st.integers(1, 39))
def test_a_late_row_changes_nothing_outside_of_what_is_affected(treatment, values, late):
    bucket, treatments = TimeBucket(every="1min", max_gap="3min"), {"bytes": treatment}
    values = {0: 5.0, **values}
    before = {n: value for n, value in values.items() if n != late}
    after = dict(sorted({**values, late: 77.0}.items()))
    one, two = (
        clean(buckets(found), bucket=bucket, calendar=UTC, since=START, until=minute(41), treatments=treatments)
        for found in (before, after)
    )
    known = pd.DataFrame({"series": ["bytes"], "first_at": [START]})
    since, until = affected(
        buckets({late: 77.0}),
        minute(late),
        minute(late + 1),
        bucket=bucket,
        calendar=UTC,
        horizon=minute(41),
        known=known,
        treatments=treatments,
    )
    outside = (one["observed_at"] < since) | (one["observed_at"] >= until)
    pd.testing.assert_frame_equal(one[outside].drop(columns="dimensions"), two[outside].drop(columns="dimensions"), check_exact=True)
