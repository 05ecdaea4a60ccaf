"""The buckets to come of a stored series: on the grid of its source, by its stored model, from the copy; nothing is written."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import ModelError, SourceError, WarehouseError
from smartflow_assets.stages.experiments.forecast import Forecast, forecast
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, stages_until, write_rows
from smartflow_assets_tests.stages.test_special_days import US, rows_of, shop, watch

HOURLY = WEB.replace("5min", "1h")
DAYS = 21


def watched(folder: Path, yaml: str = HOURLY, days: float = DAYS, step: timedelta = timedelta(hours=1)) -> Home:
    home = Home(folder)
    home.write_source("web", yaml)
    home.write_channels("file: {type: file}\n")
    write_rows(home.settings.data / "examples" / "web.csv", daily_series(days, step=step))
    home.run_stages("web", START + timedelta(days=days))
    home.warehouse.publish("test", is_forced=True)
    return home


def asked(home: Home, series: str = "requests", source: str = "web", **given: int) -> Forecast:
    return forecast(source, series, home.settings, Catalogue.load(home.settings), **given)


def test_the_buckets_after_the_newest_follow_the_season(tmp_path):
    home = watched(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in home.settings.data.rglob("*") if path.is_file()}
    found = asked(home)
    assert found.newest_at == START + timedelta(days=DAYS, hours=-1)
    assert found.at.tolist() == [pd.Timestamp(START + timedelta(days=DAYS, hours=hour)) for hour in range(48)]
    wave = 500 + 200 * np.sin(np.arange(48) / 24 * 2 * np.pi)
    assert np.abs(found.outlook.expected - wave).max() < 40
    assert ((found.outlook.lower < wave) & (wave < found.outlook.upper)).all()
    assert found.model_id == home.table("trained_models")["model_id"][0]
    after = {path: path.stat().st_mtime_ns for path in home.settings.data.rglob("*") if path.is_file()}
    assert after == before, "something was written"
    assert len(asked(home, buckets=7).at) == 7 and len(asked(home, buckets=10_000).at) == 200


@pytest.mark.soak
def test_features_are_not_needed(tmp_path):
    home = watched(tmp_path, HOURLY + "detectors: [{type: isolation_forest}]\n")
    assert np.isfinite(asked(home).outlook.expected).all()


def test_days_are_those_of_the_calendar(tmp_path):
    yaml = HOURLY.replace("1h", "1 day") + "calendar: {timezone: Europe/Berlin}\n"
    home = watched(tmp_path, yaml, 90, timedelta(hours=6))  # up to the end of May; the clocks go back in October
    local = asked(home, buckets=200).at.tz_convert("Europe/Berlin")
    assert {at.hour for at in local} == {0} and {at.utcoffset() for at in local} == {timedelta(hours=1), timedelta(hours=2)}


@pytest.mark.soak
def test_a_holiday_to_come_counts(tmp_path):
    rows = rows_of()
    home = watch(shop(tmp_path, US, rows=rows[rows["time"] < "2024-07-02"]), date(2024, 7, 2))
    home.warehouse.publish("test", is_forced=True)
    found = asked(home, "orders", "shop", buckets=7)
    days = dict(zip([at.date() for at in found.at.tz_convert("America/New_York")], found.outlook.expected, strict=True))
    assert days[date(2024, 7, 4)] == pytest.approx(350, rel=0.15)
    assert days[date(2024, 7, 3)] == pytest.approx(1000, rel=0.15) and days[date(2024, 7, 6)] == pytest.approx(700, rel=0.15)


def test_what_cannot_be_said_is_told_with_what_to_do(tmp_path):
    home = watched(tmp_path)
    with pytest.raises(SourceError, match=r"no such series.*Did you mean requests\?"):
        asked(home, "request")
    with pytest.raises(SourceError, match="no such source"):
        asked(home, source="wep")
    home.write_source("web", HOURLY + "detectors: [{type: mad}]\n")
    with pytest.raises(ModelError, match=r"settings changed.*`smartflow run web` trains one"):
        asked(home)


def test_without_a_copy_or_a_model_there_is_none(tmp_path):
    home = Home(tmp_path)
    home.write_source("web", HOURLY)
    write_rows(home.settings.data / "examples" / "web.csv", daily_series(1, step=timedelta(hours=1)))
    with pytest.raises(WarehouseError, match="nothing is published yet"):
        asked(home)
    home.run_stages("web", datetime(2026, 3, 3, tzinfo=UTC), stages_until("clean_series"))
    home.warehouse.publish("test", is_forced=True)
    with pytest.raises(ModelError, match=r"no model was trained yet.*as soon as there are 36 buckets"):
        asked(home)


@pytest.mark.soak
def test_a_series_that_is_long_silent_has_none(tmp_path):
    home = Home(tmp_path)
    home.write_source("web", HOURLY + "dimensions: [region]\n")
    home.write_channels("file: {type: file}\n")
    rows = daily_series(28, step=timedelta(hours=1))
    write_rows(home.settings.data / "examples" / "web.csv", pd.concat([rows.assign(region="eu"), rows[: 21 * 24].assign(region="us")]))
    home.run_stages("web", START + timedelta(days=14))
    home.run_stages("web", START + timedelta(days=28))
    home.warehouse.publish("test", is_forced=True)
    assert len(asked(home, "requests{region=eu}").at) == 48
    at, found = START + timedelta(days=28), asked(home, "requests{region=us}")
    assert found.at[0] == at and (found.outlook.upper - found.outlook.lower)[0] > 0  # a week behind the others: as a week ahead
    home.write_source("web", HOURLY + "dimensions: [region]\n")
    write_rows(
        home.settings.data / "examples" / "web.csv",
        pd.concat([daily_series(32, step=timedelta(hours=1)).assign(region="eu"), rows[: 21 * 24].assign(region="us")]),
    )
    home.run_stages("web", START + timedelta(days=32))
    home.warehouse.publish("test", is_forced=True)
    with pytest.raises(ModelError, match="no value for 264 buckets"):
        asked(home, "requests{region=us}")
