"""Holidays and events of a source, through the stages: years are seen, in any cut of runs, and a changed calendar trains anew."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages import modelling
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.model_ledger import current_model
from smartflow_assets.stages.source_plan import plan_of
from smartflow_assets.stages.training_rows import calendar_rows
from smartflow_assets_tests.homes import Home, stages_until, write_rows

ZONE = "America/New_York"
SOURCE = """
name: shop
read: {{type: csv, path: examples/shop.csv, time: time}}
metrics: [{{name: orders, column: value, aggregate: sum}}]
time_bucket: {{every: {every}, settle: 0s}}
calendar: {calendar}
freshness: off
alerts: {{to: [file], max_age: 3650 days}}
"""
FIRST, LAST = date(2021, 1, 4), date(2024, 7, 8)
OUTAGE = date(2024, 4, 10)
PLAIN, US = {"timezone": ZONE}, {"timezone": ZONE, "holidays": "US"}
SALES = [date(2022, 9, 20), date(2023, 3, 14), date(2023, 9, 19), date(2024, 3, 12)]


def rows_of(every: timedelta = timedelta(days=1), sales: float = 1.0) -> pd.DataFrame:
    """Orders of a shop in New York: a weekly season, holidays at a third, an outage in the last spring."""
    times = pd.date_range(FIRST, LAST, freq=every, inclusive="left")
    local = pd.DatetimeIndex(times).normalize()
    import holidays

    days = holidays.country_holidays("US", years=range(2021, 2025))
    value = np.where(times.day_of_week >= 5, 700.0, 1000.0) * np.random.default_rng(3).normal(1, 0.03, len(times))
    value *= np.where([day.date() in days for day in local], 0.35, 1.0)
    value *= np.where([day.date() in SALES for day in local], sales, 1.0)
    value *= np.where(local == pd.Timestamp(OUTAGE), 0.3, 1.0)
    return pd.DataFrame({"time": times.strftime("%Y-%m-%d" if every >= timedelta(days=1) else "%Y-%m-%d %H:%M"), "value": value.round()})


def shop(folder: Path, calendar: dict[str, Any], every: str = "1 day", rows: pd.DataFrame | None = None) -> Home:
    home = Home(folder)
    home.write_source("shop", SOURCE.format(every=every, calendar=json.dumps(calendar)))
    home.write_channels("file: {type: file}\n")
    write_rows(home.settings.data / "examples" / "shop.csv", rows_of() if rows is None else rows)
    return home


def moment(day: date) -> datetime:
    return pd.Timestamp(day, tz=ZONE).to_pydatetime() + timedelta(hours=1)


def watch(home: Home, *days: date) -> Home:
    for day in days:
        home.run_stages("shop", moment(day))
    return home


def strange(home: Home) -> set[date]:
    found = home.table("anomalies")["started_at"]
    return set(found.dt.tz_convert(ZONE).dt.date)


@pytest.mark.soak
def test_an_outage_is_found_once_holidays_are_known(tmp_path):
    assert strange(watch(shop(tmp_path / "plain", PLAIN), LAST)) == set()  # holidays are as low, so it is nothing strange
    assert strange(watch(shop(tmp_path / "us", US), LAST)) == {OUTAGE}


@pytest.mark.soak
def test_models_see_years_of_holidays_although_they_learn_from_sixty_days(tmp_path):
    home = watch(shop(tmp_path, US), LAST)
    run = home.source_run("shop", moment(LAST), is_retraining=True, reason="by hand")
    modelling.trained_models(run)
    [group] = metric_groups(run)
    rows = calendar_rows(run, group, moment(LAST))
    assert rows is not None
    assert rows["observed_at"].min() < moment(date(2021, 1, 6))
    model = current_model(run, group).model
    assert model is not None and model.fitted.calendar_effects is not None
    effects = model.fitted.calendar_effects
    assert effects.spread.shape == (1, len(effects.roles), 1)
    christmas = effects.starts == moment(date(2024, 12, 25)).timestamp() * 1e6 - 3.6e9
    assert effects.mean[0, effects.kinds[christmas]].ravel() == pytest.approx([-0.65], abs=0.03)


@pytest.mark.soak
def test_tables_are_equal_however_runs_cut_the_rows(tmp_path):
    halfway = date(2022, 3, 1)  # the first model is of one moment
    once = watch(shop(tmp_path / "once", US), halfway, LAST)
    cut = watch(shop(tmp_path / "cut", US), halfway, *(date(2022, 3, 1) + timedelta(days=61 * k) for k in range(1, 14)), LAST)
    columns = ["series", "observed_at", "expected", "lower", "upper", "raw_score", "is_anomaly", "state"]
    first, second = (home.table("anomaly_scores").sort_values("observed_at", ignore_index=True)[columns] for home in (once, cut))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.mark.soak
def test_hours_are_what_is_learnt_of_shorter_buckets(tmp_path):
    rows = rows_of(timedelta(minutes=20))
    home = shop(tmp_path, US, "20min", rows[-120 * 72 :])
    run = home.source_run("shop", moment(LAST))
    for stage in stages_until("clean_series"):
        stage(run)
    [group] = metric_groups(run)
    found = calendar_rows(run, group, moment(LAST))
    assert found is not None
    assert len(found) == 120 * 24 - 1  # on 10 March an hour is skipped
    local = found["observed_at"].dt.tz_convert(ZONE)
    assert set(local.dt.minute) == {30}
    noon = local.dt.date.eq(date(2024, 5, 27)) & local.dt.hour.eq(12)
    assert found["value"][noon].tolist() == pytest.approx([350], rel=0.1)


@pytest.mark.soak
def test_an_anomaly_on_a_holiday_says_so(tmp_path):
    rows = rows_of()
    rows.loc[rows["time"] == "2024-05-27", "value"] = 2500.0
    home = watch(shop(tmp_path, US, rows=rows), LAST)
    texts = home.table("anomalies").set_index("started_at")["explanation"]
    on_memorial_day, elsewhere = (texts[moment(day) - timedelta(hours=1)] for day in (date(2024, 5, 27), OUTAGE))
    assert "Mon 27 May, on Memorial Day" in on_memorial_day
    assert ", on " not in elsewhere


def event(*days: date) -> dict[str, Any]:
    return {"timezone": ZONE, "events": [{"name": "sale", "dates": [str(day) for day in days]}]}


@pytest.mark.soak
def test_an_event_in_the_yaml_is_a_training_in_the_plan_and_counts_when_it_comes(tmp_path):
    rows = rows_of(sales=2.2)
    before = date(2024, 3, 4)
    homes = {name: watch(shop(tmp_path / name, US, rows=rows), before) for name in ("told", "untold")}
    told = homes["told"]
    calendar = US | event(*SALES)
    told.write_source("shop", SOURCE.format(every="1 day", calendar=json.dumps(calendar)))
    plan = plan_of("shop", told.settings, Catalogue.load(told.settings), told.warehouse, moment(before))
    assert plan.effect == "retrain"
    for home in homes.values():
        watch(home, LAST)
    assert plan_of("shop", told.settings, Catalogue.load(told.settings), told.warehouse, moment(LAST)).effect == "nothing"
    assert SALES[-1] in strange(homes["untold"])
    assert SALES[-1] not in strange(told)
    assert OUTAGE in strange(told)
    assert "settings changed" in told.table("trained_models")["reason"].tolist()


@pytest.mark.soak
def test_a_calendar_without_special_days_asks_for_nothing_new(tmp_path):
    home = watch(shop(tmp_path, PLAIN), date(2022, 3, 1))
    home.write_source("shop", SOURCE.format(every="1 day", calendar=json.dumps(PLAIN | {"events": []})))
    assert plan_of("shop", home.settings, Catalogue.load(home.settings), home.warehouse, moment(LAST)).effect == "nothing"
    run = home.source_run("shop", moment(LAST))
    assert calendar_rows(run, metric_groups(run)[0], moment(LAST)) is None
