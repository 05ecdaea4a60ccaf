"""A home whose times were read in UTC, and mean another zone now: said before, done once, and like a home that never knew another."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.staging.reading_key import ReadingKey
from smartflow_assets.adapters.warehouse.writes import Prune
from smartflow_assets.stages import ingestion, preparation
from smartflow_assets.stages.moved_times import has_moved
from smartflow_assets.stages.source_plan import plan_of
from smartflow_assets_tests.homes import Home

NOW = datetime(2026, 3, 20, tzinfo=UTC)
DAILY = """
name: orders
read: {type: csv, path: "feeds/*.csv", time: TIME}
metrics: [{name: orders, column: n, aggregate: sum}]
time_bucket: {every: 1 day, settle: 0s}
calendar: {timezone: America/New_York}
"""
SHIFT = "times without a zone were read as UTC, now as America/New_York: stored times move by 4 to 5 h"


def write_days(home: Home, name: str, first: str, days: int, form: str = "%Y-%m-%d") -> Path:
    path = home.settings.data / "feeds" / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    times = pd.date_range(first, periods=days)
    path.write_text("day,n\n" + "".join(f"{at:{form}},{100 + at.day}\n" for at in times))
    return path


def run(home: Home, run_id: str, now: datetime = NOW) -> preparation.Cleaned:
    ingestion.raw_records(home.source_run("orders", now, run_id))
    return preparation.clean_series(home.source_run("orders", now, run_id))


def plan(home: Home) -> list[str]:
    catalogue = home.source_run("orders", NOW).catalogue
    return str(plan_of("orders", home.settings, catalogue, home.warehouse, NOW)).splitlines()


def clean(home: Home) -> pd.DataFrame:
    return home.table("clean_series").sort_values("observed_at", ignore_index=True)


@pytest.fixture
def old_home(home, monkeypatch):
    """A home from before: two files were read, everything in UTC, by keys without a zone."""

    def make(form: str = "%Y-%m-%d") -> Home:
        home.write_source("orders", DAILY.replace("TIME", "{column: day, timezone: UTC}"))
        for name, first in (("a", "2026-03-01"), ("b", "2026-03-11")):
            write_days(home, name, first, 8, form)
        with monkeypatch.context() as patch:
            patch.setattr(ReadingKey, "of", lambda key, zone: key.with_zone("UTC"))
            run(home, "old")
        home.write_source("orders", DAILY.replace("TIME", "day"))
        return home

    return make


def test_a_day_of_new_york_is_its_own(home):
    home.write_source("orders", DAILY.replace("TIME", "day"))
    write_days(home, "a", "2026-03-05", 7)
    run(home, "first")
    rows = clean(home)
    days = rows["observed_at"].dt.tz_convert("America/New_York")
    assert [f"{day:%m-%d %H:%M}" for day in days] == [f"03-{day:02} 00:00" for day in range(5, 12)]
    assert rows["value"].tolist() == [100 + day for day in range(5, 12)]


def test_what_is_assumed_is_said_in_the_log_of_the_first_run(home, caplog):
    home.write_source("orders", DAILY.replace("TIME", "day"))
    write_days(home, "a", "2026-03-05", 7)
    run(home, "first")
    said = "orders: times without a zone are read as America/New_York, the calendar's; `read: {time: {timezone: UTC}}` says otherwise"
    assert caplog.messages.count(said) == 1
    write_days(home, "b", "2026-03-12", 3)
    run(home, "second", NOW + timedelta(hours=1))
    assert caplog.messages.count(said) == 1


@pytest.mark.soak
def test_a_plan_names_the_shift_and_the_next_run_makes_it(old_home, tmp_path):
    home = old_home()
    before = clean(home)
    assert f"{before['observed_at'].iloc[0]:%m-%d %H:%M}" == "02-28 05:00", "a day too early, as it was"
    first, shift = plan(home)
    assert first.startswith("orders: clean rows, features, scores and anomalies are made anew from the raw records")
    assert shift == f"  {SHIFT}; 2 files are read again"
    assert run(home, "new").rebuilt_because == "its times were read in another zone"
    fresh = Home(tmp_path / "fresh")
    fresh.write_source("orders", DAILY.replace("TIME", "day"))
    for name, day in (("a", "2026-03-01"), ("b", "2026-03-11")):
        write_days(fresh, name, day, 8)
    run(fresh, "new")
    pd.testing.assert_frame_equal(clean(home), clean(fresh), check_exact=True)
    assert plan(home) == ["orders: nothing is made anew; detection, rules, alerts and schedule hold from the next run on"]
    assert run(home, "again", NOW + timedelta(hours=1)).rebuilt_because == ""


def test_origins_that_are_gone_are_counted_and_keep_their_times(old_home):
    home = old_home()
    (home.settings.data / "feeds" / "a.csv").unlink()
    assert plan(home)[1] == f"  {SHIFT}; 1 file is read again, 1 origin that cannot be read again keeps UTC"
    run(home, "new")
    raw = home.warehouse.read('SELECT _origin, min("day") AS first FROM raw.orders GROUP BY _origin ORDER BY _origin')
    assert [f"{at:%m-%d %H:%M}" for at in raw["first"]] == ["03-01 00:00", "03-11 04:00"]


def test_times_that_name_their_zone_shift_nothing(old_home):
    home = old_home("%Y-%m-%dT09:00:00Z")
    before = clean(home)
    assert plan(home) == ["orders: nothing is made anew; detection, rules, alerts and schedule hold from the next run on"]
    assert run(home, "new").rebuilt_because == ""
    pd.testing.assert_frame_equal(clean(home), before, check_exact=True)


def test_a_home_that_says_utc_stays_as_it_is(old_home):
    home = old_home()
    home.write_source("orders", DAILY.replace("TIME", "{column: day, timezone: UTC}"))
    assert plan(home) == ["orders: nothing is made anew; detection, rules, alerts and schedule hold from the next run on"]
    assert run(home, "new").rebuilt_because == ""


def test_a_run_that_dies_between_reading_and_cleaning_is_made_good(old_home):
    home = old_home()
    ingestion.raw_records(home.source_run("orders", NOW, "killed"))
    assert run(home, "next").rebuilt_because == "its times were read in another zone"
    assert f"{clean(home)['observed_at'].iloc[0]:%m-%d %H:%M}" == "03-01 05:00"


@pytest.mark.soak
def test_old_entries_of_the_ledger_rebuild_nothing_again(old_home):
    """Loads become one entry when they are old; the one that moved rows is not dated later by those after it."""
    home = old_home()
    run(home, "new")
    for number, name in enumerate("cd"):
        write_days(home, name, f"2026-04-{1 + number:02}", 1)
        ingestion.raw_records(home.source_run("orders", NOW + timedelta(days=number), name))
    newest = home.warehouse.read("SELECT max(written_at) AS newest FROM writes WHERE table_name = 'raw.orders'")["newest"].iloc[0]
    home.warehouse.commit("prune", [Prune("writes", "orders", newest.to_pydatetime())])
    assert not has_moved(home.warehouse, "orders")


def test_another_zone_of_the_calendar_is_named_for_what_it_moves(home):
    home.write_source("orders", DAILY.replace("TIME", "day").replace("America/New_York", "Europe/Berlin"))
    write_days(home, "a", "2026-01-01", 8)
    run(home, "first")
    home.write_source("orders", DAILY.replace("TIME", "day").replace("America/New_York", "Asia/Kolkata"))
    _, change, shift = plan(home)
    assert change == "  calendar.timezone: Europe/Berlin -> Asia/Kolkata (rows are made anew)"
    assert shift == (
        "  times without a zone were read as Europe/Berlin, now as Asia/Kolkata: stored times move by 4.5 h; 1 file is read again"
    )


def test_a_plan_does_not_ask_a_server_and_says_what_holds_if_its_times_name_no_zone(home, monkeypatch, tmp_path):
    (tmp_path / "plan_feed.py").write_text(
        "def days(since=None):\n    return [{'day': f'2026-03-{day:02}', 'n': day} for day in range(1, 9)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    source = DAILY.replace('{type: csv, path: "feeds/*.csv", time: TIME}', "{type: python, function: 'plan_feed:days', time: TIME}")
    home.write_source("orders", source.replace("TIME", "{column: day, timezone: UTC}"))
    with monkeypatch.context() as patch:
        patch.setattr(ReadingKey, "of", lambda key, zone: key.with_zone("UTC"))
        run(home, "old")
    home.write_source("orders", source.replace("TIME", "day"))
    first, shift = plan(home)
    assert first.startswith("orders: nothing is made anew")
    assert shift == (
        "  times without a zone were read as UTC, now as America/New_York: if the server gives any, "
        "it is asked again for all that it has, and they move by 5 h"
    )
    assert run(home, "new").rebuilt_because == "its times were read in another zone"
    assert [f"{at:%m-%d %H:%M}" for at in clean(home)["observed_at"][:2]] == ["03-01 05:00", "03-02 05:00"]
    assert plan(home) == ["orders: nothing is made anew; detection, rules, alerts and schedule hold from the next run on"]
