"""A late row changes the bucket of its series; the series beside it and the buckets after it stay, whatever the bucket's length."""

from datetime import timedelta

import pandas as pd
import pytest

from smartflow_assets_tests.homes import START, Home, stages_until, write_rows

SOURCE = """
name: shop
read: {type: csv, path: examples/shop.csv, time: timestamp}
metrics: [{name: sales, column: value, aggregate: sum}, {name: orders, aggregate: count}]
dimensions: [region]
time_bucket: {every: EVERY, settle: 0s}
calendar: {timezone: Europe/Berlin}
"""
COUNT = 40


def rows(every: timedelta) -> pd.DataFrame:
    times = pd.date_range(START + timedelta(hours=1), periods=COUNT, freq=every)
    both = pd.concat([pd.DataFrame({"timestamp": times, "value": size, "region": region}) for region, size in (("eu", 5), ("us", 7))])
    return both.assign(timestamp=both["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")).reset_index(drop=True)


def clean(home: Home, frame: pd.DataFrame, every: timedelta, run_id: str) -> pd.DataFrame:
    write_rows(home.settings.data / "examples" / "shop.csv", frame)
    home.run_stages("shop", START + (COUNT + 2) * every, stages_until("clean_series"), run_id=run_id)
    return home.table("clean_series").sort_values(["series", "observed_at"], ignore_index=True)


@pytest.mark.parametrize("every", [timedelta(hours=1), timedelta(days=1)], ids=["hours", "days over a changed clock"])
def test_a_late_row_of_one_series_leaves_all_others_and_the_next_bucket(tmp_path, every):
    home = Home(tmp_path)
    home.write_source("shop", SOURCE.replace("EVERY", "1h" if every < timedelta(days=1) else "1 day"))
    full, at = rows(every), [12, 27]
    before = clean(home, full.drop(index=at), every, "first")
    after = clean(home, full, every, "second")
    assert len(before) == len(after) == 4 * COUNT
    differing = (before["value"] != after["value"]) & ~(before["value"].isna() & after["value"].isna())
    changed = before[differing | (before["repair"] != after["repair"])]
    assert set(changed["series"]) == {"orders{region=eu}", "sales{region=eu}"} and len(changed) == 4
    fresh = Home(tmp_path / "fresh")
    fresh.write_source("shop", SOURCE.replace("EVERY", "1h" if every < timedelta(days=1) else "1 day"))
    pd.testing.assert_frame_equal(after, clean(fresh, full, every, "whole"), check_exact=True)
