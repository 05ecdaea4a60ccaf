"""Cleaning: regular series, labelled repairs, and one table however runs cut the data."""

from datetime import timedelta
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from smartflow_assets.core.preparation.cleaning import RecordedRepair, Repair, TimeBucket, affected, changes, clean, last_closed, reach
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.time_grid import TimeGrid

START = pd.Timestamp("2026-01-07", tz="UTC")
UTC = Calendar()


def minute(n: float) -> pd.Timestamp:
    return START + pd.Timedelta(minutes=n)


def buckets(values: dict[int, float], series: str = "requests") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": pd.Series([series] * len(values), dtype=str),
            "metric": series,
            "dimensions": [{}] * len(values),
            "observed_at": pd.Series([minute(n) for n in values], dtype="datetime64[us, UTC]"),
            "value": pd.Series(list(values.values()), dtype=float),
        }
    )


def cleaned(frame: pd.DataFrame, until: int, since: int = 0, **settings_) -> pd.DataFrame:
    bucket = TimeBucket(every="1min", **settings_)
    return clean(frame, bucket=bucket, calendar=UTC, since=minute(since), until=minute(until))


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("interpolate", [1, 2, 3, 4]),
        ("previous", [1, 1, 1, 4]),
        ("zero", [1, 0, 0, 4]),
        ("none", [1, np.nan, np.nan, 4]),
    ],
)
def test_short_gap_is_filled_and_labelled(fill, expected):
    rows = cleaned(buckets({0: 1, 3: 4}), 4, fill=fill)
    np.testing.assert_array_equal(rows["value"], expected)
    assert rows["repair"].tolist() == ["none", *["missing" if fill == "none" else "filled"] * 2, "none"]
    np.testing.assert_array_equal(rows["value_raw"], [1, np.nan, np.nan, 4])


def test_gap_at_the_limit_is_filled_and_a_longer_one_is_not():
    rows = cleaned(buckets({0: 1, 3: 4, 7: 1}), 8, max_gap="2min").set_index("observed_at")["repair"]
    assert rows[minute(1)] == rows[minute(2)] == "filled"
    assert rows[minute(4)] == rows[minute(5)] == rows[minute(6)] == "missing"


def test_open_gap_is_missing_until_the_next_value():
    assert cleaned(buckets({0: 1}), 3)["repair"].tolist() == ["none", "missing", "missing"]


def test_series_starts_with_its_first_value():
    assert cleaned(buckets({2: 1, 3: 1}), 4)["observed_at"].tolist() == [minute(2), minute(3)]


def test_silent_series_is_missing_while_its_sibling_speaks():
    known = pd.DataFrame({"series": ["a", "b"], "metric": ["a", "b"], "dimensions": [{}, {}], "first_at": [START, START]})
    rows = clean(buckets({10: 1.0}, "a"), bucket=TimeBucket(every="1min"), calendar=UTC, since=minute(10), until=minute(11), known=known)
    assert rows[["series", "repair"]].to_numpy().tolist() == [["a", "none"], ["b", "missing"]]


def test_bucket_without_a_finite_value_is_missing():
    rows = cleaned(buckets({0: 1, 1: np.inf, 2: np.nan, 3: 1}), 4, fill="none")
    assert rows["repair"].tolist() == ["none", "missing", "missing", "none"]


def test_days_with_a_changed_clock_are_named():
    berlin = Calendar(timezone="Europe/Berlin")
    starts = pd.to_datetime(["2026-03-27T23:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"]).as_unit("us")
    frame = buckets({0: 24.0, 1: 23.0, 2: 24.0}).assign(observed_at=starts)
    rows = clean(frame, bucket=TimeBucket(every="1 day"), calendar=berlin, since=starts[0], until=starts[2] + timedelta(days=1))
    assert rows["observed_at"].tolist() == starts.tolist()
    assert rows["repair"].tolist() == ["none", "dst", "none"]


def test_each_word_of_the_vocabulary_of_repairs_is_written_and_no_other():
    berlin = Calendar(timezone="Europe/Berlin")
    starts = pd.date_range("2026-03-26", periods=15, tz="Europe/Berlin").tz_convert("UTC").as_unit("us")
    observed = {0: 1, 1: 2, 3: 3, 6: 4, 9: 7, 12: 6, 13: 5}
    frame = buckets(observed)
    frame["observed_at"] = starts[list(observed)]
    bucket = TimeBucket(every="1 day", max_gap="1 day")
    grid = TimeGrid(bucket.every, berlin)
    first, held = int(grid.number(starts[:1])[0]), grid.numbers(starts[13], starts[14])
    repairs = [RecordedRepair("interpolated", first + 7, first + 9, "requests"), RecordedRepair("carried", first + 6, first + 12, None)]
    rows = clean(frame, bucket=bucket, calendar=berlin, since=starts[0], until=starts[14], held=held, repairs=repairs)
    begun = ["none", "none", "filled", "dst", "missing", "missing", "none"]
    assert rows["repair"].tolist() == [*begun, "interpolated", "interpolated", "none", "carried", "carried", "none", "held"]
    np.testing.assert_array_equal(rows["value"].iloc[6:], [4, 5, 6, 7, 7, 7, 6, np.nan])
    assert set(rows["repair"]) == set(get_args(Repair))


