"""A source that falls silent: one incident, one message, one recovery; what its silence sets off tells nobody."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages import ingestion
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.arrivals import SourceArrivals
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.preparation import bucket_plan
from smartflow_assets.stages.training_rows import learnable_rows
from smartflow_assets_tests.homes import START, Home, write_rows

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = START + 14 * DAY
RULE = "rules: [{type: missing, metric: orders, for: 2h}]\n"
ORDERS = """
name: orders
read: {type: csv, path: examples/orders.csv, time: at}
metrics: [{name: orders, column: n, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
rules: [{type: missing, metric: orders, for: 2h}]
alerts: {to: [file]}
"""


def write_until(home: Home, until: datetime, *, missing: tuple[datetime, datetime] | None = None) -> None:
    hours = pd.date_range(START, until, freq="1h", inclusive="left")
    if missing:
        hours = hours[(hours < missing[0]) | (hours >= missing[1])]
    write_rows(home.settings.data / "examples/orders.csv", pd.DataFrame({"at": hours.strftime("%Y-%m-%dT%H:%M:%SZ"), "n": 100}))


def run(home: Home, now: datetime) -> None:
    home.run_stages("orders", now)
    drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=now, run_id="run", environment={})


def told(home: Home) -> list[tuple[str, str, str]]:
    """event, cause and severity of the messages that went out, in order."""
    rows = home.warehouse.read(
        "SELECT send.event, incident.cause, incident.severity FROM alert_sends AS send JOIN incidents AS incident USING (incident_id) "
        "WHERE send.status = 'sent' ORDER BY send.happened_at, send.event"
    )
    return list(rows.itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def two_weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of an hourly feed that was loaded each six hours."""
    home = Home(tmp_path_factory.mktemp("orders"))
    home.write_source("orders", ORDERS)
    for hours in range(6, 14 * 24 + 1, 6):
        write_until(home, START + hours * HOUR)
        home.run_stages("orders", START + hours * HOUR, [ingestion.raw_records])
    home.run_stages("orders", END)
    return home.folder


@pytest.fixture
def orders(two_weeks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of it."""
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    return Home(shutil.copytree(two_weeks, tmp_path, dirs_exist_ok=True))


@pytest.mark.soak
def test_a_feed_that_dies_is_told_once_with_all_that_its_silence_sets_off_and_recovers_once(orders: Home) -> None:
    for hours in (6, 12, 24, 54):
        run(orders, END + hours * HOUR)
    assert told(orders) == [("opened", "freshness", "critical"), ("escalated", "freshness", "critical")]
    [silence] = orders.table("incidents", "cause = 'freshness'").to_dict("records")
    assert silence["title"] == "no rows since Sun 15 Mar 23:00 UTC, usually every 1 h" and silence["series"] == ""
    members = orders.table("incidents", "cause = 'anomaly'")
    assert len(members) == 1 and set(members["group_id"]) == {silence["incident_id"]}
    assert set(orders.table("alert_sends", "status = 'skipped'")["error"]) == {f"told with incident {silence['incident_id']}"}
    events = len(orders.table("incident_events"))
    run(orders, END + 60 * HOUR)
    assert len(orders.table("incident_events", "event <> 'seen'")) <= events, "a dead source adds no event"

    write_until(orders, END + 72 * HOUR, missing=(END, END + 66 * HOUR))
    run(orders, END + 72 * HOUR)
    assert told(orders)[2:] == [("resolved", "freshness", "critical")]
    [silence] = orders.table("incidents", "cause = 'freshness'").to_dict("records")
    assert silence["resolved_at"] == END + 66 * HOUR and silence["resolved_reason"] == "rows came again after 2 days 19 h"


@pytest.mark.soak
def test_rows_that_were_only_late_end_it_too(orders: Home) -> None:
    run(orders, END + 12 * HOUR)
    write_until(orders, END + 14 * HOUR)
    run(orders, END + 14 * HOUR)
    assert [event for event, *_ in told(orders)] == ["opened", "resolved"]


def test_a_batch_each_six_hours_is_late_by_nature(orders: Home) -> None:
    arrived = SourceArrivals(orders.source_run("orders", END + 7 * HOUR), bucket_plan(orders.source_run("orders", END + 7 * HOUR)))
    assert arrived.delay == 6 * HOUR and arrived.front == END + 1 * HOUR
    assert arrived.severity is None and not arrived.is_recording
    assert orders.table("incidents").empty


@pytest.mark.parametrize(
    ("freshness", "severity"),
    [
        ("auto", "critical"),
        ("off", None),
        ("{warn_after: 12h, error_after: 26h}", "warning"),
        ("{error_after: 24h}", "critical"),
        ("{warn_after: 26h}", None),
        ("{delay: 1 day}", None),
    ],
)
def test_the_key_says_when(orders: Home, freshness: str, severity: str | None) -> None:
    orders.write_source("orders", ORDERS.replace(RULE, "") + f"freshness: {freshness}\n")
    run = orders.source_run("orders", END + 24 * HOUR)
    assert SourceArrivals(run, bucket_plan(run)).severity == severity


@pytest.mark.soak
def test_switching_it_off_ends_the_incident(orders: Home) -> None:
    run(orders, END + 12 * HOUR)
    orders.write_source("orders", ORDERS + "freshness: off\n")
    run(orders, END + 18 * HOUR)
    [silence] = orders.table("incidents", "cause = 'freshness'").to_dict("records")
    assert silence["state"] == "resolved" and "not expected" in silence["resolved_reason"]


@pytest.mark.soak
def test_an_old_file_is_a_recording(home: Home) -> None:
    home.write_source("orders", ORDERS)
    write_until(home, START + 10 * DAY)
    said = home.run_stages("orders", START + 11 * DAY)["clean_series"].note
    assert said.startswith("taken as a recording, since its newest row is of Wed 11 Mar 2026") and "freshness: off" in said
    assert not home.run_stages("orders", START + 12 * DAY)["clean_series"].note
    run = home.source_run("orders", START + 12 * DAY)
    arrived = SourceArrivals(run, bucket_plan(run))
    assert arrived.is_recording and not arrived.is_watched and arrived.severity is None
    assert home.table("incidents", "cause = 'freshness'").empty


def test_a_row_each_second_may_be_a_minute_old_when_it_is_loaded(home: Home) -> None:
    home.write_source("ticks", "name: ticks\nread: {type: csv, path: examples/ticks.csv, time: at}\n")
    at = pd.date_range(START, periods=600, freq="1s")
    write_rows(home.settings.data / "examples/ticks.csv", pd.DataFrame({"at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "n": 100}))
    run = home.source_run("ticks", START + timedelta(minutes=11))
    ingestion.raw_records(run)
    arrived = SourceArrivals(run, bucket_plan(run))
    assert not arrived.is_recording and arrived.is_watched


@pytest.mark.soak
def test_a_feed_that_was_ever_fresh_is_no_recording(home: Home) -> None:
    """Two loads while it lived; then nobody looked for a night in which it died."""
    home.write_source("orders", ORDERS.replace(RULE, ""))
    for end, now in ((START + 10 * DAY, START + 10 * DAY), (START + 11 * DAY, START + 11 * DAY), (START + 11 * DAY, START + 12 * DAY)):
        write_until(home, end)
        run(home, now)
    write_until(home, START + 11 * DAY + 3 * HOUR)
    run(home, START + 13 * DAY)
    assert ("opened", "freshness") in [event[:2] for event in told(home)]


@pytest.mark.soak
def test_one_load_after_a_night_in_which_nobody_looked_is_not_how_rows_come(home: Home) -> None:
    home.write_source("orders", ORDERS)
    for hours in [*range(1, 13), 40]:
        write_until(home, START + 10 * DAY + hours * HOUR)
        home.run_stages("orders", START + 10 * DAY + hours * HOUR, [ingestion.raw_records])
    run = home.source_run("orders", START + 12 * DAY)
    assert SourceArrivals(run, bucket_plan(run)).delay == 1 * HOUR


ZERO = """
name: orders
read: {type: csv, path: examples/orders.csv, time: at}
metrics:
  - {name: orders, column: n, aggregate: sum, without_rows: zero}
  - {name: price, column: n, aggregate: mean}
time_bucket: {every: 1h, settle: 0s, fill: none}
detectors: [{type: mad}]
rules: [{type: threshold, metric: orders, below: 1, for: 3h, severity: critical}]
alerts: {to: [file]}
"""
TWO_DAYS = START + 2 * DAY


def clean(home: Home) -> pd.DataFrame:
    return home.table("clean_series").sort_values(["series", "observed_at"], ignore_index=True).drop(columns="source")


@pytest.mark.soak
def test_an_hour_without_orders_is_zero_while_the_source_is_silent_and_a_price_has_no_bucket_there(home: Home) -> None:
    home.write_source("orders", ZERO)
    write_until(home, TWO_DAYS)
    run(home, TWO_DAYS)
    for hours in (1, 4, 7):
        run(home, TWO_DAYS + hours * HOUR)
    tail = home.table("clean_series", f"observed_at >= '{TWO_DAYS.isoformat()}'")
    assert dict(tail.groupby("metric").size()) == {"orders": 7} and set(tail["value"]) == {0.0}
    broken = home.table("rule_violations")
    assert broken["observed_at"].min() == TWO_DAYS + 2 * HOUR and len(broken) == 5, "from the third hour on"
    assert told(home) == [("opened", "anomaly", "critical")], "a source of two days is not called silent yet, its rule is heard"


@pytest.mark.soak
def test_late_rows_take_the_place_of_the_zeros_and_leave_what_they_would_have_made(home: Home, tmp_path: Path) -> None:
    for folder, clocks in ((tmp_path / "late", (TWO_DAYS, TWO_DAYS + 8 * HOUR)), (tmp_path / "whole", ())):
        made = Home(folder)
        made.write_source("orders", ZERO)
        for now in clocks:
            write_until(made, TWO_DAYS)
            made.run_stages("orders", now)
        write_until(made, TWO_DAYS + 12 * HOUR, missing=(TWO_DAYS + 3 * HOUR, TWO_DAYS + 6 * HOUR))
        made.run_stages("orders", TWO_DAYS + 12 * HOUR)
    late, whole = clean(Home(tmp_path / "late")), clean(Home(tmp_path / "whole"))
    assert len(whole[whole["repair"] == "missing"]) == 3, "the price of three hours without orders"
    pd.testing.assert_frame_equal(late, whole)


@pytest.mark.soak
def test_zeros_of_a_silence_are_not_learnt_from_and_a_dead_source_costs_no_row_for_ever(home: Home) -> None:
    home.write_source("orders", ZERO)
    write_until(home, START + 10 * DAY)
    run(home, START + 10 * DAY)
    run(home, START + 20 * DAY)
    rows = len(clean(home))
    assert home.table("clean_series")["observed_at"].max() == START + 17 * DAY - HOUR
    silent = home.source_run("orders", START + 20 * DAY)
    [group] = [group for group in metric_groups(silent) if "orders" in group.metrics]
    learnable = learnable_rows(silent, group, None, is_accepting=True)
    assert learnable is not None and learnable.rows["observed_at"].max() < START + 10 * DAY
    run(home, START + 30 * DAY)
    assert len(clean(home)) == rows


@pytest.mark.parametrize("freshness", ["off", "auto"])
@pytest.mark.soak
def test_a_recording_ends_with_its_last_row(home: Home, freshness: str) -> None:
    home.write_source("orders", ZERO + f"freshness: {freshness}\n")
    write_until(home, TWO_DAYS)
    run(home, TWO_DAYS + (HOUR if freshness == "off" else 3 * DAY))
    assert home.table("clean_series")["observed_at"].max() == TWO_DAYS - HOUR


@pytest.mark.soak
def test_a_batch_of_ninety_minutes_opens_nothing_for_a_rule_that_waits_an_hour(home: Home) -> None:
    every, step = timedelta(minutes=90), timedelta(minutes=5)
    home.write_source("orders", ORDERS.replace("every: 1h", "every: 5min").replace("for: 2h", "for: 1h"))
    for batch in range(1, 30):
        times = pd.date_range(START, START + batch * every, freq=step, inclusive="left")
        rows = pd.DataFrame({"at": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "n": 5})
        write_rows(home.settings.data / "examples/orders.csv", rows)
        home.run_stages("orders", START + batch * every, [ingestion.raw_records])
    for minutes in (0, 45, 75):
        home.run_stages("orders", START + 29 * every + minutes * timedelta(minutes=1))
    assert home.table("incidents").empty and home.table("rule_violations").empty


@pytest.mark.soak
def test_a_feed_of_working_hours_whose_rows_come_next_morning_tells_nothing_of_its_nights(home: Home) -> None:
    home.write_source("orders", ORDERS.replace("rules: [{type: missing, metric: orders, for: 2h}]\n", ""))
    hours = pd.date_range(START, periods=24 * 21, freq="1h")
    hours = hours[(hours.day_of_week < 5) & (hours.hour >= 9) & (hours.hour < 17)]
    rows = pd.DataFrame({"at": hours.strftime("%Y-%m-%dT%H:%M:%SZ"), "n": 100 + hours.hour + hours.day % 3})
    for day in range(14, 21):
        morning = START + day * DAY + 8 * HOUR
        write_rows(home.settings.data / "examples/orders.csv", rows[hours < morning])
        run(home, morning)
    assert home.count("anomaly_scores", "state = 'missing'") > 5 * 16
    assert home.table("anomalies").empty
    assert told(home) == []
