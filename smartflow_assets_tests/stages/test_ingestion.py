"""What a run says of the rows that it has taken."""

from datetime import timedelta

import pandas as pd

from smartflow_assets.stages.ingestion import raw_records, told
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows

FEED = "examples/web.csv"


def test_a_row_of_1970_is_told_with_what_it_does_and_what_helps(tmp_path):
    home = Home(tmp_path)
    home.write_source("web", WEB)
    rows = daily_series(1)
    write_rows(home.settings.data / FEED, rows)
    assert told(raw_records(home.source_run("web", START + timedelta(days=1)))) == []
    old = pd.DataFrame({"timestamp": ["1970-01-01T00:00:00Z"], "value": [5.0]})
    write_rows(home.settings.data / FEED, pd.concat([old, rows]))
    (said,) = told(raw_records(home.source_run("web", START + timedelta(days=1))))
    assert said.startswith("1 row lies 56 years before the others, in 1970, and buckets begin with the first row")
    assert "`smartflow reset web`" in said


def test_years_of_rows_are_no_stray_rows(tmp_path):
    home = Home(tmp_path)
    home.write_source("web", WEB.replace("every: 5min", "every: 1 day"))
    write_rows(home.settings.data / FEED, daily_series(20 * 365, start=START - timedelta(days=20 * 365), step=timedelta(days=1)))
    assert told(raw_records(home.source_run("web", START))) == []