def test_bucket_is_closed_when_it_has_ended_and_settled():
    bucket = TimeBucket(every="5min", settle="10min")
    assert last_closed(minute(15), bucket, UTC) == minute(0)
    assert last_closed(minute(14.99), bucket, UTC) == minute(-5)


def test_day_is_closed_after_local_midnight():
    berlin, day = Calendar(timezone="Europe/Berlin"), TimeBucket(every="1 day", settle="0s")
    assert last_closed(pd.Timestamp("2026-03-29T22:00Z"), day, berlin) == pd.Timestamp("2026-03-28T23:00Z")


def test_empty_input_gives_the_columns_of_clean_series():
    rows = cleaned(buckets({}), 3)
    assert rows.empty
    assert rows.columns.tolist() == cleaned(buckets({0: 1}), 1).columns.tolist()
    assert rows["observed_at"].dtype == "datetime64[us, UTC]"


@pytest.mark.parametrize("every", ["0s", "36h"])
def test_bucket_that_is_no_grid_is_refused(every):
    with pytest.raises(ValidationError, match=r"time_bucket\.every"):
        TimeBucket(every=every)


def known_series(table: pd.DataFrame) -> pd.DataFrame:
    return table.groupby("series", as_index=False).agg(
        metric=("metric", "first"), dimensions=("dimensions", "first"), first_at=("observed_at", "min")
    )


SERIES = ["a", "b"]
fills = st.sampled_from(["interpolate", "previous", "zero", "none"])
arrivals = st.lists(st.tuples(st.sampled_from(SERIES), st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None)
@given(arrivals, st.sets(st.integers(1, 40), max_size=8), fills, st.integers(0, 4))
@pytest.mark.soak
def test_table_does_not_depend_on_how_runs_cut_the_data(rows, run_times, fill, max_gap):
    """Rows (series, minute, minutes of delay) arrive in any order; runs at `run_times` leave what one run would."""
    bucket = TimeBucket(every="1min", fill=fill, max_gap=f"{max_gap}min", settle="0s")
    rows = {(series, at): (at + late, float(7 * at % 11)) for series, at, late in rows}
    margin = reach(bucket) * timedelta(minutes=1)

    def aggregate(clock, since, until):
        frames = [
            buckets(
                {
                    at: value
                    for (name, at), (arrived, value) in rows.items()
                    if name == series and arrived < clock and since <= minute(at) < until
                },
                series,
            )
            for series in SERIES
        ]
        return pd.concat(frames, ignore_index=True)

    def run(table, watermark, last_clock, clock):
        here = [(at, arrived) for (_, at), (arrived, _) in rows.items() if arrived < clock]
        if not here:
            return table, watermark
        horizon = minute(min(clock, max(at for at, _ in here) + 1))
        late = [(minute(at), minute(at + 1)) for at, arrived in here if arrived >= last_clock and minute(at) < watermark]
        known = known_series(table)
        windows = [
            affected(aggregate(clock, since, until), since, until, bucket=bucket, calendar=UTC, horizon=horizon, known=known)
            for since, until in [*late, (watermark, horizon)]
        ]
        for since, until in windows:
            new = clean(
                aggregate(clock, since - margin, min(until + margin, horizon)),
                bucket=bucket,
                calendar=UTC,
                since=since,
                until=until,
                known=known_series(table),
            )
            new = changes(table, new)
            table = pd.concat([table, new]).drop_duplicates(["series", "observed_at"], keep="last")
        return table, max(watermark, horizon)

    def after(clocks):
        table, watermark, last_clock = cleaned(buckets({}), 0), START, 0
        for clock in clocks:
            table, watermark = run(table, watermark, last_clock, clock)
            last_clock = clock
        return table.sort_values(["series", "observed_at"], ignore_index=True)

    pd.testing.assert_frame_equal(after([*sorted(run_times), 100]), after([100]), check_exact=True)


def test_only_rows_that_differ_are_changes():
    before, after = cleaned(buckets({0: 1}), 3), cleaned(buckets({0: 1, 3: 4}), 4)
    assert changes(before, after)["observed_at"].tolist() == [minute(1), minute(2), minute(3)]
    assert changes(after, after).empty
