"""What a user is told of the zone in which times are read: once by `run`, before it moves anything by `plan`, always by `show`."""

import pytest

SHOP = """\
name: shop
read: {type: csv, path: feeds/shop.csv, time: {columns: [date, time], format: ["%d.%m.%Y %H:%M", iso]}}
metrics: [{name: orders, column: n, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
calendar: {timezone: Europe/Berlin}
detectors: [{type: zscore}]
schedule: manual
"""
NOTE = "note: shop: times without a zone are read as Europe/Berlin, the calendar's; `read: {time: {timezone: UTC}}` says otherwise"


@pytest.mark.soak
def test_the_first_run_says_what_it_assumed_and_a_plan_what_another_calendar_moves(home, smartflow):
    yaml = home / "data" / "sources" / "shop.yaml"
    yaml.write_text(SHOP)
    rows = [f"{1 + hour // 24:02}.03.2026,{hour % 24:02}:00,{100 + hour % 7}" for hour in range(24)]
    rows += [f"2026-03-{1 + hour // 24:02},{hour % 24:02}:00,{100 + hour % 7}" for hour in range(24, 40)]
    (home / "data" / "feeds" / "shop.csv").write_text("date,time,n\n" + "\n".join(rows) + "\n")
    first = smartflow("run", "shop", "--as-of", "2026-03-03T00:00")
    assert first.code == 0
    assert " ".join(first.err.split()).count(NOTE) == 1
    assert "rows in 40" in first.out
    again = smartflow("run", "shop", "--as-of", "2026-03-03T01:00")
    assert "note:" not in again.err
    assert "time in date and time, Europe/Berlin where it names no zone" in smartflow("show", "shop").out
    asked = "SELECT strftime(min(date_time), '%m-%d %H:%M') AS first, count(*) AS n FROM raw.shop"
    assert "02-28 23:00" in smartflow("sql", asked).out
    yaml.write_text(SHOP.replace("Europe/Berlin", "America/New_York"))
    plan = smartflow("plan", "shop").out.splitlines()
    assert plan[1:] == [
        "  calendar.timezone: Europe/Berlin -> America/New_York (rows are made anew)",
        "  times without a zone were read as Europe/Berlin, now as America/New_York: stored times move by 6 h; 1 file is read again",
    ]
    assert NOTE.replace("Europe/Berlin", "America/New_York") in " ".join(
        smartflow("run", "shop", "--as-of", "2026-03-03T12:00").err.split()
    )
    assert "03-01 05:00  40" in smartflow("sql", asked).out
    yaml.write_text(SHOP.replace("columns: [date, time]", "column: date, columns: [date, time]"))
    wrong = smartflow("validate", "data/sources/shop.yaml")
    assert wrong.code == 1
    assert "`read.time`: both column and columns are given" in wrong.out + wrong.err
    assert wrong.out.startswith("data/sources/shop.yaml:2: ")
